/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_VICTIM_H
#define FIPC_TESTS_VICTIM_H

/*
 * A client with manners, in a process of its own with a uid of its own: a thousand calls a second,
 * each with a deadline of a second. What it sees is the yardstick of every attack.
 *
 * Beside it a bystander, which does the same over two bare bells with a process that knows nothing
 * of fipc: what it sees is what the attack does to the machine.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct victim {
    pid_t pid; /* 0: the empty state */
    struct victim_diary *diary;
};

/* What it saw in some stretches of time. {0} is the empty state. */
struct victim_span {
    size_t calls;
    size_t errors;
    int first_error; /* a negative errno; 0: none */
    uint32_t *took_ns;
};

/* The attacks measure the broker, not the scheduler: the broker, and the process that a bystander
 * calls, have a CPU of their own. */
enum victim_cpu { VICTIM_CPU_OF_BROKER, VICTIM_CPU_OF_CLIENTS };

/* Binds this process, and all that it starts, to that CPU, if there are two. */
void victim_stay_on(enum victim_cpu which);

/* @socket: the broker's; NULL: a bystander */
void victim_start(struct victim *victim, const char *socket, uid_t uid);
void victim_stop(struct victim *victim);

/* How many calls it has made, for victim_span_add(). */
size_t victim_calls(const struct victim *victim);

/* Adds its calls from number @from up to now. */
void victim_span_add(struct victim_span *span, const struct victim *victim, size_t from);

/* How long all but one call in a hundred took at most. */
uint64_t victim_span_p99_ns(struct victim_span *span);

/* The empty state stays. */
void victim_span_deinit(struct victim_span *span);

#endif

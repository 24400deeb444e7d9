/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_SPIN_H
#define FIPC_COMMON_SPIN_H

/*
 * Looking for a little while before going to sleep, since waking a sleeping CPU costs a hundred
 * times a message. Only as long as it recently paid off: a hit doubles the budget up to the limit,
 * a miss halves it down to a small probe. Never where only one CPU is allowed; yields after a few
 * microseconds; ends at an involuntary context switch, which says that somebody else has use for
 * this CPU.
 */
#include <stdbool.h>
#include <stdint.h>

struct fipc_spin {
    uint64_t limit_ns; /* 0: never spins */
    uint64_t budget_ns;
    uint64_t cpus_checked_ns;
    bool alone; /* only one CPU is allowed */
    /* of the round that runs: */
    uint64_t started_ns;
    uint64_t end_ns;
    long involuntary_switches; /* at the first yield; -1: none yet */
    unsigned turns;
};

void fipc_spin_init(struct fipc_spin *spin, uint64_t limit_ns);

/* Starts a round. Threads: one at a time, as for all that follow. */
void fipc_spin_begin(struct fipc_spin *spin, uint64_t now_ns);

/* Pauses a moment. Return: whether to look again; false: give up and sleep. */
bool fipc_spin_again(struct fipc_spin *spin);

/* Ends a round and learns from it. */
void fipc_spin_end(struct fipc_spin *spin, bool hit);

#endif

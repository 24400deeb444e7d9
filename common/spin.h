/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_SPIN_H
#define FIPC_COMMON_SPIN_H

/*
 * Looking for a little while before going to sleep, since waking a sleeping CPU costs a hundred
 * times a message. A round of looking is long only while it recently paid off: after some misses in
 * a row only a small probe is left, and now and then a full look, which finds out when messages
 * come closer together again. A machine with one CPU never spins. A round yields after a
 * microsecond, so that a peer on the same CPU gets it. It ends at an involuntary context switch:
 * another thread needs this CPU. If a yield takes long, that thread does not give the CPU back soon
 * either; a woken sleeper would get it at once. A bucket allows few such yields; while it is empty,
 * a round ends instead of yielding.
 */
#include "common/bucket.h"

#include <stdbool.h>
#include <stdint.h>

struct fipc_spin {
    uint64_t limit_ns; /* 0: never spins */
    uint64_t patience_ns;
    uint64_t budget_ns;
    unsigned misses; /* in a row */
    struct fipc_bucket long_yields;
    /* of the current round: */
    uint64_t started_ns;
    uint64_t end_ns;
    long involuntary_switches; /* at the first yield; -1: none yet */
    unsigned turns;
};

/* @limit_ns: the longest round; 0: never spins
 * @patience_ns: a yield that takes more is a long one */
void fipc_spin_init(struct fipc_spin *spin, uint64_t limit_ns, uint64_t patience_ns);

/* Starts a round. Threads: one at a time, as for all that follow. */
void fipc_spin_begin(struct fipc_spin *spin, uint64_t now_ns);

/* Pauses a moment. Return: whether to look again; false: give up and sleep. */
bool fipc_spin_again(struct fipc_spin *spin);

/* Ends a round and learns from it. */
void fipc_spin_end(struct fipc_spin *spin, bool hit);

#endif

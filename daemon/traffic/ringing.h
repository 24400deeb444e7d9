/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_RINGING_H
#define FIPC_DAEMON_TRAFFIC_RINGING_H

/*
 * Wakes a client for what was published in its rings, if it sleeps. A client that sleeps on its
 * lane is rung by a byte there, as soon as its account may have that: only the client can make
 * this slow. A client that sleeps on the futex is woken there, unless that is slow, and was too
 * often: it looks by itself after FIPC_END_FUTEX_NS. See daemon/model/toll.h
 */
#include <stdbool.h>

struct core;
struct slot;

/* Whether ringing_ring() would do anything now. */
bool ringing_is_due(const struct core *core, const struct slot *slot);

/* Ends the slot if its client has corrupted its end word, or is gone. */
void ringing_ring(struct core *core, struct slot *slot);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_WAKE_COST_H
#define FIPC_DAEMON_MODEL_WAKE_COST_H

/*
 * What waking a client costs beyond the usual is charged to its uid. A client can hang thousands of
 * epoll watchers on its end of a lane, and each byte that we send then takes half a millisecond.
 * While its uid is over its budget such a client rests: nothing of it is taken, and nobody wakes
 * it, nor one that comes anew. A uid that went far over it is watched for a while, and rests for
 * long after each costly wake-up. One whose every wake-up is costly for a whole handler_ms is
 * closed.
 */
#include <stdbool.h>
#include <stdint.h>

struct core;
struct slot;

/* Of a uid, in CPU time of the broker. */
struct toll {
    uint64_t due_ns;           /* what was charged, less what the budget paid off */
    uint64_t paid_ns;          /* until then */
    bool was_costly;           /* the last wake-up */
    uint64_t watched_until_ns; /* no costly wake-up passes for the machine's doing before */
};

/* Whether anything is due now, or a uid is watched: who comes back anew is not free of it. */
bool toll_is_due(struct toll *toll, uint64_t now_ns);

/* CPU time of this thread. */
uint64_t toll_cpu_now_ns(void);

/* A session is opened: it rests as the others of its uid do. */
void toll_welcome(struct core *core, struct slot *slot);

/* Charges one wake-up of a slot's client, which took @cpu_ns. May end the slot. */
void toll_charge(struct core *core, struct slot *slot, uint64_t cpu_ns);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_WAKE_COST_H
#define FIPC_DAEMON_MODEL_WAKE_COST_H

/*
 * The broker charges a uid for CPU time beyond the usual that it spends on waking its clients. A
 * client can hang thousands of epoll watchers on its end of a lane, and each byte that the broker
 * sends then takes half a millisecond. While its uid is over its budget such a client rests: the
 * broker takes nothing from it, and wakes neither it nor a client that connects meanwhile. A uid
 * that went far over its budget is watched for a while, and rests for long after each costly
 * wake-up. A client whose every wake-up is costly for a whole handler_ms is closed.
 */
#include "common/bucket.h"

#include <stdbool.h>
#include <stdint.h>

/* Of a uid. All zero: it owes nothing. */
struct wake_cost {
    struct fipc_bucket due;    /* CPU time of the broker, in nanoseconds */
    bool was_costly;           /* the last wake-up */
    uint64_t watched_until_ns; /* no costly wake-up passes for the machine's doing before */
};

enum wake_verdict {
    WAKE_PASS,
    WAKE_REST,       /* until wake_cost_rest_until_ns() */
    WAKE_TOO_COSTLY, /* the client is to be closed */
};

/**
 * wake_cost_charge() - charge one wake-up of a client to its uid
 * @costly_ns:      of the client: since when each of its wake-ups was costly; 0: the last was not
 * @cpu_ns:         CPU time that the wake-up took
 * @costly_max_ns:  how long each wake-up of a client may be costly
 */
enum wake_verdict wake_cost_charge(struct wake_cost *cost, uint64_t *costly_ns, uint64_t cpu_ns,
                                   uint64_t costly_max_ns, uint64_t now_ns);

/* Until when the clients of the uid rest. Return: a time; not after @now_ns if they need not */
uint64_t wake_cost_rest_until_ns(struct wake_cost *cost, uint64_t now_ns);

/* Whether the uid owes anything now, or is watched: its next client is not free of it. */
bool wake_cost_is_due(struct wake_cost *cost, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_CORE_H
#define FIPC_DAEMON_MODEL_CORE_H

/*
 * What the floors below life/ know of the broker: its tables, its clock, and the slots that are
 * active now. The broker embeds it, beside what the upper floors own.
 */
#include "common/hot_set.h"
#include "daemon/base/deadline.h"
#include "daemon/base/gone.h"
#include "daemon/config/config.h"
#include "daemon/model/account.h"
#include "daemon/model/handler.h"
#include "daemon/model/holding.h"
#include "daemon/model/quota.h"
#include "daemon/model/service.h"
#include "daemon/model/slot.h"
#include "daemon/model/slot_deadline.h"
#include "daemon/model/toll.h"
#include "daemon/model/worker.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct poller;

struct core {
    struct config *config;
    uid_t uid; /* that the broker runs as */
    struct quota quota;
    struct poller *poller;
    struct deadline_heap *deadlines; /* the poller's */
    deadline_fn *slot_over;          /* of the slots' deadlines */
    struct account_table accounts;
    struct toll toll;
    struct slot_table slots;
    struct handler_table handlers;
    struct service_table services;
    struct delivery_table deliveries;
    struct gone gone; /* tells of the memory of holdings */
    struct holding_table holdings;
    struct deadline holding_due;
    struct fipc_hot_set hot; /* the slots that the turn polls */
    uint32_t n_waiting;      /* connections in the waiting room */
    uint64_t started_ns;
    uint64_t (*clock)(void);     /* fipc_now_ns(), or a test's */
    uint64_t (*cpu_clock)(void); /* process_cpu_ns(), or a test's */
    uint64_t now_ns;             /* when the clock was looked at last: several times in each turn */
    bool is_slice_over;     /* the slot that is served took so long that others have their turn */
    uint64_t events_end_ns; /* see core_is_late() */
    bool stopping;          /* takes no more connections and requests */
    uint64_t n_turns;
    uint64_t n_blocked; /* turns that had nothing to do, and waited */
};

/* The one writer of now_ns, but for the hot set. Return: now_ns */
static inline uint64_t core_look_at_clock(struct core *core)
{
    core->now_ns = core->clock();
    return core->now_ns;
}

/* Has the turn look, in time, whether a slot has lived long enough. */
static inline void core_set_slot_deadline(struct core *core, struct slot *slot)
{
    deadline_set(core->deadlines, &slot->deadline,
                 slot_next_look_ns(core->config, slot, core->now_ns), core->slot_over);
}

/* Whether deadlines and new connections had their share of this turn, and what they still have to
 * do is left to the next one: hot slots wait meanwhile. Each does one thing before it asks. */
static inline bool core_is_late(struct core *core)
{
    return core_look_at_clock(core) >= core->events_end_ns;
}

/* Polls this slot from now on, awake: there is something to take, to send, or to ring for. */
static inline void core_heat(struct core *core, const struct slot *slot)
{
    fipc_hot_set_add(&core->hot, &slot->account->hot, slot->index, core->now_ns);
}

#endif

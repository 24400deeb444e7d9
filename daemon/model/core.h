/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_CORE_H
#define FIPC_DAEMON_MODEL_CORE_H

/*
 * What the floors below life/ know of the broker: its tables, its clock, and the slots that are
 * active now. The broker embeds it, beside what the upper floors own.
 */
#include "common/hot_set.h"
#include "common/siphash.h"
#include "daemon/base/deadline.h"
#include "daemon/base/gone.h"
#include "daemon/config/config.h"
#include "daemon/model/account.h"
#include "daemon/model/handler.h"
#include "daemon/model/holding.h"
#include "daemon/model/meter.h"
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
struct turn;

struct core {
    struct config *config;
    uid_t uid; /* that the broker runs as */
    struct quota quota;
    struct poller *poller;
    struct deadline_heap *deadlines;     /* the poller's */
    struct deadline_group own_deadlines; /* of no account */
    deadline_fn *slot_over;              /* of the slots' deadlines */
    struct turn *turn;                   /* for deadlines that it sets itself */
    struct account_table accounts;
    struct toll toll;
    struct fipc_bucket reports; /* of all accounts together */
    struct slot_table slots;
    struct handler_table handlers;
    struct service_table services;
    struct delivery_table deliveries;
    struct fipc_siphash_key token_key; /* of the tokens of deliveries */
    uint64_t n_tokens;
    struct gone gone; /* tells of the memory of holdings */
    struct holding_table holdings;
    struct deadline holding_due;
    struct fipc_hot_set hot; /* the slots that the turn polls */
    uint32_t n_waiting;      /* connections in the waiting room */
    uint64_t started_ns;
    uint64_t (*clock)(void);     /* fipc_now_ns(), or a test's */
    uint64_t (*cpu_clock)(void); /* process_cpu_ns(), or a test's */
    uint64_t now_ns;             /* when the clock was looked at last: several times in each turn */
    bool is_slice_over;    /* the slot that is served took so long that others have their turn */
    uint64_t turn_end_ns;  /* the turn begins nothing new after */
    uint64_t share_end_ns; /* see core_begin_share() */
    bool stopping;         /* takes no more connections and requests */
    struct meter meter;
    uint64_t n_turns;
    uint64_t n_blocked; /* turns that had nothing to do, and waited */
};

/* The one writer of now_ns, but for the hot set. Return: now_ns */
static inline uint64_t core_look_at_clock(struct core *core)
{
    core->now_ns = core->clock();
    return core->now_ns;
}

/* ---- the time of a turn ---- */

/* A turn begins: @span_ns from now on it begins nothing new. */
static inline void core_begin_turn(struct core *core, uint64_t span_ns)
{
    core->turn_end_ns = core_look_at_clock(core) + span_ns;
    meter_begin_turn(&core->meter, core->now_ns, core->turn_end_ns);
    core->n_turns++;
}

/* From here on the turn does things of one kind, for @span_ns at most: each such loop does one
 * thing, so that none starves, and asks core_has_time() before the next one. The next turn
 * goes on with the rest. */
static inline void core_begin_share(struct core *core, uint64_t span_ns)
{
    uint64_t end_ns = core_look_at_clock(core) + span_ns;

    core->share_end_ns = end_ns < core->turn_end_ns ? end_ns : core->turn_end_ns;
}

static inline bool core_has_time(struct core *core)
{
    return core_look_at_clock(core) < core->share_end_ns;
}

/* An act begins, and ends. Return: when it began, for core_end_act() */
static inline uint64_t core_begin_act(struct core *core)
{
    meter_begin_act(&core->meter, core_look_at_clock(core));
    return core->now_ns;
}

static inline void core_end_act(struct core *core, enum act act, uint64_t began_ns)
{
    meter_count(&core->meter, act, began_ns, core_look_at_clock(core));
}

/* A system call on a file of a peer begins, and ends: its account pays. */
static inline uint64_t core_begin_toll(const struct core *core) { return core->cpu_clock(); }

static inline void core_end_toll(struct core *core, struct account *account, uint64_t began_cpu_ns)
{
    toll_charge(&core->toll, &account->toll, core->cpu_clock() - began_cpu_ns, core->now_ns);
}

/* Return: when the next one may begin; now_ns: now */
static inline uint64_t core_toll_until_ns(struct core *core, struct account *account)
{
    return toll_until_ns(&core->toll, &account->toll, core->now_ns);
}

/* ---- deadlines ---- */

static inline void core_set_own_deadline(struct core *core, struct deadline *deadline,
                                         uint64_t due_ns, deadline_fn *over)
{
    deadline_set(core->deadlines, &core->own_deadlines, deadline, due_ns, over);
}

static inline void core_set_handler_deadline(struct core *core, struct handler *handler,
                                             uint64_t due_ns, deadline_fn *over)
{
    deadline_set(core->deadlines, &slot_of_caller(&core->slots, handler)->account->deadlines,
                 &handler->deadline, due_ns, over);
}

/* Has the turn look, in time, whether a slot has lived long enough. One that is ending has. */
static inline void core_set_slot_deadline(struct core *core, struct slot *slot)
{
    if (!slot->is_ending)
        deadline_set(core->deadlines, &slot->account->deadlines, &slot->deadline,
                     slot_next_look_ns(core->config, slot, core->now_ns), core->slot_over);
}

/* One thing that is due of an account, out of its turn: for what must not come before that. May
 * release the account. */
static inline void core_do_first(struct core *core, struct account *account)
{
    struct deadline *deadline =
        deadline_take_of(core->deadlines, &account->deadlines, core->now_ns);

    if (deadline != NULL)
        deadline->over(core, deadline);
}

/* ---- hot slots ---- */

/* Polls this slot from now on, awake: there is something to take, to send, or to ring for. */
static inline void core_heat(struct core *core, const struct slot *slot)
{
    fipc_hot_set_add(&core->hot, &slot->account->hot, slot->index, core->now_ns);
}

#endif

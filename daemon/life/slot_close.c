/* SPDX-License-Identifier: MIT */
#include "daemon/life/slot_close.h"

#include "common/clock.h"
#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/base/log.h"
#include "daemon/base/poller.h"
#include "daemon/life/closer.h"
#include "daemon/life/greeting.h"
#include "daemon/life/held.h"
#include "daemon/model/core.h"
#include "daemon/model/room_wish.h"
#include "daemon/traffic/leaving.h"
#include "daemon/traffic/outbound.h"
#include "daemon/traffic/relay.h"
#include "daemon/traffic/reply.h"

#include <string.h>

/* Soon, since what the client waits for is about to change. */
static bool helps_to_retry(enum fipc_reason reason)
{
    return reason == FIPC_REASON_NO_SLOT || reason == FIPC_REASON_SHORT ||
           reason == FIPC_REASON_STOPPING || reason == FIPC_REASON_RESTARTING ||
           reason == FIPC_REASON_IDLE || reason == FIPC_REASON_NO_REQUEST;
}

static bool is_before_open(const struct slot *slot)
{
    return slot->state == SLOT_GREETING || slot->state == SLOT_WELCOMED;
}

/* Whether a slot ends by its client's will, or in the ordinary course of things. */
static bool is_ordinary(const struct slot *slot, enum fipc_reason reason)
{
    switch (reason) {
    case FIPC_REASON_NONE:
    case FIPC_REASON_GONE:
    case FIPC_REASON_IDLE:
    case FIPC_REASON_STOPPING:
        return true;
    case FIPC_REASON_NO_REQUEST:
        return slot->state ==
               SLOT_OPEN; /* a session without a first call is as idle as one after its last */
    default:
        return false;
    }
}

static void log_close(const struct slot *slot, enum fipc_reason reason)
{
    struct log_subject subject = {
        .slot = slot->index,
        .uid = slot->peer.uid,
        .pid = slot->peer.pid,
        .reason = reason,
    };
    bool refused = is_before_open(slot);

    log_event(is_ordinary(slot, reason) ? LOG_DEBUG : LOG_WARNING,
              refused ? LOG_EVENT_REFUSED : LOG_EVENT_CLOSED, &subject, "%s: %s",
              refused ? "refused" : "closed", fipc_reason_name(reason));
}

static void give_region_back(struct core *core, struct closer *closer, struct slot *slot)
{
    struct fipc_region *region = &slot->channel.region;

    if (slot->holding != HOLDING_NONE) {
        held_leave(core, slot, core->now_ns + core->config->timeouts.handler_ms * FIPC_NS_PER_MS);
        closer_unmap(closer, region, fd_steal(&slot->region_fd));
        return;
    }
    slot->region_fd = fd_close(slot->region_fd);
    slot->account->region_bytes -= region->size;
    fipc_channel_deinit(&slot->channel);
}

static void release_account(struct core *core, struct slot *slot)
{
    slot->account->n_slots--;
    account_release_if_unused(&core->accounts, slot->account, core->now_ns);
    slot->account = NULL;
}

static void count(struct slot_table *slots, const struct slot *slot, enum fipc_reason reason)
{
    if (is_before_open(slot))
        slots->n_refused[reason]++;
    else
        slots->n_closed[reason]++;
}

/* The last word. Return: true */
static bool say_why(struct core *core, struct slot *slot)
{
    enum fipc_reason reason = slot->end_reason;
    uint64_t began_cpu_ns;

    count(&core->slots, slot, reason);
    log_close(slot, reason);
    if (reason == FIPC_REASON_GONE)
        return true;
    began_cpu_ns = core_begin_toll(core);
    if (is_before_open(slot))
        outbound_refused(slot->lane_fd, reason, helps_to_retry(reason));
    else if (slot->state == SLOT_OPEN)
        outbound_goodbye(slot, reason, helps_to_retry(reason));
    core_end_toll(core, slot->account, began_cpu_ns);
    return true;
}

static bool take_last_replies(struct core *core, struct slot *slot)
{
    return slot->state != SLOT_OPEN || slot->end_reason != FIPC_REASON_GONE ||
           leaving_take_last_replies(core, slot);
}

/* The steps before the fds are closed. Each call does a part of one, which does not take long.
 * Return: whether the step is done */
static bool (*const steps[])(struct core *core, struct slot *slot) = {
    [SLOT_LAST_REPLIES] = take_last_replies,
    [SLOT_LAST_CALLS] = reply_drop_some,
    [SLOT_LAST_NAMES] = leaving_go_on,
    [SLOT_LAST_WORD] = say_why,
};

static void give_all_back(struct core *core, struct greeting *greeting, struct closer *closer,
                          struct slot *slot)
{
    uint64_t began_cpu_ns;

    slot_set_state(&core->slots, slot, SLOT_CLOSING);
    deadline_clear(core->deadlines, &slot->deadline);
    greeting_forget(greeting, slot);
    fipc_hot_set_remove(&core->hot, slot->index);
    give_region_back(core, closer, slot);
    began_cpu_ns = core_begin_toll(core);
    poller_unwatch(core->poller, slot->lane_fd);
    poller_unwatch(core->poller, slot->bell_fd);
    slot->bell_fd = fd_close(slot->bell_fd);
    closer_close(closer, fd_steal(&slot->lane_fd), slot->account);
    core_end_toll(core, slot->account, began_cpu_ns);
    release_account(core, slot);
    slot_free(&core->slots, slot);
}

bool slot_close(struct core *core, struct greeting *greeting, struct closer *closer,
                struct slot *slot)
{
    room_wish_forget_all(slot);
    for (; slot->last < SLOT_LAST_FDS; slot->last++) {
        if (!steps[slot->last](core, slot))
            return false;
    }
    give_all_back(core, greeting, closer, slot);
    return true;
}

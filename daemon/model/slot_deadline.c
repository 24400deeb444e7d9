/* SPDX-License-Identifier: MIT */
#include "daemon/model/slot_deadline.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/model/core.h"
#include "daemon/traffic/intake.h"

/* When the slot has lived long enough, as things are now, and why. */
static uint64_t slot_deadline(const struct config *config, const struct slot *slot,
                              enum fipc_reason *ret_reason)
{
    uint64_t from_ns, span_ms;

    if (slot->is_welcome_due)
        return FIPC_NEVER; /* it waits for us, as long as it likes */
    if (slot->state == SLOT_GREETING || slot->state == SLOT_WELCOMED ||
        (slot->state == SLOT_OPEN && slot->active_ns == 0)) {
        *ret_reason = FIPC_REASON_NO_REQUEST;
        from_ns = slot->taken_ns;
        span_ms = config->timeouts.doorbell_ms;
    } else if (slot->blocked_ns != 0) {
        *ret_reason = FIPC_REASON_NOT_DRAINED;
        from_ns = slot->blocked_ns;
        span_ms = config->timeouts.handler_ms;
    } else if (slot->state == SLOT_OPEN && slot_n_live(slot) == 0 && slot->n_workers == 0 &&
               config->timeouts.idle_ms > 0) {
        *ret_reason = FIPC_REASON_IDLE;
        from_ns = slot->active_ns;
        span_ms = config->timeouts.idle_ms;
    } else {
        return FIPC_NEVER;
    }
    return fipc_deadline_after(from_ns, span_ms * FIPC_NS_PER_MS);
}

void slot_timer_set(struct core *core, struct slot *slot, uint64_t now_ns)
{
    const struct config *config = core->config;
    enum fipc_reason reason;
    uint64_t deadline_ns = slot_deadline(config, slot, &reason);
    uint64_t longest_ns = config->timeouts.handler_ms * FIPC_NS_PER_MS;
    uint64_t span_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

    if (config->timeouts.idle_ms > 0 && longest_ns > config->timeouts.idle_ms * FIPC_NS_PER_MS)
        longest_ns = config->timeouts.idle_ms * FIPC_NS_PER_MS;
    if (span_ns > longest_ns)
        span_ns = longest_ns;
    if (slot->rest_until_ns > now_ns && slot->rest_until_ns - now_ns < span_ns)
        span_ns = slot->rest_until_ns - now_ns;
    slot->timer.repeat = (double)(span_ns + FIPC_NS_PER_MS) / (double)FIPC_NS_PER_S;
    ev_timer_again(core->ev, &slot->timer);
}

static void slot_timer_over(struct ev_loop *ev, ev_timer *timer, int revents)
{
    struct core *core = ev_userdata(ev);
    struct slot *slot = timer->data;
    uint64_t now_ns = fipc_now_ns();
    enum fipc_reason reason = FIPC_REASON_NONE;

    (void)revents;
    core->now_ns = now_ns;
    if (slot->is_ending)
        return;
    /* a record that came just now is news, not idleness: the slot is served first */
    if (slot->state == SLOT_OPEN && dispatch_has_work(core, slot))
        core_heat(core, slot);
    else if (now_ns >= slot_deadline(core->config, slot, &reason) && !core_is_late(core)) {
        slot_end(&core->slots, slot, reason);
        return;
    }
    slot_timer_set(core, slot, now_ns); /* at the earliest in a millisecond */
}

void slot_timer_start(struct core *core, struct slot *slot)
{
    ev_init(&slot->timer, slot_timer_over);
    slot->timer.data = slot;
    slot_timer_set(core, slot, slot->taken_ns);
}

void slot_timers_set(struct core *core)
{
    uint64_t now_ns = fipc_now_ns();

    for (uint32_t i = 0; i < core->slots.places.n_used; i++) {
        if (core->slots.slots[i].state != SLOT_FREE)
            slot_timer_set(core, &core->slots.slots[i], now_ns);
    }
}

void slot_timer_stop(struct core *core, struct slot *slot)
{
    ev_timer_stop(core->ev, &slot->timer);
}

/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/ringing.h"

#include "common/channel.h"
#include "daemon/model/core.h"

#include <errno.h>

static void wake(struct core *core, struct slot *slot)
{
    struct toll_due *due = &slot->account->toll;
    uint64_t began_ns, began_cpu_ns;

    if (!toll_allows_futex(&core->toll, due, core->now_ns))
        return;
    began_ns = core_begin_act(core);
    began_cpu_ns = core->cpu_clock();
    fipc_end_wake(slot->channel.peer);
    toll_charge_futex(&core->toll, due, core->cpu_clock() - began_cpu_ns, core->now_ns);
    core_end_act(core, ACT_WAKE, began_ns);
}

/* A bell that could not be rung stays due: the sleep of the client was claimed, so that nobody else
 * rings for it. */
static void ring_lane(struct core *core, struct slot *slot)
{
    struct toll_due *due = &slot->account->toll;
    uint64_t began_ns, began_cpu_ns;
    int r;

    slot->bell_after_ns = toll_until_ns(&core->toll, due, core->now_ns);
    if (slot->bell_after_ns > core->now_ns) {
        core_set_slot_deadline(core, slot);
        return;
    }
    began_ns = core_begin_act(core);
    began_cpu_ns = core->cpu_clock();
    r = fipc_bell_ring(&slot->channel.bell);
    toll_charge(&core->toll, due, core->cpu_clock() - began_cpu_ns, core->now_ns);
    core_end_act(core, ACT_WAKE, began_ns);
    slot->is_bell_due = r < 0;
    if (r == -EPIPE)
        slot_end(&core->slots, slot, FIPC_REASON_GONE);
}

bool ringing_is_due(const struct core *core, const struct slot *slot)
{
    return slot->news != FIPC_NEWS_NONE ||
           (slot->is_bell_due && slot->bell_after_ns <= core->now_ns);
}

void ringing_ring(struct core *core, struct slot *slot)
{
    int asleep = slot->news != FIPC_NEWS_NONE ? fipc_end_rouse(slot->channel.peer, slot->news) : 0;

    slot->news = FIPC_NEWS_NONE;
    if (asleep == FIPC_END_ASLEEP_FUTEX)
        wake(core, slot);
    else if (asleep == FIPC_END_ASLEEP_FD)
        slot->is_bell_due = true;
    else if (asleep < 0)
        slot_end(&core->slots, slot, FIPC_REASON_CORRUPT_END);
    if (slot->is_bell_due && !slot->is_ending)
        ring_lane(core, slot);
}

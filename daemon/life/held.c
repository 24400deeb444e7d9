/* SPDX-License-Identifier: MIT */
#include "daemon/life/held.h"

#include "common/clock.h"
#include "daemon/base/log.h"
#include "daemon/model/core.h"

#include <string.h>

static void set_due(struct core *core);

/* Former slots whose memory is held count as taken ones. */
static void count_left(struct core *core) { core->slots.n_held = core->holdings.n_left; }

static void end_due(void *context, struct deadline *deadline)
{
    struct core *core = context;

    (void)deadline;
    holding_end_due(&core->holdings, &core->accounts, core->now_ns);
    count_left(core);
    set_due(core);
}

static void set_due(struct core *core)
{
    uint64_t due_ns = holding_due_ns(&core->holdings);

    if (due_ns != FIPC_NEVER && !deadline_is_set(&core->holding_due))
        core_set_own_deadline(core, &core->holding_due, due_ns, end_due);
}

int held_init(struct core *core)
{
    int r = gone_init(&core->gone, core->poller, core->slots.places.capacity);

    return r < 0 ? r : holding_table_init(&core->holdings, core->slots.places.capacity);
}

void held_deinit(struct core *core)
{
    gone_deinit(&core->gone);
    holding_table_deinit(&core->holdings);
}

void held_begin(struct core *core, struct slot *slot)
{
    int r;

    slot->holding = holding_begin(&core->holdings, slot->account, slot->channel.region.size);
    if (slot->holding == HOLDING_NONE)
        return;
    r = gone_watch(&core->gone, slot->region_fd, slot->holding);
    if (r == 0)
        return;
    holding_set_timed(&core->holdings, slot->holding, FIPC_NEVER);
    log_event(LOG_WARNING, LOG_EVENT_SHORT, NULL,
              "no watch for the memory of a session: %s; raise fs.inotify.max_user_watches",
              strerror(-r));
}

void held_leave(struct core *core, struct slot *slot, uint64_t until_ns)
{
    holding_leave(&core->holdings, slot->holding, until_ns);
    slot->holding = HOLDING_NONE;
    count_left(core);
    set_due(core);
}

static void end(void *context, uint32_t number, bool is_lost)
{
    struct core *core = context;

    if (is_lost)
        holding_set_timed(&core->holdings, number,
                          core->now_ns + core->config->timeouts.handler_ms * FIPC_NS_PER_MS);
    else
        holding_end(&core->holdings, &core->accounts, number, core->now_ns);
}

void held_look(struct core *core, uint32_t set)
{
    gone_take(&core->gone, set, end, core);
    count_left(core);
    set_due(core);
}

/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/reply.h"

#include "common/clock.h"
#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/model/core.h"
#include "daemon/traffic/outbound.h"
#include "daemon/traffic/queueing.h"

#include <assert.h>
#include <errno.h>

#define DROPPED_AT_ONCE 64

struct handler *reply_begin(struct core *core, struct slot *slot, uint64_t id,
                            uint64_t remaining_ns)
{
    uint64_t longest_ns = core->config->timeouts.handler_ms * FIPC_NS_PER_MS;
    struct handler *handler;

    if (!quota_allows_handler(&core->quota, slot->account, core->handlers.n_live))
        return NULL;
    handler = handler_start(&core->handlers, slot->index, slot->generation);
    if (handler == NULL)
        return NULL;
    slot->account->n_handlers++;
    if (remaining_ns > longest_ns)
        handler->answer.header.flags |= FIPC_REPLY_CAPPED;
    if (remaining_ns == 0 || remaining_ns > longest_ns)
        remaining_ns = longest_ns;
    handler->id = id;
    handler->started_ns = core->now_ns;
    handler->deadline_ns = core->now_ns + remaining_ns;
    handler_list_append(&core->handlers, &slot->live, handler);
    slot->n_handlers[HANDLER_TAKEN]++;
    slot->calls++;
    return handler;
}

void reply_set_state(struct core *core, struct handler *handler, enum handler_state state)
{
    struct slot *slot = slot_of_caller(&core->slots, handler);

    slot->n_handlers[handler->state]--;
    slot->n_handlers[state]++;
    handler_set_state(handler, state);
}

static void deadline_over(void *context, struct deadline *deadline)
{
    reply_error(context, DEADLINE_OWNER(deadline, struct handler, deadline), -ETIMEDOUT);
}

void reply_count_from_now(struct core *core, struct handler *handler)
{
    uint64_t late_ns = core_look_at_clock(core) - handler->started_ns;

    handler->started_ns += late_ns;
    handler->deadline_ns += late_ns;
}

void reply_set_deadline(struct core *core, struct handler *handler)
{
    reply_count_from_now(core, handler);
    core_set_handler_deadline(core, handler, handler->deadline_ns, deadline_over);
}

/* The last step of every handler. */
static void reply_end(struct core *core, struct slot *slot, struct handler *handler,
                      enum handler_outcome outcome)
{
    slot->active_ns = core->now_ns; /* it is idle from here on */
    slot->account->n_handlers--;
    if (!handler->is_unsent)
        handler_list_remove(&core->handlers, &slot->live, handler);
    deadline_clear(core->deadlines, &handler->deadline);
    reply_set_state(core, handler, outcome == HANDLER_REPLIED ? HANDLER_DONE : HANDLER_FAILED);
    slot->n_handlers[handler->state]--;
    handler_end(&core->handlers, handler, outcome);
}

static enum handler_outcome outcome_of(int32_t status)
{
    return status < 0 ? HANDLER_ERROR : HANDLER_REPLIED;
}

/* A one-shot takes its answer from the lane, whose send buffer is empty: an answer that does not
 * fit never will. */
static void send_to_lane(struct core *core, const struct slot *slot, const struct handler *handler,
                         int32_t status, const void *data, size_t size)
{
    struct fipc_control reply = {
        .type = FIPC_CONTROL_ONESHOT_REPLY,
        .oneshot_reply = {.id = handler->id, .status = status, .data_bytes = (uint32_t)size},
        .data = data,
    };

    uint64_t began_cpu_ns = core_begin_toll(core);

    (void)fipc_lane_send(slot->lane_fd, &reply, NULL, 0);
    core_end_toll(core, slot->account, began_cpu_ns);
}

static void send_to_ring(struct core *core, struct slot *slot, struct handler *handler,
                         int32_t status, const void *data, size_t size)
{
    int r;

    handler->answer.header.kind = handler->is_wait ? FIPC_KIND_CONTROL : FIPC_KIND_REPLY;
    handler->answer.header.status = status;
    handler->answer.header.id = handler->id;
    handler->answer.control = FIPC_CONTROL_WAITED;
    handler->answer.handler = handler;
    core_heat(core, slot);
    r = outbound_put(core, slot, &handler->answer, data, size);
    if (r == -EAGAIN) {
        handler_list_remove(&core->handlers, &slot->live, handler);
        handler->is_unsent = true;
        return;
    }
    if (r < 0)
        slot_end(&core->slots, slot, FIPC_REASON_CORRUPT_RING);
    reply_end(core, slot, handler, r < 0 ? HANDLER_DROPPED : outcome_of(status));
}

static void reply_finish(struct core *core, struct handler *handler, int32_t status,
                         const void *data, size_t size)
{
    struct slot *slot = slot_of_caller(&core->slots, handler);

    deadline_clear(core->deadlines, &handler->deadline);
    queueing_forget(core, handler);
    if (slot->state != SLOT_ONESHOT) {
        send_to_ring(core, slot, handler, status, data, size);
        return;
    }
    send_to_lane(core, slot, handler, status, data, size);
    reply_end(core, slot, handler, outcome_of(status));
    slot_end(&core->slots, slot, FIPC_REASON_NONE);
}

size_t reply_bytes_max(struct core *core, const struct handler *handler)
{
    const struct slot *slot = slot_of_caller(&core->slots, handler);

    return slot->state == SLOT_ONESHOT ? FIPC_ONESHOT_REPLY_BYTES_MAX
                                       : fipc_ring_payload_max(slot->channel.out.capacity);
}

void reply_data(struct core *core, struct handler *handler, const void *data, size_t size)
{
    if (size > reply_bytes_max(core, handler)) {
        reply_error(core, handler, -EMSGSIZE);
        return;
    }
    reply_set_state(core, handler, HANDLER_REPLYING);
    reply_finish(core, handler, 0, data, size);
}

void reply_error(struct core *core, struct handler *handler, int error)
{
    assert(error < 0);
    reply_finish(core, handler, error, NULL, 0);
}

void reply_not_delivered(struct core *core, struct handler *handler, int error)
{
    handler->answer.header.flags |= FIPC_REPLY_NOT_DELIVERED;
    reply_error(core, handler, error);
}

int reply_send_waiting(struct core *core, struct slot *slot)
{
    struct handler *handler;
    int sent = 0, r;

    while ((r = outbound_send_next(slot, &handler)) > 0) {
        if (handler != NULL)
            reply_end(core, slot, handler, outcome_of(handler->answer.header.status));
        sent++;
    }
    return r < 0 ? r : sent;
}

void reply_drop(struct core *core, struct handler *handler)
{
    queueing_forget(core, handler);
    reply_end(core, slot_of_caller(&core->slots, handler), handler, HANDLER_DROPPED);
}

bool reply_drop_some(struct core *core, struct slot *slot)
{
    for (int n = 0; n < DROPPED_AT_ONCE; n++) {
        struct handler *handler;

        if (slot->live.first != HANDLER_NONE)
            reply_drop(core, &core->handlers.handlers[slot->live.first]);
        else if ((handler = outbound_drop_next(slot)) != NULL)
            reply_end(core, slot, handler, HANDLER_DROPPED);
        else
            return true;
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/reply.h"

#include "common/clock.h"
#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/model/core.h"
#include "daemon/traffic/relay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slot *answer_caller(struct core *core, const struct handler *handler)
{
    struct slot *slot = slot_find(&core->slots, handler->slot, handler->slot_generation);

    assert(slot != NULL); /* closing a slot ends its handlers */
    return slot;
}

struct handler *answer_begin(struct core *core, struct slot *slot, uint64_t id,
                             uint64_t remaining_ns)
{
    uint64_t longest_ns = core->config->timeouts.handler_ms * FIPC_NS_PER_MS;
    struct handler *handler;

    if (!quota_allows_handler(&core->quota, slot->account))
        return NULL;
    handler = handler_start(&core->handlers, slot->index, slot->generation);
    if (handler == NULL)
        return NULL;
    slot->account->n_handlers++;
    if (remaining_ns > longest_ns)
        handler->reply_flags |= FIPC_REPLY_CAPPED;
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

void answer_set_state(struct core *core, struct handler *handler, enum handler_state state)
{
    struct slot *slot = answer_caller(core, handler);

    slot->n_handlers[handler->state]--;
    slot->n_handlers[state]++;
    handler_set_state(handler, state);
}

static void deadline_over(void *context, struct deadline *deadline)
{
    answer_error(context, DEADLINE_OWNER(deadline, struct handler, deadline), -ETIMEDOUT);
}

void answer_set_deadline(struct core *core, struct handler *handler)
{
    deadline_set(core->deadlines, &handler->deadline, handler->deadline_ns, deadline_over);
}

/* The last step of every handler. */
static void answer_end(struct core *core, struct slot *slot, struct handler *handler,
                       enum handler_outcome outcome)
{
    slot->active_ns = core->now_ns; /* it is idle from here on */
    slot->account->n_handlers--;
    if (handler->unsent)
        slot->account->unsent_bytes -= handler->reply_bytes;
    handler_list_remove(&core->handlers, handler->unsent ? &slot->unsent : &slot->live, handler);
    deadline_clear(core->deadlines, &handler->deadline);
    answer_set_state(core, handler, outcome == HANDLER_REPLIED ? HANDLER_DONE : HANDLER_FAILED);
    slot->n_handlers[handler->state]--;
    handler_end(&core->handlers, handler, outcome);
}

/* Puts an answer into the slot's ring. Return: 0; -EAGAIN no room now; -EBADMSG the ring is corrupt
 */
static int send_to_ring(struct slot *slot, const struct handler *handler, int32_t status,
                        const void *data, size_t size)
{
    const struct fipc_control waited = {.type = FIPC_CONTROL_WAITED};
    unsigned char packet[sizeof(struct fipc_control_header) + sizeof(struct fipc_nothing)];
    struct fipc_header header = {
        .kind = handler->is_wait ? FIPC_KIND_CONTROL : FIPC_KIND_REPLY,
        .flags = handler->reply_flags,
        .target = handler->target,
        .status = status,
        .id = handler->id,
    };
    int r = 0;

    if (handler->is_wait) {
        r = fipc_control_encode(&waited, packet, sizeof(packet), &size);
        data = packet;
    }
    if (r == 0)
        r = fipc_producer_send(&slot->channel.out, &header, data, size);
    if (r == 0)
        slot->news |= FIPC_NEWS_RECORDS;
    return r;
}

void answer_refuse(struct slot *slot, uint64_t id, int error)
{
    const struct handler nobody = {.id = id};

    (void)send_to_ring(slot, &nobody, error, NULL, 0);
}

/* A one-shot takes its answer from the lane, whose send buffer is empty: what does not fit never
 * will. */
static void send_to_lane(const struct slot *slot, const struct handler *handler, int32_t status,
                         const void *data, size_t size)
{
    struct fipc_control reply = {
        .type = FIPC_CONTROL_ONESHOT_REPLY,
        .oneshot_reply = {.id = handler->id, .status = status, .data_bytes = (uint32_t)size},
        .data = data,
    };

    (void)fipc_lane_send(slot->lane_fd, &reply, NULL, 0);
}

/* Return: 0; -ENOBUFS too much of its uid waits already; -ENOMEM */
static int keep_reply(const struct quota *quota, const struct account *account,
                      struct handler *handler, const void *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!quota_allows_unsent(quota, account, size))
        return -ENOBUFS;
    handler->reply = malloc(size);
    if (handler->reply == NULL)
        return -ENOMEM;
    memcpy(handler->reply, data, size);
    handler->reply_bytes = (uint32_t)size;
    return 0;
}

/* Keeps an answer until its client has made room, or what kept it from being kept. */
static void keep_unsent(struct core *core, struct slot *slot, struct handler *handler,
                        int32_t status, const void *data, size_t size)
{
    int r = keep_reply(&core->quota, slot->account, handler, data, size);

    handler->status = r < 0 ? r : status;
    slot->account->unsent_bytes += handler->reply_bytes;
    handler_list_remove(&core->handlers, &slot->live, handler);
    handler_list_append(&core->handlers, &slot->unsent, handler);
    handler->unsent = true;
}

static void answer_finish(struct core *core, struct handler *handler, int32_t status,
                          const void *data, size_t size)
{
    enum handler_outcome outcome = status < 0 ? HANDLER_ERROR : HANDLER_REPLIED;
    struct slot *slot = answer_caller(core, handler);
    int r;

    deadline_clear(core->deadlines, &handler->deadline);
    relay_forget(core, handler);
    if (slot->state == SLOT_ONESHOT) {
        send_to_lane(slot, handler, status, data, size);
        answer_end(core, slot, handler, outcome);
        slot_end(&core->slots, slot, FIPC_REASON_NONE);
        return;
    }

    core_heat(core, slot);
    r = slot->unsent.first == HANDLER_NONE ? send_to_ring(slot, handler, status, data, size)
                                           : -EAGAIN;
    if (r == 0)
        answer_end(core, slot, handler, outcome);
    else if (r == -EAGAIN)
        keep_unsent(core, slot, handler, status, data, size);
    else {
        slot_end(&core->slots, slot, FIPC_REASON_CORRUPT_RING);
        answer_end(core, slot, handler, HANDLER_DROPPED);
    }
}

size_t answer_bytes_max(struct core *core, const struct handler *handler)
{
    const struct slot *slot = answer_caller(core, handler);

    return slot->state == SLOT_ONESHOT ? FIPC_ONESHOT_REPLY_BYTES_MAX
                                       : fipc_ring_payload_max(slot->channel.out.capacity);
}

void answer_reply(struct core *core, struct handler *handler, const void *data, size_t size)
{
    if (size > answer_bytes_max(core, handler)) {
        answer_error(core, handler, -EMSGSIZE);
        return;
    }
    answer_set_state(core, handler, HANDLER_REPLYING);
    answer_finish(core, handler, 0, data, size);
}

void answer_error(struct core *core, struct handler *handler, int error)
{
    assert(error < 0);
    answer_finish(core, handler, error, NULL, 0);
}

void answer_not_delivered(struct core *core, struct handler *handler, int error)
{
    handler->reply_flags |= FIPC_REPLY_NOT_DELIVERED;
    answer_error(core, handler, error);
}

int answer_send_waiting(struct core *core, struct slot *slot)
{
    int sent = 0;

    while (slot->unsent.first != HANDLER_NONE) {
        struct handler *handler = &core->handlers.handlers[slot->unsent.first];
        int r = send_to_ring(slot, handler, handler->status, handler->reply, handler->reply_bytes);

        if (r < 0)
            return r == -EAGAIN ? sent : r;
        answer_end(core, slot, handler, handler->status < 0 ? HANDLER_ERROR : HANDLER_REPLIED);
        sent++;
    }
    return sent;
}

void answer_drop(struct core *core, struct handler *handler)
{
    relay_forget(core, handler);
    answer_end(core, answer_caller(core, handler), handler, HANDLER_DROPPED);
}

void answer_drop_all(struct core *core, struct slot *slot)
{
    const struct handler_list *lists[] = {&slot->live, &slot->unsent};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        while (lists[i]->first != HANDLER_NONE)
            answer_drop(core, &core->handlers.handlers[lists[i]->first]);
    }
}

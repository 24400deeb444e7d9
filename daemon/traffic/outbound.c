/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/outbound.h"

#include "common/lane.h"
#include "daemon/model/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the client waits for is about to change. */
#define RETRY_MS 50

/* Return: 0; -EAGAIN no room now; -EBADMSG */
static int put_in_ring(struct slot *slot, const struct outbound_item *item, const void *data,
                       size_t size)
{
    const struct fipc_control control = {.type = item->control};
    int r;

    if (item->header.kind == FIPC_KIND_CONTROL && data == NULL)
        r = fipc_control_put(&slot->channel.out, &item->header, &control);
    else
        r = fipc_producer_send(&slot->channel.out, &item->header, data, size);
    if (r == 0)
        slot->news |= FIPC_NEWS_RECORDS;
    return r;
}

static size_t payload_bytes(const struct outbound_item *item)
{
    return item->data == NULL ? 0 : fipc_payload_size(&item->header);
}

/* ---- in ---- */

/* Return: 0; -ENOBUFS too much of its uid waits already; -ENOMEM */
static int keep_data(const struct core *core, const struct account *account,
                     struct outbound_item *item, const void *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!quota_allows_unsent(&core->quota, account, size))
        return -ENOBUFS;
    item->data = malloc(size);
    if (item->data == NULL)
        return -ENOMEM;
    memcpy(item->data, data, size);
    item->header.size = (uint32_t)(sizeof(item->header) + size);
    return 0;
}

static void append(struct slot *slot, struct outbound_item *item)
{
    STAILQ_INSERT_TAIL(&slot->outbound, item, in_fifo);
    slot->account->unsent_bytes += payload_bytes(item);
}

int outbound_put(struct core *core, struct slot *slot, struct outbound_item *item, const void *data,
                 size_t size)
{
    int r = outbound_waits(slot) ? -EAGAIN : put_in_ring(slot, item, data, size);

    if (r != -EAGAIN)
        return r;
    r = keep_data(core, slot->account, item, data, size);
    if (r < 0)
        item->header.status = r;
    append(slot, item);
    return -EAGAIN;
}

static void put_notice(struct core *core, struct slot *slot, const struct outbound_item *notice)
{
    struct outbound_item *item;

    core_heat(core, slot);
    if (!outbound_waits(slot) && put_in_ring(slot, notice, NULL, 0) == 0)
        return;
    item = malloc(sizeof(*item));
    if (item == NULL)
        return;
    *item = *notice;
    append(slot, item);
}

void outbound_room(struct core *core, struct slot *slot, uint32_t target)
{
    put_notice(core, slot,
               &(struct outbound_item){
                   .header = {.kind = FIPC_KIND_CONTROL, .target = target},
                   .control = FIPC_CONTROL_ROOM,
               });
}

void outbound_cancel(struct core *core, struct slot *slot, uint32_t number, uint64_t id)
{
    put_notice(core, slot,
               &(struct outbound_item){
                   .header = {.kind = FIPC_KIND_CANCEL, .target = number, .id = id},
               });
}

/* ---- at once ---- */

/* Room was there when the question was taken; what it set off may have used it meanwhile. */
static void answer_later(struct slot *slot, const struct fipc_header *header,
                         const struct fipc_control *control)
{
    struct outbound_item *item = calloc(1, sizeof(*item));
    size_t size;

    if (item == NULL)
        return;
    item->header = *header;
    item->data = malloc(OUTBOUND_ANSWER_BYTES);
    if (item->data == NULL ||
        fipc_control_encode(control, item->data, OUTBOUND_ANSWER_BYTES, &size) < 0) {
        free(item->data);
        free(item);
        return;
    }
    item->header.size = (uint32_t)(sizeof(item->header) + size);
    append(slot, item);
}

void outbound_answer(struct slot *slot, const struct fipc_header *question,
                     const struct fipc_control *control, int status, uint32_t target)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_CONTROL,
        .target = target,
        .status = status,
        .id = question->id,
    };
    int r = outbound_waits(slot) ? -EAGAIN : fipc_control_put(&slot->channel.out, &header, control);

    if (r == 0)
        slot->news |= FIPC_NEWS_RECORDS;
    else if (r == -EAGAIN)
        answer_later(slot, &header, control);
}

void outbound_refuse(struct slot *slot, uint64_t id, int error)
{
    const struct outbound_item refusal = {
        .header = {.kind = FIPC_KIND_REPLY, .status = error, .id = id},
    };

    (void)put_in_ring(slot, &refusal, NULL, 0);
}

static struct fipc_farewell farewell(enum fipc_reason reason, bool retry)
{
    return (struct fipc_farewell){.reason = reason, .retry_ms = retry ? RETRY_MS : 0};
}

void outbound_goodbye(struct slot *slot, enum fipc_reason reason, bool retry)
{
    const struct fipc_control goodbye = {
        .type = FIPC_CONTROL_GOODBYE,
        .goodbye = farewell(reason, retry),
    };
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL};

    fipc_end_close(slot->channel.own);
    if (fipc_control_put(&slot->channel.out, &header, &goodbye) == 0)
        (void)fipc_channel_ring(&slot->channel, slot->news | FIPC_NEWS_RECORDS);
}

void outbound_refused(int lane_fd, enum fipc_reason reason, bool retry)
{
    const struct fipc_control refused = {
        .type = FIPC_CONTROL_REFUSED,
        .refused = farewell(reason, retry),
    };

    (void)fipc_lane_send(lane_fd, &refused, NULL, 0);
}

/* ---- out ---- */

bool outbound_waits(const struct slot *slot) { return !STAILQ_EMPTY(&slot->outbound); }

bool outbound_fits(struct slot *slot)
{
    const struct outbound_item *first = STAILQ_FIRST(&slot->outbound);

    return fipc_producer_has_room(&slot->channel.out, payload_bytes(first)) != 0;
}

static void remove_first(struct slot *slot)
{
    struct outbound_item *first = STAILQ_FIRST(&slot->outbound);

    STAILQ_REMOVE_HEAD(&slot->outbound, in_fifo);
    slot->account->unsent_bytes -= payload_bytes(first);
    if (first->handler == NULL) {
        free(first->data);
        free(first);
    }
}

int outbound_send_next(struct slot *slot, struct handler **ret_handler)
{
    const struct outbound_item *first = STAILQ_FIRST(&slot->outbound);
    int r;

    if (first == NULL)
        return 0;
    r = put_in_ring(slot, first, first->data, payload_bytes(first));
    if (r < 0)
        return r == -EAGAIN ? 0 : r;
    *ret_handler = first->handler;
    remove_first(slot);
    return 1;
}

struct handler *outbound_drop_next(struct slot *slot)
{
    while (outbound_waits(slot)) {
        struct handler *handler = STAILQ_FIRST(&slot->outbound)->handler;

        remove_first(slot);
        if (handler != NULL)
            return handler;
    }
    return NULL;
}

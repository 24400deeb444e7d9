/* SPDX-License-Identifier: MIT */
/*
 * A record is validated by the ring, its header is a copy, its payload is still in shared memory: a
 * service copies what it decides on. A record is released, which moves the head, as soon as it was
 * handled, so that the head always tells what was delivered.
 *
 * A slot is not read while an answer of its waits for room, nor without room for the answer to the
 * next record, nor with too many requests open: a client fills its own ring, nobody else's.
 */
#include "daemon/dispatch.h"

#include "common/channel.h"
#include "daemon/answer.h"
#include "daemon/broker.h"
#include "daemon/log.h"
#include "daemon/service.h"
#include "daemon/slot_close.h"
#include "daemon/toll.h"

#include <errno.h>
#include <string.h>

/* Room for the smallest answers: an error, or one of the control records. */
#define ANSWER_BYTES 64
/* Requests of one slot that may be open at the same time. */
#define LIVE_PER_SLOT_MAX 1024

struct record {
    struct fipc_header header;
    const void *payload; /* in shared memory */
    size_t size;
};

static void take_request(struct broker *broker, struct slot *slot, const struct record *record)
{
    struct handler *handler =
        answer_begin(broker, slot, record->header.id, record->header.remaining_ns);
    const struct service *service;

    if (handler == NULL) {
        answer_refuse(slot, record->header.id, -EAGAIN);
        return;
    }
    if (record->header.flags != 0) {
        answer_error(broker, handler, -EOPNOTSUPP);
        return;
    }
    service = service_of_target(record->header.target);
    service_run(broker, handler, service, record->payload, record->size);
}

/* Answers a control record. There is room for it: see dispatch_may_take(). */
static void answer_control(struct slot *slot, const struct fipc_header *question,
                           const struct fipc_control *control, int status, uint32_t target)
{
    unsigned char packet[ANSWER_BYTES];
    struct fipc_header header = {
        .kind = FIPC_KIND_CONTROL,
        .target = target,
        .status = status,
        .id = question->id,
    };
    size_t size;
    int r;

    r = fipc_control_encode(control, packet, sizeof(packet), &size);
    assert(r == 0);
    r = fipc_producer_send(&slot->channel.out, &header, packet, size);
    assert(r == 0 || r == -EBADMSG); /* a head that went corrupt since is found by the next look */
    (void)r;
    slot->news |= FIPC_NEWS_RECORDS;
}

static void log_unknown(const struct slot *slot, const struct fipc_control *open)
{
    const struct log_subject subject = {
        .slot = slot->index, .uid = slot->peer.uid, .pid = slot->peer.pid};
    char name[2 * FIPC_NAME_BYTES_MAX];

    log_event(LOG_DEBUG, LOG_EVENT_STATE, &subject, "asked for '%s', which nobody serves",
              log_escape(name, sizeof(name), open->name, open->open.name_bytes));
}

static void take_open(struct slot *slot, const struct fipc_header *question,
                      const struct fipc_control *open)
{
    struct fipc_control opened = {.type = FIPC_CONTROL_OPENED, .opened = {.path = FIPC_PATH_RELAY}};
    uint32_t target = service_target(open->name, open->open.name_bytes);

    if (target == SERVICE_NONE && log_level() >= LOG_DEBUG)
        log_unknown(slot, open);
    answer_control(slot, question, &opened, target == SERVICE_NONE ? -ENOENT : 0, target);
}

static void take_control(struct broker *broker, struct slot *slot, const struct record *record)
{
    unsigned char packet[sizeof(struct fipc_control_header) + sizeof(struct fipc_named) +
                         FIPC_NAME_BYTES_MAX];
    struct fipc_control control;

    if (record->size > sizeof(packet)) {
        slot_close(broker, slot, FIPC_REASON_MALFORMED);
        return;
    }
    memcpy(packet, record->payload, record->size);
    if (fipc_control_decode(packet, record->size, &control) < 0)
        slot_close(broker, slot, FIPC_REASON_MALFORMED);
    else if (control.type == FIPC_CONTROL_OPEN)
        take_open(slot, &record->header, &control);
    else
        slot_close(broker, slot, FIPC_REASON_UNEXPECTED);
}

static void take_record(struct broker *broker, struct slot *slot, const struct record *record)
{
    switch (record->header.kind) {
    case FIPC_KIND_SKIP:
        break;
    case FIPC_KIND_REQUEST:
        take_request(broker, slot, record);
        break;
    case FIPC_KIND_CONTROL:
        take_control(broker, slot, record);
        break;
    default:
        slot_close(broker, slot, FIPC_REASON_UNEXPECTED);
    }
}

/* 1: the slot may be read; 0: not before there is room, or something ends; -EBADMSG the reply ring
 * is corrupt */
static int dispatch_may_take(const struct broker *broker, struct slot *slot)
{
    if (broker->stopping || slot->unsent.first != HANDLER_NONE ||
        slot_n_live(slot) >= LIVE_PER_SLOT_MAX)
        return 0;
    return fipc_producer_has_room(&slot->channel.out, ANSWER_BYTES);
}

/* Takes one record. Return: 1; 0 nothing to take now; -EBADMSG; -EPIPE the slot was closed
 * meanwhile */
static int take_one(struct broker *broker, struct slot *slot)
{
    uint32_t generation = slot->generation;
    struct record record;
    int r;

    r = dispatch_may_take(broker, slot);
    if (r <= 0)
        return r;
    r = fipc_consumer_take(&slot->channel.in, &record.header, &record.payload);
    if (r < 0)
        return r == -EAGAIN ? 0 : r;
    record.size = fipc_payload_size(&record.header);
    slot->active_ns = broker->loop.now_ns;
    take_record(broker, slot, &record);
    if (slot_find(&broker->slots, slot->index, generation) == NULL)
        return -EPIPE;
    fipc_consumer_release(&slot->channel.in);
    if (fipc_consumer_left_room(&slot->channel.in))
        slot->news |= FIPC_NEWS_ROOM;
    return 1;
}

/* Rings for what was published. A bell that could not be rung is due before: its sleep was claimed,
 * so that nobody else rings for it. */
static int ring_bells(struct slot *slot)
{
    int r;

    if (slot->is_bell_due) {
        r = fipc_bell_ring(&slot->channel.bell);
        if (r < 0)
            return r;
    }
    r = fipc_channel_ring(&slot->channel, slot->news);
    slot->news = FIPC_NEWS_NONE;
    slot->is_bell_due = r < 0;
    return r;
}

static void ring(struct broker *broker, struct slot *slot)
{
    bool is_awake = !slot->is_bell_due && !fipc_end_seems_asleep(slot->channel.peer);
    uint64_t began_ns = is_awake ? 0 : toll_cpu_now_ns();
    int r = ring_bells(slot);

    if (!is_awake && !toll_charge(broker, slot, toll_cpu_now_ns() - began_ns))
        return;
    if (r == -EBADMSG)
        slot_close(broker, slot, FIPC_REASON_CORRUPT_END);
    else if (r == -EPIPE)
        slot_close(broker, slot, FIPC_REASON_GONE);
}

/* Whether its client is too costly to wake for now. */
static bool rests(const struct broker *broker, const struct slot *slot)
{
    return slot->rest_until_ns > broker->loop.now_ns;
}

unsigned dispatch_serve(struct broker *broker, struct slot *slot)
{
    unsigned work = 0;
    int r;

    if (rests(broker, slot))
        return 0;
    r = answer_send_waiting(broker, slot);
    if (r > 0)
        work += (unsigned)r;
    while (r >= 0 && work < broker->config->dispatch.messages_per_turn) {
        r = take_one(broker, slot);
        if (r == 0)
            break;
        work++;
    }
    if (r == -EPIPE)
        return work;
    if (r < 0) {
        slot_close(broker, slot, FIPC_REASON_CORRUPT_RING);
        return work;
    }
    if (!dispatch_waits_for_room(slot))
        slot->blocked_ns = 0;
    else if (slot->blocked_ns == 0 || work > 0)
        slot->blocked_ns = broker->loop.now_ns;
    if (slot->news != FIPC_NEWS_NONE || slot->is_bell_due)
        ring(broker, slot);
    return work;
}

bool dispatch_waits_for_room(struct slot *slot)
{
    return slot->unsent.first != HANDLER_NONE ||
           fipc_producer_has_room(&slot->channel.out, ANSWER_BYTES) == 0;
}

static bool unsent_fits(const struct broker *broker, struct slot *slot)
{
    const struct handler *first = &broker->handlers.handlers[slot->unsent.first];

    return fipc_producer_has_room(&slot->channel.out, first->reply_bytes) != 0;
}

bool dispatch_has_work(struct broker *broker, struct slot *slot)
{
    if (rests(broker, slot))
        return false;
    if (slot->news != FIPC_NEWS_NONE || slot->is_bell_due)
        return true;
    if (slot->unsent.first != HANDLER_NONE)
        return unsent_fits(broker, slot);
    return dispatch_may_take(broker, slot) != 0 && fipc_consumer_has_news(&slot->channel.in);
}

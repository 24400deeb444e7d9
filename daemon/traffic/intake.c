/* SPDX-License-Identifier: MIT */
/*
 * A record is validated by the ring, its header is a copy, its payload is still in shared memory: a
 * service copies what it decides on. A record is released, which moves the head, as soon as it was
 * handled, so that the head always tells what was delivered.
 *
 * A slot is not read while an answer of its waits for room, nor without room for the answer to the
 * next record: a client fills its own ring, nobody else's. Nor is a request or question taken while
 * too many are open; while the broker stops, only from a slot that works on something.
 */
#include "daemon/traffic/intake.h"

#include "common/channel.h"
#include "common/clock.h"
#include "common/name.h"
#include "common/os/os.h"
#include "daemon/base/log.h"
#include "daemon/model/core.h"
#include "daemon/model/service.h"
#include "daemon/traffic/outbound.h"
#include "daemon/traffic/pidfd.h"
#include "daemon/traffic/relay.h"
#include "daemon/traffic/reply.h"
#include "daemon/traffic/ringing.h"

#include <errno.h>
#include <string.h>

#define RECORDS_PER_CLOCK_LOOK 4
#define FLAGS_KNOWN (FIPC_REQUEST_IDEMPOTENT | FIPC_REQUEST_WAIT_SERVICE | FIPC_REQUEST_NO_WAIT)

struct record {
    struct fipc_header header;
    const void *payload; /* in shared memory */
    size_t size;
};

static void take_request(struct core *core, struct slot *slot, const struct record *record)
{
    struct service *service = service_of_target(&core->services, record->header.target);
    uint32_t place = (uint32_t)record->header.status;
    struct handler *handler;

    if (place >= slot->rings.n_places) {
        slot_end(&core->slots, slot, FIPC_REASON_MALFORMED);
        return;
    }
    handler = reply_begin(core, slot, record->header.id, record->header.remaining_ns);
    if (handler == NULL) {
        outbound_refuse(slot, record->header.id, -EAGAIN);
        return;
    }
    handler->flags = record->header.flags;
    handler->place = (uint16_t)place;
    if ((handler->flags & ~FLAGS_KNOWN) != 0)
        reply_not_delivered(core, handler, -EOPNOTSUPP);
    else if (service == NULL)
        reply_not_delivered(core, handler, -ESTALE);
    else
        relay_route(core, handler, service, record->payload, record->size);
}

/* Ends the call with this id, if it is still open. Its caller has forgotten it: nothing is said. */
static void take_cancel(struct core *core, struct slot *slot, uint64_t id)
{
    uint32_t index = slot->live.first;

    while (index != HANDLER_NONE && core->handlers.handlers[index].id != id)
        index = core->handlers.handlers[index].next;
    if (index != HANDLER_NONE)
        reply_drop(core, &core->handlers.handlers[index]);
}

static void log_unknown(const struct slot *slot, const struct fipc_control *open)
{
    const struct log_subject subject = {
        .slot = slot->index, .uid = slot->peer.uid, .pid = slot->peer.pid};
    char name[2 * FIPC_NAME_BYTES_MAX];

    log_event(LOG_DEBUG, LOG_EVENT_STATE, &subject, "asked for '%s', which nobody serves",
              log_escape(name, sizeof(name), open->name, open->open.name_bytes));
}

static void take_open(struct core *core, struct slot *slot, const struct fipc_header *question,
                      const struct fipc_control *open)
{
    const struct fipc_control opened = {.type = FIPC_CONTROL_OPENED,
                                        .opened = {.path = FIPC_PATH_RELAY}};
    const struct service *service =
        service_find(&core->services, open->name, open->open.name_bytes);
    int status = 0;

    if (!fipc_name_is_valid(open->name, open->open.name_bytes))
        status = -EINVAL;
    else if (service == NULL || !service_is_served(service))
        status = -ENOENT;
    if (status == -ENOENT && log_level() >= LOG_DEBUG)
        log_unknown(slot, open);
    outbound_answer(slot, question, &opened, status, status == 0 ? service_target(service) : 0);
}

static void take_serve(struct core *core, struct slot *slot, const struct fipc_header *question,
                       const struct fipc_control *serve)
{
    const struct fipc_control served = {.type = FIPC_CONTROL_SERVED};
    struct service *service;
    int status = serve->serve.flags != 0 || serve->serve.reserved != 0
                     ? -EOPNOTSUPP
                     : relay_serve(core, slot, serve->name, &serve->serve, &service);

    outbound_answer(slot, question, &served, status,
                    status == 0 ? service_target(service) : SERVICE_NONE);
    if (status == 0) /* after the answer: requests for this target follow */
        relay_served(core, service);
}

static void take_wait(struct core *core, struct slot *slot, const struct fipc_header *question,
                      const struct fipc_control *wait)
{
    struct handler *handler = reply_begin(core, slot, question->id, question->remaining_ns);
    struct service *service;
    int r = -EINVAL;

    if (handler == NULL) {
        const struct fipc_control waited = {.type = FIPC_CONTROL_WAITED};

        outbound_answer(slot, question, &waited, -EAGAIN, SERVICE_NONE);
        return;
    }
    handler->is_wait = true;
    if (fipc_name_is_valid(wait->name, wait->wait.name_bytes))
        r = relay_open(core, slot, wait->name, wait->wait.name_bytes, &service);
    if (r < 0) {
        reply_error(core, handler, r);
        return;
    }
    reply_set_state(core, handler, HANDLER_ROUTED);
    relay_wait(core, handler, service);
}

static void take_control(struct core *core, struct slot *slot, const struct record *record)
{
    unsigned char packet[sizeof(struct fipc_control_header) + FIPC_CONTROL_RECORD_BYTES_MAX];
    struct fipc_control control;

    if (record->size > sizeof(packet)) {
        slot_end(&core->slots, slot, FIPC_REASON_MALFORMED);
        return;
    }
    memcpy(packet, record->payload, record->size);
    if (fipc_control_decode(packet, record->size, &control) < 0)
        slot_end(&core->slots, slot, FIPC_REASON_MALFORMED);
    else if (control.type == FIPC_CONTROL_OPEN)
        take_open(core, slot, &record->header, &control);
    else if (control.type == FIPC_CONTROL_SERVE)
        take_serve(core, slot, &record->header, &control);
    else if (control.type == FIPC_CONTROL_WAIT)
        take_wait(core, slot, &record->header, &control);
    else if (control.type == FIPC_CONTROL_PIDFD)
        pidfd_answer(core, slot, &record->header);
    else
        slot_end(&core->slots, slot, FIPC_REASON_UNEXPECTED);
}

static void take_record(struct core *core, struct slot *slot, const struct record *record)
{
    switch (record->header.kind) {
    case FIPC_KIND_SKIP:
        break;
    case FIPC_KIND_REQUEST:
        take_request(core, slot, record);
        break;
    case FIPC_KIND_CONTROL:
        take_control(core, slot, record);
        break;
    case FIPC_KIND_CANCEL:
        take_cancel(core, slot, record->header.id);
        break;
    case FIPC_KIND_REPLY:
        if (slot->n_workers > 0)
            relay_reply(core, slot, &record->header, record->payload, record->size);
        else
            slot_end(&core->slots, slot, FIPC_REASON_UNEXPECTED);
        break;
    default:
        slot_end(&core->slots, slot, FIPC_REASON_UNEXPECTED);
    }
}

static bool is_asking(const struct fipc_header *header)
{
    return header->kind == FIPC_KIND_REQUEST || header->kind == FIPC_KIND_CONTROL;
}

/* Whether requests and questions of a slot are taken now. While the broker stops only a worker that
 * has a request in its hands may ask: it may need the answers for its own. */
static bool may_ask(const struct core *core, const struct slot *slot)
{
    return slot_n_live(slot) < SLOT_CALLS_MAX && (!core->stopping || relay_is_busy(slot));
}

/* ---- what can be done for a slot now ---- */

struct outlook {
    bool can_send;   /* a record that waited for room has some */
    bool can_take;   /* the next record may be taken, if there is one */
    bool needs_room; /* a record waits until the client makes room */
    bool is_corrupt; /* the ring of answers */
};

/* Room for the request that waits for it, and for some more. */
static bool has_wanted_room(struct slot *slot)
{
    size_t bytes = slot->channel.out.capacity / 4;

    if (bytes < slot->wanted_bytes)
        bytes = slot->wanted_bytes;
    return fipc_producer_has_room(&slot->channel.out, bytes) != 0;
}

/* At the answers alone: a client fills its own ring, nobody else's. */
static struct outlook look_at_answers(const struct core *core, struct slot *slot)
{
    int r;

    if (outbound_waits(slot))
        return (struct outlook){.needs_room = true, .can_send = outbound_fits(slot)};
    r = fipc_producer_has_room(&slot->channel.out, OUTBOUND_ANSWER_BYTES);
    return (struct outlook){
        .needs_room = r == 0,
        .is_corrupt = r<0, .can_take = r> 0 && (!slot->is_held || may_ask(core, slot)),
    };
}

/* The one place that decides what a slot waits for: serving it, arming it, and its being hot all
 * follow from this. */
static struct outlook look(const struct core *core, struct slot *slot)
{
    struct outlook outlook = look_at_answers(core, slot);

    if (slot->wanted_bytes > 0) {
        outlook.needs_room = true;
        outlook.can_send = outlook.can_send || has_wanted_room(slot);
    }
    return outlook;
}

/* Takes one record. A record that ends its slot is not released: the head says which records were
 * delivered. Return: 1; 0 nothing to take now; -EBADMSG */
static int take_one(struct core *core, struct slot *slot)
{
    const struct outlook outlook = look_at_answers(core, slot);
    struct record record;
    int r;

    if (!outlook.can_take)
        return outlook.is_corrupt ? -EBADMSG : 0;
    r = fipc_consumer_take(&slot->channel.in, &record.header, &record.payload);
    if (r < 0)
        return r == -EAGAIN ? 0 : r;
    slot->is_held = is_asking(&record.header) && !may_ask(core, slot);
    if (slot->is_held)
        return 0;
    record.size = fipc_payload_size(&record.header);
    slot->active_ns = core->now_ns;
    take_record(core, slot, &record);
    if (slot->is_ending)
        return 1;
    fipc_consumer_release(&slot->channel.in);
    if (fipc_consumer_left_room(&slot->channel.in))
        slot->news |= FIPC_NEWS_ROOM;
    return 1;
}

/* Sends what waited for room. Return: how many; -EBADMSG */
static int send_waiting(struct core *core, struct slot *slot)
{
    int sent = reply_send_waiting(core, slot);

    if (sent >= 0 && slot->wanted_bytes > 0 && has_wanted_room(slot))
        relay_has_room(core, slot);
    return sent;
}

/* Whether the slot has used up its turn. The clock is looked at where that costs little beside the
 * records. */
static bool had_turn(struct core *core, unsigned work, uint64_t end_ns)
{
    if (work > 0 && work % RECORDS_PER_CLOCK_LOOK == 0 && core_look_at_clock(core) >= end_ns)
        core->is_slice_over = true;
    return core->is_slice_over || work >= core->config->dispatch.messages_per_turn;
}

unsigned intake_serve(struct core *core, struct slot *slot, uint64_t end_ns)
{
    unsigned work = 0;
    int r;

    if (slot->is_ending)
        return 0;
    core->is_slice_over = false;
    r = send_waiting(core, slot);
    if (r > 0)
        work += (unsigned)r;
    while (r >= 0 && !slot->is_ending && !had_turn(core, work, end_ns)) {
        r = take_one(core, slot);
        if (r == 0)
            break;
        work++;
    }
    if (r < 0)
        slot_end(&core->slots, slot, FIPC_REASON_CORRUPT_RING);
    if (slot->is_ending)
        return work;
    if (!look(core, slot).needs_room)
        slot->blocked_ns = 0;
    else if (slot->blocked_ns == 0 || work > 0)
        slot->blocked_ns = core->now_ns;
    if (ringing_is_due(core, slot))
        ringing_ring(core, slot);
    return work;
}

bool intake_waits_for_room(const struct core *core, struct slot *slot)
{
    return look(core, slot).needs_room;
}

bool intake_has_work(struct core *core, struct slot *slot)
{
    struct outlook outlook;

    if (slot->is_ending)
        return false;
    outlook = look(core, slot);
    return ringing_is_due(core, slot) || outlook.can_send || outlook.is_corrupt ||
           (outlook.can_take && fipc_consumer_has_news(&slot->channel.in));
}

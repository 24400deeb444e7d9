/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/leaving.h"

#include "daemon/model/core.h"
#include "daemon/model/queue.h"
#include "daemon/model/worker.h"
#include "daemon/traffic/queueing.h"
#include "daemon/traffic/relay.h"
#include "daemon/traffic/reply.h"

#include <errno.h>
#include <stdlib.h>

/* Of one request: it may be what kills them. */
#define WORKER_DEATHS_MAX 3
/* Requests or replies that one step takes on. */
#define LAST_AT_ONCE 32

bool leaving_take_last_replies(struct core *core, struct slot *slot)
{
    struct fipc_consumer *ring = &slot->channel.in;
    struct fipc_header header;
    const void *payload;
    struct worker *worker;

    TAILQ_FOREACH(worker, &slot->workers, of_slot)
        worker->concurrency = 0; /* it is given nothing more */
    for (int n = 0; n < LAST_AT_ONCE; n++) {
        /* an honest one has no more in its ring: what it was asked for, what it asks, and cancels
         */
        if (!relay_is_busy(slot) ||
            slot->n_last_records++ >= relay_n_deliveries(slot) + 2 * SLOT_CALLS_MAX ||
            fipc_consumer_take(ring, &header, &payload) < 0)
            return true;
        if (header.kind == FIPC_KIND_REPLY)
            relay_reply(core, slot, &header, payload, fipc_payload_size(&header));
        fipc_consumer_release(ring);
    }
    return false;
}

/* A request in the hands of a lost worker: if it had not taken it, or the request may be repeated,
 * another worker gets it. The handler's copy is used, or the caller's bytes: the worker could
 * change those in its ring.
 */
static void take_back(struct core *core, struct delivery *delivery)
{
    struct handler *handler = delivery->handler;
    struct service *service = delivery->worker->service;
    struct slot *caller = slot_of_caller(&core->slots, handler);
    bool was_taken = fipc_producer_was_taken(&delivery->worker->slot->channel.out, delivery->until);

    delivery_end(&core->deliveries, delivery);
    if (!was_taken)
        fipc_region_take_back(&caller->channel.region, handler->place);
    handler->n_worker_deaths += was_taken;
    if (was_taken && ((handler->flags & FIPC_REQUEST_IDEMPOTENT) == 0 ||
                      handler->n_worker_deaths == WORKER_DEATHS_MAX)) {
        reply_error(core, handler, -ECONNRESET);
    } else if (!relay_keeps_request(core, handler)) {
        reply_not_delivered(core, handler, -ESTALE);
    } else if (queue_put_first(service, caller, handler) < 0) {
        reply_error(core, handler, was_taken ? -ECONNRESET : -ENOMEM);
    } else {
        reply_set_state(core, handler, HANDLER_ROUTED);
    }
}

/* The worker has no deliveries any more. */
static void worker_leave(struct core *core, struct worker *worker)
{
    struct service *service = worker->service;

    worker_remove(worker);
    relay_drain(core, service);
    queueing_release_if_unused(core, service);
}

/* Return: whether the slot has a worker no more */
static bool leave_one(struct core *core, struct slot *slot)
{
    struct worker *worker = TAILQ_FIRST(&slot->workers);
    struct delivery *delivery;

    if (worker == NULL)
        return true;
    worker->concurrency = 0; /* it is given nothing more */
    delivery = TAILQ_LAST(&worker->deliveries, delivery_list);
    if (delivery == NULL)
        worker_leave(core, worker);
    else if (delivery->handler != NULL)
        take_back(core, delivery);
    else
        delivery_end(&core->deliveries, delivery);
    return false;
}

bool leaving_go_on(struct core *core, struct slot *slot)
{
    for (int n = 0; n < LAST_AT_ONCE; n++) {
        if (!leave_one(core, slot))
            continue;
        free(slot->groups);
        slot->groups = NULL;
        return true;
    }
    return false;
}

/* ---- the end ---- */

static void stop_service(struct core *core, struct service *service)
{
    struct line_item *item;

    if (service->n_workers == 0)
        relay_drain(core, service);
    while (service->name != NULL && (item = lines_first(&service->waits)) != NULL)
        reply_drop(core, LINE_ITEM_OWNER(item, struct handler, in_line));
}

void leaving_stop(struct core *core)
{
    for (uint32_t i = 0; i < core->services.places.n_used; i++) {
        if (core->services.services[i].name != NULL)
            stop_service(core, &core->services.services[i]);
    }
}

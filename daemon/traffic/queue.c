/* SPDX-License-Identifier: MIT */
/*
 * A request finds no room where the queue of its service is full, or its uid's share of all queues.
 * Who was refused is told when both are half empty, so that it does not come back for each single
 * place, and when the share has room for the largest request that was refused. Until then nobody
 * else is let in either: else those who were never refused might keep both full.
 *
 * What is in the queues may stay there, with a worker that is stopped: then neither is ever half
 * empty. So who has nothing in any queue finds room always, and all who wait are told when one of
 * them has nothing left. A slot holds one request more at most by that.
 */
#include "daemon/traffic/queue.h"

#include "common/message.h"
#include "daemon/model/core.h"
#include "daemon/model/room_wish.h"
#include "daemon/traffic/reply.h"

#include <errno.h>

#define QUEUE_MAX 4096

/* ---- room ---- */

static bool is_service_low(const struct service *service)
{
    return service->n_queued <= QUEUE_MAX / 2;
}

static bool service_has_room(const struct service *service)
{
    return service->n_queued < QUEUE_MAX &&
           (TAILQ_EMPTY(&service->room_wishes) || is_service_low(service));
}

static bool share_has_room(const struct quota *quota, const struct account *account, size_t size)
{
    return quota_allows_queued(quota, account, size) &&
           (TAILQ_EMPTY(&account->room_wishes) || quota_is_queued_low(quota, account));
}

static bool has_room(const struct quota *quota, const struct service *service,
                     const struct slot *slot, size_t size)
{
    return slot->n_queued == 0 ||
           (service_has_room(service) && share_has_room(quota, slot->account, size));
}

static void service_became_low(struct core *core, struct service *service)
{
    struct room_wish *wish, *next;

    for (wish = TAILQ_FIRST(&service->room_wishes); wish != NULL; wish = next) {
        next = TAILQ_NEXT(wish, of_service);
        if (quota_is_queued_low(&core->quota, wish->slot->account))
            room_wish_fulfil(core, wish);
    }
}

/* The share is low, or one of those who wait has nothing left in it. */
static void tell_share(struct core *core, struct account *account)
{
    struct room_wish *wish, *next;

    for (wish = TAILQ_FIRST(&account->room_wishes); wish != NULL; wish = next) {
        next = TAILQ_NEXT(wish, of_account);
        if (is_service_low(wish->service) || wish->slot->n_queued == 0)
            room_wish_fulfil(core, wish);
    }
}

/* ---- in and out ---- */

/* It is in the list already. */
static void count_in(struct core *core, struct service *service, struct handler *handler)
{
    struct slot *slot = answer_caller(core, handler);

    handler->queued = service;
    service->n_queued++;
    slot->n_queued++;
    slot->account->n_queued++;
    slot->account->queued_bytes += handler->request_bytes;
}

static void count_out(struct core *core, struct service *service, struct handler *handler)
{
    struct slot *slot = answer_caller(core, handler);
    struct account *account = slot->account;
    bool was_service_low = is_service_low(service),
         was_share_low = quota_is_queued_low(&core->quota, account);
    bool waits_with_nothing;

    service->n_queued--;
    slot->n_queued--;
    account->n_queued--;
    account->queued_bytes -= handler->request_bytes;
    waits_with_nothing = slot->n_queued == 0 && !TAILQ_EMPTY(&slot->room_wishes);
    if (!was_service_low && is_service_low(service))
        service_became_low(core, service);
    if (waits_with_nothing || (!was_share_low && quota_is_queued_low(&core->quota, account)))
        tell_share(core, account);
}

void queue_put_first(struct core *core, struct service *service, struct handler *handler)
{
    TAILQ_INSERT_HEAD(&service->queue, handler, in_queue);
    count_in(core, service, handler);
}

void queue_wait(struct service *service, struct handler *handler)
{
    TAILQ_INSERT_TAIL(&service->waits, handler, in_queue);
    handler->queued = service;
}

void queue_remove(struct core *core, struct handler *handler)
{
    struct service *service = handler->queued;

    handler->queued = NULL;
    if (handler->is_wait) {
        TAILQ_REMOVE(&service->waits, handler, in_queue);
        return;
    }
    TAILQ_REMOVE(&service->queue, handler, in_queue);
    count_out(core, service, handler);
}

/* Return: -EAGAIN; else as room_wish_make() */
static int refuse(const struct quota *quota, struct service *service, struct slot *slot,
                  const struct handler *handler, size_t size)
{
    int r = 0;

    if ((handler->flags & FIPC_REQUEST_NO_WAIT) == 0)
        r = room_wish_make(quota, service, slot, size);
    return r < 0 ? r : -EAGAIN;
}

int queue_request(struct core *core, struct service *service, struct handler *handler,
                  const void *payload, size_t size)
{
    struct slot *slot = answer_caller(core, handler);
    int r;

    /* nor before it was told: its requests stay in order */
    if (!has_room(&core->quota, service, slot, size) || room_wish_exists(service, slot))
        return refuse(&core->quota, service, slot, handler, size);
    r = handler_keep_request(handler, payload, size);
    if (r < 0)
        return r;
    TAILQ_INSERT_TAIL(&service->queue, handler, in_queue);
    count_in(core, service, handler);
    return 0;
}

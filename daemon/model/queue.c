/* SPDX-License-Identifier: MIT */
/*
 * A request finds no room where the queue of its service is full, or its uid's share of all queues.
 * Its slot is notified when both are half empty, so that it does not come back for each single
 * place, and when the share has room for the largest request that was refused. Until then no other
 * slot is let in either: else those that were never refused might keep both full.
 *
 * Requests may stay in the queues, with a worker that is stopped: then neither is ever half empty.
 * So a slot that has nothing in any queue finds room always, and all slots that wait are notified
 * when one of them has nothing left. A slot holds one request more at most by that.
 */
#include "daemon/model/queue.h"

#include "common/message.h"
#include "daemon/model/account.h"
#include "daemon/model/quota.h"
#include "daemon/model/room_wish.h"
#include "daemon/model/service.h"
#include "daemon/model/slot.h"

#include <errno.h>

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

static void service_became_low(const struct quota *quota, struct service *service,
                               struct room_wish_list *granted)
{
    struct room_wish *wish, *next;

    for (wish = TAILQ_FIRST(&service->room_wishes); wish != NULL; wish = next) {
        next = TAILQ_NEXT(wish, of_service);
        if (quota_is_queued_low(quota, wish->slot->account))
            room_wish_grant(wish, granted);
    }
}

/* The share is low, or a slot that waits has nothing left in it. */
static void share_became_low(struct account *account, struct room_wish_list *granted)
{
    struct room_wish *wish, *next;

    for (wish = TAILQ_FIRST(&account->room_wishes); wish != NULL; wish = next) {
        next = TAILQ_NEXT(wish, of_account);
        if (is_service_low(wish->service) || wish->slot->n_queued == 0)
            room_wish_grant(wish, granted);
    }
}

/* ---- in and out ---- */

/* It is in the list already. */
static void count_in(struct service *service, struct slot *caller, struct handler *handler)
{
    handler->queued = service;
    service->n_queued++;
    caller->n_queued++;
    caller->account->n_queued++;
    caller->account->queued_bytes += handler->request_bytes;
}

static void count_out(const struct quota *quota, struct service *service, struct slot *caller,
                      const struct handler *handler, struct room_wish_list *granted)
{
    struct account *account = caller->account;
    bool was_service_low = is_service_low(service);
    bool was_share_low = quota_is_queued_low(quota, account);
    bool waits_with_nothing;

    service->n_queued--;
    caller->n_queued--;
    account->n_queued--;
    account->queued_bytes -= handler->request_bytes;
    waits_with_nothing = caller->n_queued == 0 && !TAILQ_EMPTY(&caller->room_wishes);
    if (!was_service_low && is_service_low(service))
        service_became_low(quota, service, granted);
    if (waits_with_nothing || (!was_share_low && quota_is_queued_low(quota, account)))
        share_became_low(account, granted);
}

void queue_put_first(struct service *service, struct slot *caller, struct handler *handler)
{
    TAILQ_INSERT_HEAD(&service->queue, handler, in_queue);
    count_in(service, caller, handler);
}

void queue_wait(struct service *service, struct handler *handler)
{
    TAILQ_INSERT_TAIL(&service->waits, handler, in_queue);
    handler->queued = service;
}

void queue_remove(const struct quota *quota, struct slot *caller, struct handler *handler,
                  struct room_wish_list *granted)
{
    struct service *service = handler->queued;

    handler->queued = NULL;
    if (handler->is_wait) {
        TAILQ_REMOVE(&service->waits, handler, in_queue);
        return;
    }
    TAILQ_REMOVE(&service->queue, handler, in_queue);
    count_out(quota, service, caller, handler, granted);
}

/* Return: -EAGAIN; else as room_wish_make() */
static int refuse(const struct quota *quota, struct service *service, struct slot *caller,
                  const struct handler *handler, size_t size)
{
    int r = 0;

    if ((handler->flags & FIPC_REQUEST_NO_WAIT) == 0)
        r = room_wish_make(quota, service, caller, size);
    return r < 0 ? r : -EAGAIN;
}

int queue_put(const struct quota *quota, struct service *service, struct slot *caller,
              struct handler *handler, const void *payload, size_t size)
{
    int r;

    /* nor before it was notified: its requests stay in order */
    if (!has_room(quota, service, caller, size) || room_wish_exists(service, caller))
        return refuse(quota, service, caller, handler, size);
    r = handler_keep_request(handler, payload, size);
    if (r < 0)
        return r;
    TAILQ_INSERT_TAIL(&service->queue, handler, in_queue);
    count_in(service, caller, handler);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * A request finds no room where its account's share of the service's queue is taken, or its share
 * of all queues. Its slot is notified when both are half empty, so that it does not come back for
 * each single place, and when the share has room for the largest request that was refused. Until
 * then no other slot of the account is let in either: else those that were never refused might
 * keep both full.
 *
 * Requests may stay in the queues, with a worker that is stopped: then neither is ever half empty.
 * So a slot that has nothing in any queue finds room always, and all slots that wait are notified
 * when one of them has nothing left. A slot holds one request more at most by that.
 *
 * The bytes of a request count as long as there is a copy of it, in the queue or while a worker has
 * it. A request that is delivered with a copy needs room for that too.
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

static bool may_hold(const struct quota *quota, const struct service *service,
                     const struct account *account, uint32_t held)
{
    return quota_allows_queue_place(quota, account, held, service->queue.n_items);
}

static bool is_half_empty(const struct service *service)
{
    return service->queue.n_items <= QUEUE_MAX / 2;
}

/* Whether the account may hold twice as many requests in the queue as it does. */
static bool is_line_low(const struct quota *quota, const struct service *service,
                        const struct account *account)
{
    uint32_t held = lines_held(&service->queue, account);

    return may_hold(quota, service, account, held > 0 ? 2 * held - 1 : 0);
}

static bool is_low(const struct quota *quota, const struct service *service,
                   const struct account *account)
{
    return is_line_low(quota, service, account) && quota_is_queued_low(quota, account);
}

/* @size: of the copy that is not made yet */
static bool has_room(const struct quota *quota, const struct service *service,
                     const struct slot *slot, size_t size)
{
    const struct account *account = slot->account;

    if (slot->n_queued == 0)
        return true;
    return may_hold(quota, service, account, lines_held(&service->queue, account)) &&
           quota_allows_queued(quota, account) && quota_allows_copy(quota, account, size) &&
           (TAILQ_EMPTY(&account->room_wishes) || is_low(quota, service, account));
}

static void queue_became_half_empty(const struct quota *quota, struct service *service,
                                    struct room_wish_list *granted)
{
    struct room_wish *wish, *next;

    for (wish = TAILQ_FIRST(&service->room_wishes); wish != NULL; wish = next) {
        next = TAILQ_NEXT(wish, of_service);
        if (is_low(quota, service, wish->slot->account))
            room_wish_grant(wish, granted);
    }
}

/* The account became low, or a slot that waits has nothing left. */
static void account_became_low(const struct quota *quota, struct account *account,
                               struct room_wish_list *granted)
{
    struct room_wish *wish, *next;

    for (wish = TAILQ_FIRST(&account->room_wishes); wish != NULL; wish = next) {
        next = TAILQ_NEXT(wish, of_account);
        if (is_line_low(quota, wish->service, account) || wish->slot->n_queued == 0)
            room_wish_grant(wish, granted);
    }
}

/* ---- counting ---- */

/* It is in the line already. */
static void count_in(struct service *service, struct slot *caller, struct handler *handler)
{
    handler->queued = service;
    caller->n_queued++;
    caller->account->n_queued++;
}

static void take_out(const struct quota *quota, struct service *service, struct slot *caller,
                     struct handler *handler, struct room_wish_list *granted)
{
    struct account *account = caller->account;
    bool was_half_empty = is_half_empty(service);
    bool was_line_low = is_line_low(quota, service, account);
    bool was_share_low = quota_is_queued_low(quota, account);
    bool waits_with_nothing;

    lines_remove(&service->queue, &handler->in_line);
    caller->n_queued--;
    account->n_queued--;
    waits_with_nothing = caller->n_queued == 0 && !TAILQ_EMPTY(&caller->room_wishes);
    if (!was_half_empty && is_half_empty(service))
        queue_became_half_empty(quota, service, granted);
    if (waits_with_nothing || (!was_share_low && quota_is_queued_low(quota, account)) ||
        (!was_line_low && is_low(quota, service, account)))
        account_became_low(quota, account, granted);
}

/* ---- copies ---- */

/* Return: 0; -ENOMEM */
static int copy_make(struct slot *caller, struct handler *handler, const void *payload, size_t size)
{
    int r;

    if (handler->request != NULL)
        return 0;
    r = handler_keep_request(handler, payload, size);
    if (handler->request != NULL) {
        caller->n_copies++;
        caller->account->copy_bytes += handler->request_bytes;
    }
    return r;
}

void queue_drop_copy(const struct quota *quota, struct slot *caller, struct handler *handler,
                     struct room_wish_list *granted)
{
    struct account *account = caller->account;
    bool was_share_low = quota_is_queued_low(quota, account);
    bool waits_with_nothing;

    if (handler->request == NULL)
        return;
    caller->n_copies--;
    account->copy_bytes -= handler->request_bytes;
    handler_drop_request(handler);
    waits_with_nothing =
        caller->n_copies == 0 && caller->n_queued == 0 && !TAILQ_EMPTY(&caller->room_wishes);
    if (waits_with_nothing || (!was_share_low && quota_is_queued_low(quota, account)))
        account_became_low(quota, account, granted);
}

/* ---- in and out ---- */

int queue_put_first(struct service *service, struct slot *caller, struct handler *handler)
{
    int r = lines_put_first(&service->queue, caller->account, &handler->in_line);

    if (r == 0)
        count_in(service, caller, handler);
    return r;
}

int queue_wait(struct service *service, const struct slot *caller, struct handler *handler)
{
    int r = lines_put(&service->waits, caller->account, &handler->in_line);

    if (r == 0)
        handler->queued = service;
    return r;
}

void queue_remove(const struct quota *quota, struct slot *caller, struct handler *handler,
                  struct room_wish_list *granted)
{
    struct service *service = handler->queued;

    handler->queued = NULL;
    if (handler->is_wait)
        lines_remove(&service->waits, &handler->in_line);
    else
        take_out(quota, service, caller, handler, granted);
}

static struct handler *handler_of(struct line_item *item)
{
    return item != NULL ? LINE_ITEM_OWNER(item, struct handler, in_line) : NULL;
}

struct handler *queue_first(const struct service *service)
{
    return handler_of(lines_first(&service->queue));
}

struct handler *queue_next(const struct handler *handler)
{
    return handler_of(lines_next(&handler->in_line));
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
    if (!has_room(quota, service, caller, handler->request == NULL ? size : 0) ||
        room_wish_exists(service, caller))
        return refuse(quota, service, caller, handler, size);
    r = copy_make(caller, handler, payload, size);
    if (r == 0)
        r = lines_put(&service->queue, caller->account, &handler->in_line);
    if (r == 0)
        count_in(service, caller, handler);
    return r;
}

int queue_keep_copy(const struct quota *quota, struct service *service, struct slot *caller,
                    struct handler *handler, const void *payload, size_t size)
{
    if (caller->n_copies > 0 && !quota_allows_copy(quota, caller->account, size))
        return refuse(quota, service, caller, handler, size);
    return copy_make(caller, handler, payload, size);
}

/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/relay.h"

#include "common/name.h"
#include "common/os/os.h"
#include "daemon/model/core.h"
#include "daemon/model/policy.h"
#include "daemon/model/queue.h"
#include "daemon/model/room_wish.h"
#include "daemon/model/worker.h"
#include "daemon/traffic/queueing.h"
#include "daemon/traffic/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- into a worker's hands ---- */

/* Return: as fipc_peer_groups() */
static int find_groups(struct slot *slot)
{
    int r;

    if (slot->has_groups)
        return 0;
    r = fipc_peer_groups(slot->lane_fd, &slot->groups, &slot->n_groups);
    if (r < 0)
        return r;
    slot->has_groups = true;
    return 0;
}

/* What a request of this size takes in a worker's ring. */
static size_t delivery_bytes(const struct slot *caller, size_t size)
{
    return sizeof(struct fipc_delivery) + caller->n_groups * sizeof(caller->groups[0]) + size;
}

/* Return: as fipc_producer_reserve() */
static int put_request(struct core *core, struct worker *worker, struct handler *handler,
                       struct delivery *delivery, const void *payload, size_t size)
{
    const struct slot *caller = slot_of_caller(&core->slots, handler);
    size_t groups_bytes = caller->n_groups * sizeof(caller->groups[0]);
    struct fipc_delivery about = {
        .number = delivery->number,
        .uid = caller->peer.uid,
        .gid = caller->peer.gid,
        .pid = caller->peer.pid,
        .n_groups = caller->n_groups,
        .token = fipc_siphash(&core->token_key, ++core->n_tokens),
    };
    struct fipc_header header = {
        .kind = FIPC_KIND_REQUEST,
        .flags = handler->flags,
        .target = service_target(worker->service),
        .id = handler->id,
        .remaining_ns =
            handler->deadline_ns > core->now_ns ? handler->deadline_ns - core->now_ns : 1,
    };
    struct fipc_producer *ring = &worker->slot->channel.out;
    struct fipc_loan loan;
    unsigned char *out;
    int r = fipc_producer_reserve(ring, delivery_bytes(caller, size), &loan);

    if (r < 0)
        return r;
    out = loan.payload;
    memcpy(out, &about, sizeof(about));
    out += sizeof(about);
    if (groups_bytes > 0)
        memcpy(out, caller->groups, groups_bytes);
    out += groups_bytes;
    if (size > 0)
        memcpy(out, payload, size);
    fipc_region_hand_over(&caller->channel.region, handler->place, handler->id, about.token,
                          worker->handle, worker->slot->peer.pid);
    fipc_producer_commit(ring, &loan, &header);
    delivery->until = ring->tail;
    return 0;
}

/* Return: 0; -EAGAIN this worker has no room now; -ENOMEM */
static int deliver(struct core *core, struct worker *worker, struct handler *handler,
                   const void *payload, size_t size)
{
    struct slot *slot = worker->slot;
    struct delivery *delivery = delivery_begin(&core->deliveries, worker, handler);
    int r;

    if (delivery == NULL)
        return -ENOMEM;
    core_heat(core, slot);
    r = put_request(core, worker, handler, delivery, payload, size);
    if (r < 0) {
        delivery_end(&core->deliveries, delivery);
        if (r == -EBADMSG)
            slot_end(&core->slots, slot, FIPC_REASON_CORRUPT_RING);
        slot->wanted_bytes = (uint32_t)delivery_bytes(slot_of_caller(&core->slots, handler), size);
        return -EAGAIN;
    }
    core->deliveries.n_made++;
    slot->news |= FIPC_NEWS_RECORDS;
    reply_set_state(core, handler, HANDLER_RUNNING);
    return 0;
}

/* Gives the request to a worker if *@ret_choice is WORKER_FOUND. Return: 0; an error for the caller
 */
static int deliver_to_any(struct core *core, struct service *service, struct handler *handler,
                          const void *payload, size_t size, enum worker_choice *ret_choice)
{
    size_t bytes = delivery_bytes(slot_of_caller(&core->slots, handler), size);
    struct worker *worker;
    int r;

    do {
        *ret_choice = worker_find(service, bytes, &worker);
        if (*ret_choice != WORKER_FOUND)
            return *ret_choice == WORKER_TOO_LARGE ? -EMSGSIZE : 0;
        r = deliver(core, worker, handler, payload, size);
    } while (r == -EAGAIN);
    return r;
}

bool relay_keeps_request(struct core *core, const struct handler *handler)
{
    return (handler->flags & FIPC_REQUEST_IDEMPOTENT) != 0 ||
           slot_of_caller(&core->slots, handler)->state == SLOT_ONESHOT;
}

/* ---- what waits goes on ---- */

/* One step takes on requests of this size together; then others have their turns. A request counts
 * as DRAINED_EACH at least. */
#define DRAINED_BYTES ((size_t)256 * 1024)
#define DRAINED_EACH ((size_t)8 * 1024)

static void spend(size_t *left, size_t bytes)
{
    if (bytes < DRAINED_EACH)
        bytes = DRAINED_EACH;
    *left -= bytes < *left ? bytes : *left;
}

enum feeding { FED, NOT_FED, NONE_IS_FREE };

/* Gives one request of an account to a worker. What none of the free ones has a ring for is in
 * nobody's way. */
static enum feeding feed_line(struct core *core, struct service *service, struct line *line,
                              size_t *left)
{
    struct line_item *item;

    TAILQ_FOREACH(item, &line->items, in_line) {
        struct handler *handler = LINE_ITEM_OWNER(item, struct handler, in_line);
        enum worker_choice choice;
        int r = deliver_to_any(core, service, handler, handler->request, handler->request_bytes,
                               &choice);

        if (choice == WORKER_NONE_FREE)
            return NONE_IS_FREE;
        if (choice == WORKER_NONE_LARGE)
            continue;
        spend(left, handler->request_bytes);
        queueing_leave(core, handler);
        if (r < 0)
            reply_not_delivered(core, handler, r);
        else if (!relay_keeps_request(core, handler))
            queueing_drop_copy(core, handler);
        return FED;
    }
    return NOT_FED;
}

/* Gives what waits in the queue to workers, while any is free. The accounts take turns. */
static void feed_queue(struct core *core, struct service *service, size_t *left)
{
    uint32_t n_not_fed = 0; /* lines in a row */

    while (*left > 0 && n_not_fed < service->queue.n_lines) {
        struct line *line = TAILQ_FIRST(&service->queue.turns);
        const struct account *account = line->account;

        switch (feed_line(core, service, line, left)) {
        case NONE_IS_FREE:
            return;
        case NOT_FED:
            n_not_fed++;
            break;
        case FED:
            n_not_fed = 0;
            break;
        }
        lines_end_turn(&service->queue, account); /* the line may be gone */
    }
}

/* The name is served: those that waited for it are answered. The accounts take turns. */
static void end_waits(struct core *core, struct service *service, size_t *left)
{
    struct line_item *item;

    while (*left > 0 && (item = lines_first(&service->waits)) != NULL) {
        struct handler *handler = LINE_ITEM_OWNER(item, struct handler, in_line);

        spend(left, 0);
        lines_end_turn(&service->waits, slot_of_caller(&core->slots, handler)->account);
        queueing_leave(core, handler);
        reply_set_state(core, handler, HANDLER_RUNNING);
        reply_data(core, handler, NULL, 0);
    }
}

/* The name has no worker any more: only requests stay that wait for one. While the broker stops
 * their clients wait at the next one. */
static void end_queue(struct core *core, struct service *service, size_t *left)
{
    struct handler *handler, *next;

    for (handler = queue_first(service); *left > 0 && handler != NULL; handler = next) {
        bool waits = (handler->flags & FIPC_REQUEST_WAIT_SERVICE) != 0;

        next = queue_next(handler);
        if (waits && !core->stopping)
            continue;
        spend(left, 0);
        queueing_leave(core, handler);
        if (handler->n_worker_deaths > 0)
            reply_error(core, handler, -ECONNRESET);
        else
            reply_not_delivered(core, handler, waits ? -ESTALE : -ENOENT);
    }
}

/* Return: whether there may be more to do */
static bool drain_some(struct core *core, struct service *service)
{
    size_t left = DRAINED_BYTES;
    struct worker *worker;

    if (service->n_workers == 0) {
        end_queue(core, service, &left);
        return left == 0;
    }
    end_waits(core, service, &left);
    feed_queue(core, service, &left);
    if (left == 0)
        return true;
    return service->queue.n_items == 0 && !TAILQ_EMPTY(&service->room_wishes) &&
           worker_find(service, 0, &worker) == WORKER_FOUND && queueing_grant_some(core, service);
}

static void drain_over(void *context, struct deadline *deadline)
{
    struct service *service = DEADLINE_OWNER(deadline, struct service, drain);

    relay_drain(context, service);
    queueing_release_if_unused(context, service);
}

void relay_drain(struct core *core, struct service *service)
{
    if (drain_some(core, service))
        deadline_set(core->deadlines, &service->account->deadlines, &service->drain, core->now_ns,
                     drain_over);
}

/* ---- a request's way ---- */

/* Return: 0; an error, for the caller */
static int deliver_or_queue(struct core *core, struct handler *handler, struct service *service,
                            const void *payload, size_t size)
{
    struct slot *caller = slot_of_caller(&core->slots, handler);
    enum worker_choice choice;
    int r = find_groups(caller);

    if (r == 0 && relay_keeps_request(core, handler))
        r = queue_keep_copy(&core->quota, service, caller, handler, payload, size);
    if (r < 0)
        return r;
    /* else it waits behind those that were refused, or whose turn comes */
    if (!room_wish_exists(service, caller) && !deadline_is_set(&service->drain)) {
        r = deliver_to_any(core, service, handler, payload, size, &choice);
        if (r < 0 || choice == WORKER_FOUND)
            return r;
    }
    return queue_put(&core->quota, service, caller, handler, payload, size);
}

static void relay_request(struct core *core, struct handler *handler, struct service *service,
                          const void *payload, size_t size)
{
    bool may_wait = (handler->flags & FIPC_REQUEST_WAIT_SERVICE) != 0;
    int r = -ENOENT;

    reply_set_deadline(core, handler);
    if (service->n_workers > 0 || may_wait)
        r = deliver_or_queue(core, handler, service, payload, size);
    if (r < 0)
        reply_not_delivered(core, handler, r);
}

void relay_route(struct core *core, struct handler *handler, struct service *service,
                 const void *payload, size_t size)
{
    if (service == NULL) {
        reply_not_delivered(core, handler, -ENOENT);
        return;
    }
    reply_set_state(core, handler, HANDLER_ROUTED);
    if (service->serve == NULL) {
        relay_request(core, handler, service, payload, size);
        return;
    }
    reply_set_state(core, handler, HANDLER_RUNNING);
    service->serve(core, handler, payload, size);
}

void relay_wait(struct core *core, struct handler *handler, struct service *service)
{
    int r;

    handler->answer.header.target = service_target(service);
    if (service_is_served(service)) {
        reply_set_state(core, handler, HANDLER_RUNNING);
        reply_data(core, handler, NULL, 0);
        return;
    }
    r = queue_wait(service, slot_of_caller(&core->slots, handler), handler);
    if (r < 0)
        reply_error(core, handler, r);
    else
        reply_set_deadline(core, handler);
}

/* ---- what workers do ---- */

void relay_reply(struct core *core, struct slot *slot, const struct fipc_header *header,
                 const void *payload, size_t size)
{
    struct delivery *delivery = delivery_of(&core->deliveries, slot, header->target);
    int status =
        header->status <= 0 && header->status >= -FIPC_ERROR_MAX ? header->status : -EPROTO;
    struct service *service;
    struct handler *handler;

    if (delivery == NULL || delivery->id != header->id) {
        core->deliveries.n_unknown++;
        return;
    }
    handler = delivery->handler;
    service = delivery->worker->service;
    delivery_end(&core->deliveries, delivery);
    if (handler == NULL)
        core->deliveries.n_late++;
    else if (status < 0)
        reply_error(core, handler, status);
    else
        reply_data(core, handler, payload, size);
    relay_drain(core, service);
}

static bool serves(const struct slot *slot, const struct service *service)
{
    const struct worker *worker;

    TAILQ_FOREACH(worker, &slot->workers, of_slot) {
        if (worker->service == service)
            return true;
    }
    return false;
}

int relay_open(struct core *core, struct slot *slot, const char *name, size_t name_bytes,
               struct service **ret_service)
{
    struct service *service = service_find(&core->services, name, name_bytes);

    if (service == NULL && !quota_allows_name(&core->quota, slot->account, core->services.n_names))
        return -EDQUOT;
    if (service == NULL)
        service = service_open(&core->services, name, name_bytes, slot->account);
    if (service == NULL)
        return -ENOMEM;
    *ret_service = service;
    return 0;
}

int relay_serve(struct core *core, struct slot *slot, const char *name,
                const struct fipc_serve *serve, struct service **ret_service)
{
    uint32_t concurrency = serve->concurrency == 0 ? 1 : serve->concurrency;
    struct service *service;
    struct worker *worker;
    int r;

    if (!fipc_name_is_valid(name, serve->name_bytes))
        return -EINVAL;
    if (!policy_may_serve(core->uid, &slot->peer, name, serve->name_bytes))
        return -EACCES;
    if (!quota_allows_worker(&core->quota, slot))
        return -EDQUOT;
    r = relay_open(core, slot, name, serve->name_bytes, &service);
    if (r < 0)
        return r;
    if (serves(slot, service))
        return -EEXIST;
    if (concurrency > FIPC_CONCURRENCY_MAX)
        concurrency = FIPC_CONCURRENCY_MAX;
    worker = worker_add(service, slot, concurrency);
    if (worker == NULL) {
        queueing_release_if_unused(core, service);
        return -ENOMEM;
    }
    worker->handle = serve->handle;
    *ret_service = service;
    return 0;
}

void relay_served(struct core *core, struct service *service)
{
    service->was_served = true;
    relay_drain(core, service);
}

uint32_t relay_n_deliveries(const struct slot *slot)
{
    const struct worker *worker;
    uint32_t count = 0;

    TAILQ_FOREACH(worker, &slot->workers, of_slot)
        count += worker->n_deliveries;
    return count;
}

bool relay_is_busy(const struct slot *slot) { return relay_n_deliveries(slot) > 0; }

void relay_has_room(struct core *core, struct slot *slot)
{
    struct worker *worker;

    slot->wanted_bytes = 0;
    TAILQ_FOREACH(worker, &slot->workers, of_slot)
        relay_drain(core, worker->service);
}

/* SPDX-License-Identifier: MIT */
#include "daemon/model/worker.h"

#include "daemon/model/service.h"
#include "daemon/model/slot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Address space only: a delivery costs memory from the first time that this number is open at once.
 */
#define DELIVERIES_MAX (UINT32_C(1) << 20)

int delivery_table_init(struct delivery_table *table)
{
    int r;

    *table = (struct delivery_table){.n_made = 0};
    r = table_init(&table->places, DELIVERIES_MAX, sizeof(*table->deliveries));
    table->deliveries = table->places.elements;
    return r;
}

void delivery_table_deinit(struct delivery_table *table)
{
    table_deinit(&table->places);
    table->deliveries = NULL;
}

struct worker *worker_add(struct service *service, struct slot *slot, uint32_t concurrency)
{
    struct worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL)
        return NULL;
    worker->service = service;
    worker->slot = slot;
    worker->concurrency = concurrency;
    TAILQ_INIT(&worker->deliveries);
    TAILQ_INSERT_TAIL(&service->workers, worker, of_service);
    service->n_workers++;
    TAILQ_INSERT_TAIL(&slot->workers, worker, of_slot);
    slot->n_workers++;
    return worker;
}

void worker_remove(struct worker *worker)
{
    assert(TAILQ_EMPTY(&worker->deliveries));
    TAILQ_REMOVE(&worker->service->workers, worker, of_service);
    worker->service->n_workers--;
    TAILQ_REMOVE(&worker->slot->workers, worker, of_slot);
    worker->slot->n_workers--;
    free(worker);
}

static bool is_free(const struct worker *worker)
{
    return worker->n_deliveries < worker->concurrency && worker->slot->wanted_bytes == 0 &&
           !worker->slot->is_ending;
}

enum worker_choice worker_find(const struct service *service, size_t bytes,
                               struct worker **ret_worker)
{
    struct worker *worker, *least_busy = NULL;
    bool is_any_free = false, is_any_large = false;

    TAILQ_FOREACH(worker, &service->workers, of_service) {
        bool is_large = bytes <= fipc_ring_payload_max(worker->slot->channel.out.capacity);

        is_any_large = is_any_large || is_large;
        is_any_free = is_any_free || is_free(worker);
        if (is_large && is_free(worker) &&
            (least_busy == NULL || worker->n_deliveries < least_busy->n_deliveries))
            least_busy = worker;
    }
    if (least_busy != NULL) {
        *ret_worker = least_busy;
        return WORKER_FOUND;
    }
    if (service->n_workers > 0 && !is_any_large)
        return WORKER_TOO_LARGE;
    return is_any_free ? WORKER_NONE_LARGE : WORKER_NONE_FREE;
}

struct delivery *delivery_begin(struct delivery_table *table, struct worker *worker,
                                struct handler *handler)
{
    uint32_t place = table_take(&table->places);
    struct delivery *delivery;

    if (place == TABLE_NONE)
        return NULL;
    delivery = &table->deliveries[place];
    *delivery = (struct delivery){
        .number = place,
        .id = handler->id,
        .worker = worker,
        .handler = handler,
    };
    handler->delivery = delivery;
    TAILQ_INSERT_TAIL(&worker->deliveries, delivery, of_worker);
    worker->n_deliveries++;
    /* a worker that was given one comes last among equals: they take turns */
    TAILQ_REMOVE(&worker->service->workers, worker, of_service);
    TAILQ_INSERT_TAIL(&worker->service->workers, worker, of_service);
    return delivery;
}

void delivery_end(struct delivery_table *table, struct delivery *delivery)
{
    struct worker *worker = delivery->worker;

    if (delivery->handler != NULL)
        delivery->handler->delivery = NULL;
    TAILQ_REMOVE(&worker->deliveries, delivery, of_worker);
    worker->n_deliveries--;
    table_give_back(&table->places, delivery->number);
}

struct delivery *delivery_of(const struct delivery_table *table, const struct slot *slot,
                             uint32_t number)
{
    struct delivery *delivery;

    if (!table_is_taken(&table->places, number))
        return NULL;
    delivery = &table->deliveries[number];
    return delivery->worker->slot == slot ? delivery : NULL;
}

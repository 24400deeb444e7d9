/* SPDX-License-Identifier: MIT */
/*
 * A target is the place of a name and its generation there. A place whose generations are used up
 * is never used again.
 */
#include "daemon/model/service.h"

#include "common/name.h"
#include "daemon/model/account.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#define GENERATION_SHIFT 16
#define GENERATION_MAX ((UINT32_C(1) << GENERATION_SHIFT) - 1)
/* A target of place 0 and generation 0 is not SERVICE_NONE. */
#define PLACES (GENERATION_MAX - 1)

static int compare_names(const void *a, const void *b)
{
    const struct service *left = a, *right = b;

    if (left->name_bytes != right->name_bytes)
        return left->name_bytes < right->name_bytes ? -1 : 1;
    return memcmp(left->name, right->name, left->name_bytes);
}

static void place_give_back(struct service_table *table, struct service *service)
{
    service->name = NULL;
    if (service->was_served && table->generations[service->index]++ == GENERATION_MAX)
        return;
    table->n_names--;
    table_give_back(&table->places, service->index);
}

/* Return: the service; NULL if there is no memory, or no place */
static struct service *service_add(struct service_table *table, const char *name, size_t name_bytes)
{
    uint32_t place = table_take(&table->places);
    struct service *service;

    if (place == TABLE_NONE)
        return NULL;
    table->n_names++;
    service = &table->services[place];
    *service = (struct service){
        .index = place,
        .generation = table->generations[place],
        .name = name,
        .name_bytes = name_bytes,
    };
    TAILQ_INIT(&service->workers);
    lines_init(&service->queue);
    lines_init(&service->waits);
    TAILQ_INIT(&service->room_wishes);
    if (tsearch(service, &table->by_name, compare_names) == NULL) {
        place_give_back(table, service);
        return NULL;
    }
    return service;
}

int service_table_init(struct service_table *table, const struct builtin *builtins,
                       uint32_t n_builtins)
{
    void *generations = NULL;
    int r;

    *table = (struct service_table){.by_name = NULL};
    r = table_init(&table->places, PLACES, sizeof(*table->services));
    if (r == 0)
        r = flat_array_map(PLACES, sizeof(*table->generations), &generations);
    if (r < 0)
        return r; /* service_table_deinit() frees what there is */
    table->services = table->places.elements;
    table->generations = generations;
    for (uint32_t i = 0; i < n_builtins; i++) {
        struct service *service = service_add(table, builtins[i].name, strlen(builtins[i].name));

        if (service == NULL)
            return -ENOMEM;
        service->serve = builtins[i].serve;
    }
    return 0;
}

static void service_remove(struct service_table *table, struct service *service)
{
    (void)tdelete(service, &table->by_name, compare_names);
    if (service->serve == NULL)
        free((void *)service->name);
    place_give_back(table, service);
}

void service_table_deinit(struct service_table *table)
{
    for (uint32_t i = 0; i < table->places.n_used; i++) {
        if (table->services[i].name != NULL)
            service_remove(table, &table->services[i]);
    }
    flat_array_unmap(table->generations, PLACES, sizeof(*table->generations));
    table_deinit(&table->places);
    *table = (struct service_table){.by_name = NULL};
}

uint32_t service_target(const struct service *service)
{
    return service->generation << GENERATION_SHIFT | (service->index + 1);
}

struct service *service_of_target(struct service_table *table, uint32_t target)
{
    uint32_t index = (target & GENERATION_MAX) - 1;
    struct service *service;

    if (index >= table->places.n_used)
        return NULL;
    service = &table->services[index];
    return service->name != NULL && service->generation == target >> GENERATION_SHIFT ? service
                                                                                      : NULL;
}

struct service *service_find(struct service_table *table, const char *name, size_t name_bytes)
{
    const struct service wanted = {.name = name, .name_bytes = name_bytes};
    struct service **found = tfind(&wanted, &table->by_name, compare_names);

    return found != NULL ? *found : NULL;
}

struct service *service_open(struct service_table *table, const char *name, size_t name_bytes,
                             struct account *account)
{
    struct service *service = service_find(table, name, name_bytes);
    char *own_name;

    if (service != NULL)
        return service;
    own_name = malloc(name_bytes);
    if (own_name == NULL)
        return NULL;
    memcpy(own_name, name, name_bytes);
    service = service_add(table, own_name, name_bytes);
    if (service == NULL) {
        free(own_name);
        return NULL;
    }
    service->account = account;
    account->n_names++;
    return service;
}

void service_release_if_unused(struct service_table *table, struct account_table *accounts,
                               struct service *service, uint64_t now_ns)
{
    struct account *account = service->account;

    if (service->serve != NULL || service->n_workers > 0 || service->queue.n_items > 0 ||
        service->waits.n_items > 0)
        return;
    assert(TAILQ_EMPTY(&service->room_wishes) && !deadline_is_set(&service->drain));
    service_remove(table, service);
    account->n_names--;
    account_release_if_unused(accounts, account, now_ns);
}

bool service_is_served(const struct service *service)
{
    return service->serve != NULL || service->n_workers > 0;
}

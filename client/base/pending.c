/* SPDX-License-Identifier: MIT */
#include "client/base/pending.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define N_BUCKETS_MIN 64

int fipc_pending_init(struct fipc_pending_table *table)
{
    *table = (struct fipc_pending_table){.n_buckets = N_BUCKETS_MIN};
    while (getrandom(&table->key, sizeof(table->key), 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    table->buckets = calloc(table->n_buckets, sizeof(struct fipc_pending *));
    return table->buckets == NULL ? -ENOMEM : 0;
}

void fipc_pending_deinit(struct fipc_pending_table *table)
{
    free(table->buckets);
    *table = (struct fipc_pending_table){.buckets = NULL};
}

uint64_t fipc_pending_next_id(struct fipc_pending_table *table)
{
    uint64_t id;

    do
        id = fipc_siphash(&table->key, ++table->counter);
    while (id == 0 || fipc_pending_find(table, id) != NULL);
    return id;
}

/* Ids are as good as random: their low bits are hash enough. */
static struct fipc_pending **bucket_of(const struct fipc_pending_table *table, uint64_t id)
{
    return &table->buckets[id & (table->n_buckets - 1)];
}

static void insert(struct fipc_pending_table *table, struct fipc_pending *pending)
{
    struct fipc_pending **bucket = bucket_of(table, pending->id);

    pending->next = *bucket;
    *bucket = pending;
}

/* Doubles the buckets. Without memory for that the chains grow instead. */
static void grow(struct fipc_pending_table *table)
{
    struct fipc_pending_table larger = *table;

    larger.n_buckets *= 2;
    larger.buckets = calloc(larger.n_buckets, sizeof(struct fipc_pending *));
    if (larger.buckets == NULL)
        return;
    for (size_t i = 0; i < table->n_buckets; i++) {
        while (table->buckets[i] != NULL) {
            struct fipc_pending *pending = table->buckets[i];

            table->buckets[i] = pending->next;
            insert(&larger, pending);
        }
    }
    free(table->buckets);
    table->buckets = larger.buckets;
    table->n_buckets = larger.n_buckets;
}

void fipc_pending_add(struct fipc_pending_table *table, struct fipc_pending *pending)
{
    if (table->count >= table->n_buckets)
        grow(table);
    insert(table, pending);
    table->count++;
    table->n_submitted_waits += pending->is_submitted_wait;
}

struct fipc_pending *fipc_pending_find(const struct fipc_pending_table *table, uint64_t id)
{
    struct fipc_pending *pending = *bucket_of(table, id);

    while (pending != NULL && pending->id != id)
        pending = pending->next;
    return pending;
}

void fipc_pending_remove(struct fipc_pending_table *table, struct fipc_pending *pending)
{
    struct fipc_pending **link = bucket_of(table, pending->id);

    while (*link != pending)
        link = &(*link)->next;
    *link = pending->next;
    assert(table->count > 0);
    table->count--;
    table->n_submitted_waits -= pending->is_submitted_wait;
}

struct fipc_pending *fipc_pending_take_all(struct fipc_pending_table *table)
{
    struct fipc_pending *all = NULL;

    for (size_t i = 0; i < table->n_buckets && table->count > 0; i++) {
        while (table->buckets[i] != NULL) {
            struct fipc_pending *pending = table->buckets[i];

            table->buckets[i] = pending->next;
            table->count--;
            pending->next = all;
            all = pending;
        }
    }
    table->n_submitted_waits = 0;
    return all;
}

/* SPDX-License-Identifier: MIT */
/*
 * Buffers come in sizes that are powers of two; those that were used last lie ready, so that a
 * steady stream of calls never asks malloc(3). A child of fork(2) leaves the pool alone, since the
 * thread that held its lock may be gone.
 */
#include "client/base/message.h"

#include "client/base/process.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define CAPACITY_MIN 128
#define N_SIZES 11 /* 128 bytes to 128 KiB; a larger buffer is not kept */
#define UNUSED_BYTES_MAX ((size_t)256 * 1024)

struct fipc_pool {
    pthread_mutex_t lock;
    uint64_t epoch;
    struct fipc_message *unused[N_SIZES]; /* used last, first */
    size_t unused_bytes;
    size_t n_out; /* messages that users hold */
    bool closed;
};

struct fipc_pool *fipc_pool_new(void)
{
    struct fipc_pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        return NULL;
    pool->epoch = fipc_process_epoch();
    (void)pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

static void pool_free(struct fipc_pool *pool)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        while (pool->unused[i] != NULL) {
            struct fipc_message *message = pool->unused[i];

            pool->unused[i] = message->next;
            free(message);
        }
    }
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void fipc_pool_close(struct fipc_pool *pool)
{
    bool last;

    if (pool == NULL)
        return;
    if (!fipc_process_made(pool->epoch)) {
        /* a lock that was held at the fork stays so, and the pool half changed */
        if (pthread_mutex_trylock(&pool->lock) != 0)
            return;
        (void)pthread_mutex_unlock(&pool->lock);
        pool_free(pool);
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    last = pool->n_out == 0;
    (void)pthread_mutex_unlock(&pool->lock);
    if (last)
        pool_free(pool);
}

/* The list of buffers that have room for @capacity. Return: its index; N_SIZES if there is no such
 * list */
static size_t size_of(size_t capacity)
{
    size_t i = 0;

    while (i < N_SIZES && ((size_t)CAPACITY_MIN << i) < capacity)
        i++;
    return i;
}

static struct fipc_message *pool_take(struct fipc_pool *pool, size_t size)
{
    struct fipc_message *message = NULL;

    (void)pthread_mutex_lock(&pool->lock);
    if (size < N_SIZES && pool->unused[size] != NULL) {
        message = pool->unused[size];
        pool->unused[size] = message->next;
        pool->unused_bytes -= message->capacity;
    }
    pool->n_out++;
    (void)pthread_mutex_unlock(&pool->lock);
    return message;
}

/* @message is consumed; NULL: one that was counted as out was never made. */
static void pool_give_back(struct fipc_pool *pool, struct fipc_message *message)
{
    size_t size = message != NULL ? size_of(message->capacity) : N_SIZES;
    bool last;

    (void)pthread_mutex_lock(&pool->lock);
    if (size < N_SIZES && pool->unused_bytes + message->capacity <= UNUSED_BYTES_MAX) {
        message->next = pool->unused[size];
        pool->unused[size] = message;
        pool->unused_bytes += message->capacity;
        message = NULL;
    }
    pool->n_out--;
    last = pool->closed && pool->n_out == 0;
    (void)pthread_mutex_unlock(&pool->lock);
    free(message);
    if (last)
        pool_free(pool);
}

struct fipc_message *fipc_message_new(struct fipc_pool *pool, size_t capacity)
{
    size_t size = size_of(capacity);
    struct fipc_message *message = pool != NULL ? pool_take(pool, size) : NULL;

    if (message == NULL) {
        if (size < N_SIZES)
            capacity = (size_t)CAPACITY_MIN << size;
        message = malloc(sizeof(*message) + capacity);
        if (message == NULL) {
            if (pool != NULL)
                pool_give_back(pool, NULL);
            return NULL;
        }
        message->pool = pool;
        message->epoch = fipc_process_epoch();
        message->capacity = capacity;
    }
    message->data = message->buffer;
    message->size = 0;
    message->handle = NULL;
    message->connection = NULL;
    message->sent_on = NULL;
    return message;
}

void fipc_message_recycle(struct fipc_message *message)
{
    if (message->pool != NULL && fipc_process_made(message->epoch))
        pool_give_back(message->pool, message);
    else
        free(message);
}

/* ---- for users ---- */

/* A child of fork(2) has no ring, and may not tell a loan there from one in a buffer. */
static bool has_data(const struct fipc_message *message)
{
    return message != NULL && (message->handle == NULL || fipc_process_made(message->epoch));
}

FIPC_PUBLIC const void *fipc_data(const fipc_message *message)
{
    return has_data(message) ? message->data : NULL;
}

FIPC_PUBLIC size_t fipc_size(const fipc_message *message)
{
    return has_data(message) ? message->size : 0;
}

FIPC_PUBLIC void *fipc_loan_data(fipc_message *message)
{
    return has_data(message) && message->handle != NULL ? message->data : NULL;
}

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_BASE_MESSAGE_H
#define FIPC_CLIENT_BASE_MESSAGE_H

/*
 * Messages that users hold, and the pool that recycles their buffers. A reply is a copy, so that a
 * kept one stops nothing. A reply holds nothing but its buffer; the pool outlives its client while
 * replies are out.
 */
#include "common/ring.h"

#include <fipc/client.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_connection;
struct fipc_handle;
struct fipc_pool;

struct fipc_message {
    struct fipc_pool *pool;    /* NULL: plain heap */
    struct fipc_message *next; /* fipc_pool.unused */
    uint64_t epoch;            /* fipc_process_epoch() */
    size_t capacity;           /* of the buffer */
    void *data;                /* in the buffer, or in the ring */
    size_t size;
    /* of a loan: */
    struct fipc_handle *handle;         /* counted; NULL: a reply */
    struct fipc_connection *connection; /* counted; NULL: the request is in the buffer */
    struct fipc_loan loan;              /* the room in the connection's ring */
    struct fipc_connection *sent_on;    /* borrowed: the request was sent from its ring, and its
                                         * bytes are still there; NULL: they are not */
    LIST_ENTRY(fipc_message) in_sent;   /* fipc_connection.sent_loans */
    size_t service_bytes;               /* of the name, which lies behind the request */
    _Alignas(16) unsigned char buffer[];
};

/* Return: an empty pool, for fipc_pool_close(); NULL no memory */
struct fipc_pool *fipc_pool_new(void);

/* Frees the pool, or has the last message that is out do so. In a child of fork(2) the messages
 * that are out are on their own. NULL is allowed. */
void fipc_pool_close(struct fipc_pool *pool);

/**
 * fipc_message_new() - take a message with room for @capacity bytes from the pool
 * @pool:  NULL: from the heap
 *
 * Its data is the buffer, its size 0; it is no loan. Threads: any.
 *
 * Return: the message; NULL no memory
 */
struct fipc_message *fipc_message_new(struct fipc_pool *pool, size_t capacity);

/* Gives the buffer back; a loan must have released its client and connection. Threads: any. */
void fipc_message_recycle(struct fipc_message *message);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_BASE_PENDING_H
#define FIPC_CLIENT_BASE_PENDING_H

/*
 * Questions by id: those that were sent and not answered yet, or are to be sent. An id is the keyed
 * hash of a counter: without the key no process can guess one. Guarded by the handle's lock.
 */
#include "common/message.h"
#include "common/siphash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_connection;
struct fipc_message;
struct fipc_waiter;

/* A status, inside only: the connection was lost before the question was sent, or before the broker
 * took it out of the ring. Begin again on the next one. */
#define FIPC_NOT_SENT (-FIPC_ERROR_MAX - 1)

/* One question; lives where its asker keeps it until it is done. */
struct fipc_pending {
    uint64_t id;
    struct fipc_pending *next;  /* fipc_pending_table.buckets, of one table */
    uint64_t sent_until;        /* the tail of the ring right after the question */
    struct fipc_message *loan;  /* the question, if it was one; NULL: its asker keeps it */
    struct fipc_waiter *waiter; /* woken when it is done; NULL: on_done() is called */
    /* @connection: where it was answered; NULL: that was lost, and a question that is asked again
     * goes out on the next one */
    void (*on_done)(struct fipc_pending *pending, struct fipc_connection *connection);
    void *on_done_arg;
    uint16_t answer_kind; /* enum fipc_kind: FIPC_KIND_REPLY or FIPC_KIND_CONTROL */
    bool keeps_payload;   /* whether the answer's payload is wanted */
    bool has_place;       /* it is a request, with a place: client/link/places.h */
    uint16_t place;
    uint32_t asked;             /* the target of the question */
    bool is_idempotent;         /* may be asked again if its outcome is unknown */
    bool is_submitted_wait;     /* a submitted call waits until a client serves the name */
    bool no_wait;               /* if there is no room for it, no ROOM follows later */
    bool done;                  /* it has left the table; the answer follows here: */
    int status;                 /* 0 or a negative errno */
    uint16_t reply_flags;       /* enum fipc_reply_flag */
    uint32_t target;            /* of OPENED, SERVED, WAITED */
    int fd;                     /* of ANNOUNCE, owned; -1: without an fd */
    struct fipc_message *reply; /* owned; NULL where the payload was not wanted, or on an error */
};

struct fipc_pending_table {
    struct fipc_siphash_key key;
    uint64_t counter; /* of ids */
    struct fipc_pending **buckets;
    size_t n_buckets; /* a power of two */
    size_t count;
    size_t n_submitted_waits; /* of these */
};

/* Return: 0; -ENOMEM; the errno of getrandom(2) */
int fipc_pending_init(struct fipc_pending_table *table);
void fipc_pending_deinit(struct fipc_pending_table *table);

/* Return: an id that was never given out before, and never 0 */
uint64_t fipc_pending_next_id(struct fipc_pending_table *table);

/* Enters a question by its id; borrowed until it is removed or done. */
void fipc_pending_add(struct fipc_pending_table *table, struct fipc_pending *pending);

/* Return: the question; NULL if no open one has this id */
struct fipc_pending *fipc_pending_find(const struct fipc_pending_table *table, uint64_t id);

void fipc_pending_remove(struct fipc_pending_table *table, struct fipc_pending *pending);

/* Empties the table. Return: its questions, chained by next; NULL if it was empty */
struct fipc_pending *fipc_pending_take_all(struct fipc_pending_table *table);

#endif

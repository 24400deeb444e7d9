/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_INBOX_H
#define FIPC_CLIENT_SESSION_INBOX_H

/*
 * The requests that came for the names that a client serves.
 *
 *      due -> in hand, given to the user's function -> answered
 *
 * A request belongs to its connection: when that is lost, nobody waits for the answer. Guarded by
 * the handle's lock.
 */
#include <fipc/service.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_client;
struct fipc_header;
struct fipc_message;
struct fipc_pool;
struct fipc_served;

struct fipc_request {
    TAILQ_ENTRY(fipc_request) link; /* fipc_inbox.due or .in_hand */
    struct fipc_client *client;     /* counted; NULL until it is in hand */
    uint64_t connection;            /* its number */
    uint32_t number;                /* of the delivery */
    uint64_t id;
    fipc_request_fn *fn;
    void *userdata;
    struct fipc_message *message; /* owned; the groups lie behind the data */
    struct fipc_peer peer;
    bool is_cancelled;
};

TAILQ_HEAD(fipc_request_list, fipc_request);

struct fipc_inbox {
    struct fipc_request_list due; /* the user's function is to be called */
    unsigned n_due;
    struct fipc_request_list in_hand; /* not answered yet */
    unsigned n_in_hand;
    bool has_news; /* one has come since the session looked */
};

void fipc_inbox_init(struct fipc_inbox *inbox);

/* Frees the requests that are due; those in hand are the users'. */
void fipc_inbox_deinit(struct fipc_inbox *inbox);

/**
 * fipc_inbox_take() - take a request from the ring
 * @pool:        for its copy
 * @served:      the name that it is for; NULL: this client serves no such name
 * @connection:  the number of the connection that brought it
 * @payload:     in shared memory
 *
 * Return: 0; -EBADMSG; -ENOMEM
 */
int fipc_inbox_take(struct fipc_inbox *inbox, struct fipc_pool *pool,
                    const struct fipc_served *served, uint64_t connection,
                    const struct fipc_header *header, const void *payload);

/* The broker says that nobody waits any more for the answer to a request. The user's function runs
 * all the same. */
void fipc_inbox_cancel(struct fipc_inbox *inbox, const struct fipc_header *header);

/* Return: the first request that is due, in hand from here on; there is one */
struct fipc_request *fipc_inbox_hand_over(struct fipc_inbox *inbox);

/* Takes a request that is in hand out of the inbox. It is to be freed by fipc_request_free(). */
void fipc_inbox_remove(struct fipc_inbox *inbox, struct fipc_request *request);

/* The connection is lost: drops the requests that are due, cancels those in hand. */
void fipc_inbox_lost(struct fipc_inbox *inbox);

/* Threads: any; the lock is not needed. */
void fipc_request_free(struct fipc_request *request);

#endif

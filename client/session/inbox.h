/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_INBOX_H
#define FIPC_CLIENT_SESSION_INBOX_H

/*
 * The requests that came for the names that a client serves.
 *
 *      in the inbox -> in hand, given to its handler -> answered
 *
 * A request belongs to its connection: after that nobody waits for its answer. Guarded by the
 * client's lock.
 */
#include <fipc/service.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_client;
struct fipc_header;
struct fipc_message;
struct fipc_serving;

struct fipc_request {
    TAILQ_ENTRY(fipc_request) link; /* fipc_serving.inbox or .in_hand */
    struct fipc_client *client;     /* counted while it is in hand */
    uint64_t connection;            /* its number */
    uint32_t number;                /* of the delivery */
    uint64_t id;
    fipc_handler_fn *fn;
    void *userdata;
    struct fipc_message *message; /* owned; the groups lie behind the data */
    struct fipc_peer peer;
    bool is_cancelled;
};

/* A request came: a record with this header. Return: 0; -EBADMSG; -ENOMEM */
int fipc_request_take(struct fipc_client *client, const struct fipc_header *header,
                      const void *payload);

/* Nobody waits any more for the answer to a request. Its handler runs all the same. */
void fipc_request_cancel(struct fipc_client *client, const struct fipc_header *header);

/* Gives the first request in the inbox to its handler. The lock is released meanwhile. */
void fipc_request_hand_over_first(struct fipc_client *client);

/* The connection is lost, and with it all requests. */
void fipc_requests_lost(struct fipc_serving *serving);

void fipc_request_free(struct fipc_request *request);

/* Frees those in the inbox. */
void fipc_requests_drop(struct fipc_serving *serving);

#endif

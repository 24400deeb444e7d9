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
struct fipc_client;
struct fipc_header;
struct fipc_serving;

/* A request came: a record with this header. Return: 0; -EBADMSG; -ENOMEM */
int fipc_request_take(struct fipc_client *client, const struct fipc_header *header,
                      const void *payload);

/* Nobody waits any more for the answer to a request. Its handler runs all the same. */
void fipc_request_cancel(struct fipc_client *client, const struct fipc_header *header);

/* Gives the first request in the inbox to its handler. The lock is released meanwhile. */
void fipc_request_hand_over_first(struct fipc_client *client);

/* The connection is lost, and with it all requests. */
void fipc_requests_lost(struct fipc_serving *serving);

/* Frees those in the inbox. */
void fipc_requests_drop(struct fipc_serving *serving);

#endif

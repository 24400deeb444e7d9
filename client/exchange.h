/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_EXCHANGE_H
#define FIPC_CLIENT_EXCHANGE_H

/* One record to the broker, one record back with the same id, while a thread waits. */
#include "client/base/pending.h"
#include "client/link/outgoing.h"

struct fipc_client;

/**
 * fipc_exchange_send() - send a record on the open connection
 *
 * Waits for room until the deadline, unless no_wait. A remaining time in the header is brought up
 * to date after each wait. The lock is held on entry and exit, and released while it waits.
 *
 * Return: 0; FIPC_NOT_SENT; -ETIMEDOUT; -EAGAIN no room now, or too many are open; -EMSGSIZE;
 * -EPROTO the ring is corrupt, and the connection lost
 */
int fipc_exchange_send(struct fipc_client *client, struct fipc_question *question);

/**
 * fipc_exchange() - send a question on the open connection and wait for its answer
 * @question:  its id is set here
 * @answer:    the kind of answer, and whether its payload is kept, filled in; on success the
 *             answer, whose reply is returned to the caller
 *
 * The lock is held on entry and exit, and released meanwhile.
 *
 * Return: 0 it was answered, or lost on the way: the answer's status says; else as
 * fipc_exchange_send(); -ENOMEM
 */
int fipc_exchange(struct fipc_client *client, struct fipc_question *question,
                  struct fipc_pending *answer);

#endif

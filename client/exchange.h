/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_EXCHANGE_H
#define FIPC_CLIENT_EXCHANGE_H

/* One record to the broker, one record back with the same id. */
#include "client/base/pending.h"
#include "common/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_client;
struct fipc_message;

/* Inside only: the connection was lost before the question was sent, or before the broker took it
 * out of the ring. Begin again on the next one. */
#define FIPC_NOT_SENT (-FIPC_ERROR_MAX - 1)

struct fipc_question {
    struct fipc_header header; /* all but size; the id of an exchange is set here */
    const void *payload;       /* borrowed */
    size_t size;
    struct fipc_message
        *loan;            /* instead of both; NULL: none. Its room is used up when it is sent */
    bool no_wait;         /* -EAGAIN instead of waiting for room; the last places are for others */
    uint64_t deadline_ns; /* absolute; for sending and the answer */
};

/* Whether one more such question may wait for its answer. */
bool fipc_question_may_be_open(const struct fipc_client *client,
                               const struct fipc_question *question);

/* Whether one more submitted call may ask for a service that it waits for: that may take long, and
 * half of the questions that may be open are left to others. */
bool fipc_wait_may_be_open(const struct fipc_client *client);

/* Whether a question can be sent now on the open connection, or, which sending it tells, never. */
bool fipc_question_has_room(const struct fipc_client *client, const struct fipc_question *question);

/**
 * fipc_question_send() - put a record into the ring of the open connection, and ring
 *
 * Waits for room until the deadline, unless no_wait. The lock is held on entry and exit, and
 * released while it waits.
 *
 * Return: 0; FIPC_NOT_SENT; -ETIMEDOUT; -EAGAIN no room now, or too many are open; -EMSGSIZE;
 * -EPROTO the ring is corrupt
 */
int fipc_question_send(struct fipc_client *client, struct fipc_question *question);

/**
 * fipc_exchange() - send a question on the open connection and wait for its answer
 * @answer:  the kind of answer, and whether its payload is kept, filled in; on success the answer,
 *           whose reply is returned to the caller
 *
 * A remaining time in the header is brought up to date after each wait. The client's lock is held
 * on entry and exit, and released meanwhile.
 *
 * Return: 0 it was answered, or lost on the way: the answer's status says; FIPC_NOT_SENT;
 * -ETIMEDOUT; -EAGAIN no room now; -EMSGSIZE; -EPROTO the ring is corrupt; -ENOMEM
 */
int fipc_exchange(struct fipc_client *client, struct fipc_question *question,
                  struct fipc_pending *answer);

#endif

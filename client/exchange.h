/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_EXCHANGE_H
#define FIPC_CLIENT_EXCHANGE_H

/* One record to the broker, one record back with the same id. */
#include "client/pending.h"
#include "common/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_client;
struct fipc_message;

/* Inside only: the connection was lost before the question was sent, or before the broker took it
 * out of the ring. Begin again on the next one. */
#define FIPC_NOT_SENT (-ESTALE)

struct fipc_question {
    struct fipc_header header; /* all but size and id, which are set here */
    const void *payload;       /* borrowed */
    size_t size;
    struct fipc_message
        *loan;            /* instead of both; NULL: none. Its room is used up when it is sent */
    bool no_wait;         /* -EAGAIN instead of waiting for room */
    uint64_t deadline_ns; /* absolute; for sending and the answer */
};

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

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_OUTGOING_H
#define FIPC_CLIENT_LINK_OUTGOING_H

/*
 * The outgoing ring of a connection. Nothing here waits: a record that finds no room is sent later,
 * by the thread that waits for its answer, or, where no thread does, by a step of the session.
 * The first record of the latter kind that found no room is remembered. Guarded by the client's
 * lock.
 */
#include "common/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_connection;
struct fipc_message;
struct fipc_pending;

struct fipc_question {
    struct fipc_header header; /* all but size */
    const void *payload;       /* borrowed */
    size_t size;
    struct fipc_message *loan; /* instead of both; NULL: no loan. Sending it uses up its room */
    bool no_wait;              /* -EAGAIN instead of waiting for room; the last places are for
                                * others */
    uint64_t deadline_ns;      /* absolute; for sending and the answer */
};

/* Whether one more such question may wait for its answer. */
bool fipc_outgoing_may_ask(const struct fipc_connection *connection,
                           const struct fipc_question *question);

/* Whether one more submitted call may ask for a service that it waits for: that may take long, and
 * half of the questions that may be open are left to others. */
bool fipc_outgoing_may_wait(const struct fipc_connection *connection);

/* Whether a question can be sent now; also if it can never be, which sending it finds. */
bool fipc_outgoing_has_room(struct fipc_connection *connection,
                            const struct fipc_question *question);

/**
 * fipc_outgoing_send() - put a record into the ring, and ring
 *
 * Never waits.
 *
 * Return: 0; -EAGAIN no room now, or too many questions are open; -EMSGSIZE; -EPROTO the ring is
 * corrupt: the connection is marked so, for the session to lose it
 */
int fipc_outgoing_send(struct fipc_connection *connection, const struct fipc_question *question);

/* As fipc_outgoing_send(), for a record that no thread waits for: remembers it where it finds no
 * room. */
int fipc_outgoing_send_next(struct fipc_connection *connection, struct fipc_question *question);

/* Notes in its entry what became of a question that was sent right now: where it lies in the ring,
 * and of a request its place. */
void fipc_outgoing_sent(struct fipc_connection *connection, const struct fipc_question *question,
                        struct fipc_pending *pending);

/* Queues a cancel: the broker learns of it later, and may drop the answer to the question. Then the
 * place of a request is free again. */
void fipc_outgoing_cancel(struct fipc_connection *connection, const struct fipc_pending *pending);

/* Sends the cancels that there is room for. Return: as fipc_outgoing_send() */
int fipc_outgoing_send_cancels(struct fipc_connection *connection);

/* Whether the record that found no room could be sent if the ring had room. */
bool fipc_outgoing_wants_room(const struct fipc_connection *connection);

/* Whether a record found no room, and can be sent now. */
bool fipc_outgoing_can_go_on(struct fipc_connection *connection);

#endif

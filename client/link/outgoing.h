/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_OUTGOING_H
#define FIPC_CLIENT_LINK_OUTGOING_H

/*
 * What is sent when there is room, while nobody waits for it: cancels, names to be served,
 * submitted calls, in this order. Whoever holds the lock brings it on. Guarded by the client's
 * lock.
 */
#include "client/exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_client;

struct fipc_backlog {
    STAILQ_HEAD(, fipc_due_cancel) cancels;
    bool is_stuck;             /* what comes next found no room: */
    struct fipc_question next; /* as far as that matters for room */
};

void fipc_backlog_init(struct fipc_backlog *backlog);
void fipc_backlog_deinit(struct fipc_backlog *backlog);

/* Sends what there is room for, and asks for what has to be known first. Call after each change of
 * what is to be sent, or of what is open. */
void fipc_backlog_go_on(struct fipc_client *client);

/**
 * fipc_backlog_send() - send what comes next, or remember that it found no room
 *
 * Return: as fipc_question_send() of a question that does not wait
 */
int fipc_backlog_send(struct fipc_client *client, struct fipc_question *question);

/* Has the broker told that nobody waits for the answer to a question. To be followed by
 * fipc_backlog_go_on(). */
void fipc_backlog_cancel(struct fipc_client *client, uint64_t id);

/* Whether it waits for room in the ring. */
bool fipc_backlog_wants_room(const struct fipc_client *client);

/* Whether it was stuck, and can go on. */
bool fipc_backlog_has_room(const struct fipc_client *client);

/* What was to be sent to a broker that is gone. */
void fipc_backlog_lost(struct fipc_backlog *backlog);

#endif

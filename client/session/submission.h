/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_SUBMISSION_H
#define FIPC_CLIENT_SESSION_SUBMISSION_H

/*
 * Submitted calls: nobody waits for them, so that whoever holds the lock brings them on.
 *
 *      queued -> sent -> ended, told by its callback
 *
 * What cannot be sent yet stands in the queue of its service: while there is no connection, while
 * the name is being opened, while the ring or the service has no room. Back from sent to queued
 * when nobody has seen the request. Guarded by the client's lock.
 */
#include "client/base/pending.h"

#include <fipc/client.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_client;

struct fipc_submission {
    TAILQ_ENTRY(fipc_submission) link; /* fipc_route.queue, fipc_sending.sent or .ended */
    struct fipc_route *route;          /* in whose queue it is; NULL: in none */
    struct fipc_pending pending;       /* fipc_sending.queued, or, while it is sent, of the client;
                                        * its id is the call's, all the time */
    struct fipc_message *request;      /* owned; the service's name lies behind it */
    size_t service_bytes;
    unsigned flags;
    uint64_t number; /* they are sent in this order */
    bool is_limited; /* by the caller, not by the broker alone */
    uint64_t deadline_ns;
    fipc_reply_fn *fn;
    void *userdata;
};

TAILQ_HEAD(fipc_submission_list, fipc_submission);

struct fipc_sending {
    TAILQ_HEAD(, fipc_route) routes; /* of services with a queue; the first is the next to send */
    unsigned n_routes;
    struct fipc_pending_table queued; /* in all these queues */
    struct fipc_submission_list sent;
    struct fipc_submission_list ended; /* their callbacks are due */
    unsigned n_ended;
    uint64_t n_added;          /* so far */
    uint64_t next_deadline_ns; /* none of those queued and sent is over before */
};

/* Return: as fipc_pending_init() */
int fipc_sending_init(struct fipc_sending *sending);

/* Forgets all of them: no callback is run. Nothing happens to what is all zero. */
void fipc_sending_deinit(struct fipc_sending *sending);

/**
 * fipc_sending_add() - have a submission sent
 * @submission:  consumed on success
 *
 * Return: 0; -EAGAIN it would have to wait for room, and must not; -ENOMEM
 */
int fipc_sending_add(struct fipc_client *client, struct fipc_submission *submission);

/* To be followed by fipc_backlog_go_on(). Return: as fipc_cancel() */
int fipc_sending_cancel(struct fipc_client *client, uint64_t call_id);

void fipc_submission_free(struct fipc_submission *submission);

/* Sends what can be sent now on the open connection, and asks for what has to be known first.
 * Return: 0; -EAGAIN there is no room, or no connection any more */
int fipc_sending_go_on(struct fipc_client *client);

/* A call is over then: who waits for work looks at this time, if not before. */
void fipc_sending_hurry(struct fipc_client *client, uint64_t deadline_ns);

/* Ends those whose time is over. To be followed by fipc_backlog_go_on(): it may wait for less now.
 */
void fipc_sending_expire(struct fipc_client *client, uint64_t now_ns);

/* Whether some are not sent yet, or not answered. */
bool fipc_sending_is_busy(const struct fipc_sending *sending);

/* Runs the callback of the first one that ended. The lock is released meanwhile. */
void fipc_sending_tell_first(struct fipc_client *client);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_SUBMISSION_H
#define FIPC_CLIENT_SESSION_SUBMISSION_H

/*
 * Submitted calls: no thread waits for them, so that each step of the session brings them on.
 *
 *      queued -> sent -> ended: their callback is due
 *
 * A call that cannot be sent yet stands in the queue of its service: while there is no connection,
 * while the broker is asked for the service's number, while the ring or the service has no room.
 * Back from sent to queued when no service has seen the request. Guarded by the handle's lock;
 * @connection is the open one, NULL where there is none.
 */
#include "client/session/submission_queue.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_connection;

struct fipc_submissions {
    TAILQ_HEAD(, fipc_submission_queue) queues; /* not one is empty; the first sends next */
    unsigned n_queues;
    struct fipc_pending_table queued; /* in all these queues; it also makes the calls' ids */
    struct fipc_submission_list sent;
    struct fipc_submission_list ended;
    unsigned n_ended;
    bool has_news;             /* one has ended since the session looked */
    uint64_t n_added;          /* so far */
    uint64_t next_deadline_ns; /* the earliest of those queued and sent, or before it */
};

/* Return: as fipc_pending_init() */
int fipc_submissions_init(struct fipc_submissions *all);

/* Forgets all of them: no callback is run. A struct that is all zero is allowed. */
void fipc_submissions_deinit(struct fipc_submissions *all);

/**
 * fipc_submissions_add() - queue a submission
 * @submission:  consumed on success; its callback and its deadline filled in
 *
 * Only adds: fipc_submissions_go_on() sends. A question that waits for a service ends, where
 * @submission does not want to wait for one.
 *
 * Return: 0; -ENOMEM
 */
int fipc_submissions_add(struct fipc_submissions *all, struct fipc_connection *connection,
                         struct fipc_submission *submission);

/* After fipc_submissions_go_on(): takes back a submission that was just added and would have to
 * wait for room, but must not. Return: whether it was so; then it is the caller's again */
bool fipc_submissions_take_back(struct fipc_submissions *all, struct fipc_connection *connection,
                                struct fipc_submission *submission);

/**
 * fipc_submissions_go_on() - send the calls that can be sent now, and ask for the numbers of
 * services
 *
 * One call for each service in turn. To be called after each change of the queues and the names.
 *
 * Return: 0; -EAGAIN the ring has no room for the rest; -EPROTO the ring is corrupt
 */
int fipc_submissions_go_on(struct fipc_submissions *all, struct fipc_connection *connection,
                           uint64_t now_ns);

/* To be followed by fipc_submissions_go_on(). Return: as fipc_cancel() */
int fipc_submissions_cancel(struct fipc_submissions *all, struct fipc_connection *connection,
                            uint64_t call_id);

/* A call is over then. Return: whether that is earlier than all others */
bool fipc_submissions_hurry(struct fipc_submissions *all, uint64_t deadline_ns);

/* Ends those whose time is over. To be followed by fipc_submissions_go_on(): it may wait for less
 * now. @connect_error: why there is no connection; 0: not known */
void fipc_submissions_expire(struct fipc_submissions *all, struct fipc_connection *connection,
                             int connect_error, uint64_t now_ns);

/* Whether some are not sent yet, or not answered. */
bool fipc_submissions_are_busy(const struct fipc_submissions *all);

/* Return: the first one that ended, the caller's from here on; there is one */
struct fipc_submission *fipc_submissions_take_ended(struct fipc_submissions *all);

#endif

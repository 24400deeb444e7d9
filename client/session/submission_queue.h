/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_SUBMISSION_QUEUE_H
#define FIPC_CLIENT_SESSION_SUBMISSION_QUEUE_H

/* A submitted call, and the queue of those to one service that cannot be sent yet. Guarded by the
 * handle's lock. */
#include "client/base/pending.h"
#include "client/base/wire.h"

#include <fipc/client.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_pool;
struct fipc_submissions;

struct fipc_submission {
    TAILQ_ENTRY(fipc_submission)
    link;                                /* fipc_submission_queue.list, fipc_submissions.sent or
                                          * .ended */
    struct fipc_submissions *all;        /* borrowed; NULL: not added yet */
    struct fipc_submission_queue *queue; /* in which it stands; NULL: in none */
    struct fipc_pending pending;         /* fipc_submissions.queued, or, while it is sent, of the
                                          * connection; its id is the call's, all the time */
    struct fipc_message *request;        /* owned; the service's name lies behind it */
    size_t service_bytes;
    unsigned flags;
    uint64_t number; /* they are sent in this order */
    bool is_limited; /* by the caller, not by the broker alone */
    uint64_t deadline_ns;
    fipc_reply_fn *fn;
    void *userdata;
};

TAILQ_HEAD(fipc_submission_list, fipc_submission);

struct fipc_submission_queue {
    TAILQ_ENTRY(fipc_submission_queue) link; /* fipc_submissions.queues */
    struct fipc_submissions *all;            /* borrowed */
    struct fipc_submission_list list;
    unsigned n_queued;
    unsigned n_impatient;         /* of them: those that end where there is no room */
    unsigned n_waiting;           /* of them: those that wait until a client serves the name */
    struct fipc_pending question; /* for the service's number, while it is asked */
    bool is_asked;
    bool waits; /* the broker answers the question when a client serves the name */
    size_t service_bytes;
    char service[];
};

/* Copies a call. @id: of the submission. Return: it, its callback and deadline to be filled in;
 * NULL no memory */
struct fipc_submission *fipc_submission_new(struct fipc_pool *pool, const struct fipc_call *call,
                                            uint64_t id);
void fipc_submission_free(struct fipc_submission *submission);

/* Return: the name of its service, not terminated; borrowed */
const char *fipc_submission_service(const struct fipc_submission *submission);

/* Return: an empty queue for a submission's service, for free(3); NULL no memory */
struct fipc_submission_queue *fipc_submission_queue_new(const struct fipc_submission *submission);

/* Whether a queue is the one of a submission's service. */
bool fipc_submission_queue_fits(const struct fipc_submission_queue *queue,
                                const struct fipc_submission *submission);

/* Puts a submission, which is in no list, between those that were submitted before and after it. */
void fipc_submission_queue_add(struct fipc_submission_queue *queue,
                               struct fipc_submission *submission);

/* Takes a submission out of its queue. */
void fipc_submission_queue_remove(struct fipc_submission *submission);

#endif

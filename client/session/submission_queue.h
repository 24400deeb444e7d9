/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_SUBMISSION_QUEUE_H
#define FIPC_CLIENT_SESSION_SUBMISSION_QUEUE_H

/* The way to a service, while submitted calls stand in its queue. Guarded by the client's lock. */
#include "client/session/submission.h"

struct fipc_route {
    TAILQ_ENTRY(fipc_route) link; /* fipc_sending.routes */
    struct fipc_submission_list queue;
    unsigned n_queued;
    unsigned n_impatient;         /* of them: those that end where there is no room */
    unsigned n_waiting;           /* of them: those that wait for somebody to serve the name */
    struct fipc_pending question; /* for the service's number, while it is asked */
    bool is_asked;
    bool waits; /* the question is answered when somebody serves the name */
    size_t service_bytes;
    char service[];
};

/* The name of a submission's service, not terminated; borrowed. */
const char *fipc_route_service(const struct fipc_submission *submission);

/* Return: the route of a submission's service, new if need be; NULL no memory */
struct fipc_route *fipc_route_open(struct fipc_sending *sending,
                                   const struct fipc_submission *submission);

/* Its queue is empty. */
void fipc_route_free(struct fipc_client *client, struct fipc_route *route);

/* Nobody wants the answer any more. */
void fipc_route_forget_question(struct fipc_client *client, struct fipc_route *route);

/* Puts a submission, which is in no list, between those that were submitted before and after it. */
void fipc_route_enqueue(struct fipc_sending *sending, struct fipc_route *route,
                        struct fipc_submission *submission);

/* Takes a submission out of its queue. */
void fipc_route_dequeue(struct fipc_sending *sending, struct fipc_submission *submission);

#endif

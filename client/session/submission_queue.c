/* SPDX-License-Identifier: MIT */
#include "client/session/submission_queue.h"

#include "client/base/message.h"
#include "client/client.h"

#include <stdlib.h>
#include <string.h>

const char *fipc_route_service(const struct fipc_submission *submission)
{
    return (const char *)submission->request->buffer + submission->request->size;
}

static void count(struct fipc_route *route, const struct fipc_submission *submission, int change)
{
    route->n_queued += (unsigned)change;
    if ((submission->flags & FIPC_NO_WAIT) != 0)
        route->n_impatient += (unsigned)change;
    if ((submission->flags & FIPC_WAIT_SERVICE) != 0)
        route->n_waiting += (unsigned)change;
}

void fipc_route_enqueue(struct fipc_sending *sending, struct fipc_route *route,
                        struct fipc_submission *submission)
{
    struct fipc_submission *last = TAILQ_LAST(&route->queue, fipc_submission_list);
    struct fipc_submission *later = NULL;

    if (last != NULL && last->number > submission->number) {
        TAILQ_FOREACH(later, &route->queue, link) {
            if (later->number > submission->number)
                break;
        }
    }
    if (later != NULL)
        TAILQ_INSERT_BEFORE(later, submission, link);
    else
        TAILQ_INSERT_TAIL(&route->queue, submission, link);
    submission->route = route;
    fipc_pending_add(&sending->queued, &submission->pending);
    count(route, submission, 1);
}

void fipc_route_dequeue(struct fipc_sending *sending, struct fipc_submission *submission)
{
    fipc_pending_remove(&sending->queued, &submission->pending);
    TAILQ_REMOVE(&submission->route->queue, submission, link);
    count(submission->route, submission, -1);
    submission->route = NULL;
}

void fipc_route_forget_question(struct fipc_client *client, struct fipc_route *route)
{
    if (!route->is_asked)
        return;
    route->is_asked = false;
    fipc_pending_remove(&client->pending, &route->question);
    fipc_backlog_cancel(client, route->question.id);
}

void fipc_route_free(struct fipc_client *client, struct fipc_route *route)
{
    fipc_route_forget_question(client, route);
    TAILQ_REMOVE(&client->sending.routes, route, link);
    client->sending.n_routes--;
    free(route);
}

static struct fipc_route *route_find(const struct fipc_sending *sending, const char *service,
                                     size_t service_bytes)
{
    struct fipc_route *route;

    TAILQ_FOREACH(route, &sending->routes, link) {
        if (route->service_bytes == service_bytes &&
            memcmp(route->service, service, service_bytes) == 0)
            break;
    }
    return route;
}

struct fipc_route *fipc_route_open(struct fipc_sending *sending,
                                   const struct fipc_submission *submission)
{
    const char *service = fipc_route_service(submission);
    struct fipc_route *route = route_find(sending, service, submission->service_bytes);

    if (route != NULL)
        return route;
    route = calloc(1, sizeof(*route) + submission->service_bytes);
    if (route == NULL)
        return NULL;
    TAILQ_INIT(&route->queue);
    route->service_bytes = submission->service_bytes;
    memcpy(route->service, service, submission->service_bytes);
    TAILQ_INSERT_TAIL(&sending->routes, route, link);
    sending->n_routes++;
    return route;
}

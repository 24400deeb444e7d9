/* SPDX-License-Identifier: MIT */
#include "client/session/submission.h"

#include "client/base/message.h"
#include "client/base/wire.h"
#include "client/client.h"
#include "client/exchange.h"
#include "client/session/session.h"
#include "client/session/submission_queue.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- states ---- */

/* From queued or sent. What it was is told by its list alone. */
static void end(struct fipc_client *client, struct fipc_submission *submission, int error)
{
    if (submission->route != NULL)
        fipc_route_dequeue(&client->sending, submission);
    else
        TAILQ_REMOVE(&client->sending.sent, submission, link);
    submission->pending.status = error;
    TAILQ_INSERT_TAIL(&client->sending.ended, submission, link);
    client->sending.n_ended++;
    (void)fipc_baton_wake_ready(&client->baton);
    fipc_pollable_signal(client);
}

/* ---- sending ---- */

/* Return: as fipc_backlog_send() */
static int send_request(struct fipc_client *client, struct fipc_submission *submission,
                        uint32_t target, uint64_t now_ns)
{
    struct fipc_question question = {
        .header = fipc_request_header(
            target, submission->flags,
            submission->is_limited ? fipc_remaining_ns(submission->deadline_ns, now_ns) : 0),
        .payload = submission->request->data,
        .size = submission->request->size,
    };
    struct fipc_pending *pending = &submission->pending;
    int r;

    question.header.id = pending->id;
    r = fipc_backlog_send(client, &question);
    if (r < 0)
        return r;
    pending->sent_until = client->connection->channel.out.tail;
    pending->asked = target;
    pending->done = false;
    fipc_route_dequeue(&client->sending, submission);
    fipc_pending_add(&client->pending, pending);
    TAILQ_INSERT_TAIL(&client->sending.sent, submission, link);
    return 0;
}

static int ask(struct fipc_client *client, struct fipc_route *route, uint64_t now_ns);

/* Return: 0 it was sent, or its name asked for; -EBUSY not before an answer; else as
 * fipc_backlog_send() */
static int send_first(struct fipc_client *client, struct fipc_route *route, uint64_t now_ns)
{
    uint32_t target;
    bool is_full;

    if (route->is_asked)
        return -EBUSY;
    if (!fipc_names_find(&client->names, route->service, route->service_bytes, &target, &is_full))
        return ask(client, route, now_ns);
    return is_full ? -EBUSY : send_request(client, TAILQ_FIRST(&route->queue), target, now_ns);
}

/* There is no room: ends those that do not want to wait for it. */
static void end_impatient(struct fipc_client *client, struct fipc_route *route)
{
    struct fipc_submission *submission, *next;

    for (submission = TAILQ_FIRST(&route->queue); route->n_impatient > 0; submission = next) {
        next = TAILQ_NEXT(submission, link);
        if ((submission->flags & FIPC_NO_WAIT) != 0)
            end(client, submission, -EAGAIN);
    }
}

/* Return: 0 one was sent, or ended; -EBUSY nothing can be sent to this service now; -EAGAIN to none
 */
static int route_go_on(struct fipc_client *client, struct fipc_route *route, uint64_t now_ns)
{
    struct fipc_submission *first = TAILQ_FIRST(&route->queue);
    int r = send_first(client, route, now_ns);

    if (!route->is_asked && (r == -EAGAIN || r == -EBUSY))
        end_impatient(client, route);
    else if (r < 0 && r != -EBUSY)
        end(client, first, r);
    if (client->connection == NULL)
        return -EAGAIN;
    return r == -EAGAIN || r == -EBUSY ? r : 0;
}

/* One for each service in turn: none keeps the others from having their share of the room. */
int fipc_sending_go_on(struct fipc_client *client)
{
    struct fipc_sending *sending = &client->sending;
    unsigned n_stuck = 0; /* in a row */
    uint64_t now_ns;
    int r = 0;

    if (TAILQ_EMPTY(&sending->routes))
        return 0;
    now_ns = fipc_now_ns();
    while (n_stuck < sending->n_routes && r != -EAGAIN) {
        struct fipc_route *route = TAILQ_FIRST(&sending->routes);

        r = route_go_on(client, route, now_ns);
        n_stuck = r == -EBUSY ? n_stuck + 1 : 0;
        if (TAILQ_EMPTY(&route->queue)) {
            fipc_route_free(client, route);
            r = client->connection != NULL ? 0 : r; /* what found no room has ended */
        } else if (r != -EAGAIN) {
            TAILQ_REMOVE(&sending->routes, route, link);
            TAILQ_INSERT_TAIL(&sending->routes, route, link);
        }
    }
    return r == -EAGAIN ? r : 0;
}

/* ---- what comes back ---- */

/* Nobody serves the name: only those stay that wait for somebody. */
static void end_those_that_do_not_wait(struct fipc_client *client, struct fipc_route *route)
{
    struct fipc_submission *submission, *next;

    for (submission = TAILQ_FIRST(&route->queue); route->n_waiting < route->n_queued;
         submission = next) {
        next = TAILQ_NEXT(submission, link);
        if ((submission->flags & FIPC_WAIT_SERVICE) == 0)
            end(client, submission, -ENOENT);
    }
}

static void route_answered(struct fipc_client *client, struct fipc_pending *question)
{
    struct fipc_route *route = question->on_done_arg;
    struct fipc_submission *first = TAILQ_FIRST(&route->queue);

    route->is_asked = false;
    if (question->status == 0)
        fipc_names_add(&client->names, route->service, route->service_bytes, question->target);
    else if (question->status == -ETIMEDOUT && fipc_now_ns() < first->deadline_ns)
        return; /* who asked is gone, and this one has more time */
    else if (question->status == -ENOENT && !route->waits)
        end_those_that_do_not_wait(client, route);
    else if (question->status != FIPC_NOT_SENT && question->status != -ECONNRESET)
        end(client, first, question->status);
    if (TAILQ_EMPTY(&route->queue))
        fipc_route_free(client, route);
}

/* Waits for somebody to serve the name where all in the queue do. Return: as fipc_backlog_send();
 * -EBUSY so many wait already */
static int ask(struct fipc_client *client, struct fipc_route *route, uint64_t now_ns)
{
    const struct fipc_submission *first = TAILQ_FIRST(&route->queue);
    bool waits = route->n_waiting == route->n_queued;
    struct fipc_packet packet;
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_CONTROL,
                   .id = fipc_pending_next_id(&client->pending),
                   .remaining_ns = waits ? fipc_remaining_ns(first->deadline_ns, now_ns) : 0},
        .payload = packet.bytes,
    };
    int r;

    if (waits && !fipc_wait_may_be_open(client))
        return -EBUSY;
    r = fipc_packet_ask(&packet, route->service, route->service_bytes, waits);
    question.size = packet.size;
    if (r == 0)
        r = fipc_backlog_send(client, &question);
    if (r < 0)
        return r;
    route->question = (struct fipc_pending){
        .id = question.header.id,
        .sent_until = client->connection->channel.out.tail,
        .on_done = route_answered,
        .on_done_arg = route,
        .answer_kind = FIPC_KIND_CONTROL,
        .is_submitted_wait = waits,
        .fd = -1,
    };
    fipc_pending_add(&client->pending, &route->question);
    route->is_asked = true;
    route->waits = waits;
    return 0;
}

/* Nobody has seen it. */
static void queue_again(struct fipc_client *client, struct fipc_submission *submission)
{
    struct fipc_route *route = fipc_route_open(&client->sending, submission);

    if (route == NULL) {
        end(client, submission, -ENOMEM);
        return;
    }
    TAILQ_REMOVE(&client->sending.sent, submission, link);
    fipc_route_enqueue(&client->sending, route, submission);
}

static void answered(struct fipc_client *client, struct fipc_pending *pending)
{
    struct fipc_submission *submission = pending->on_done_arg;

    if (pending->status == FIPC_NOT_SENT ||
        fipc_names_send_again(&client->names, pending, fipc_route_service(submission),
                              submission->service_bytes, submission->flags))
        queue_again(client, submission);
    else
        end(client, submission, pending->status);
}

/* Its answer may still come: nobody waits for it any more. */
static void forget_sent(struct fipc_client *client, struct fipc_submission *submission)
{
    fipc_pending_remove(&client->pending, &submission->pending);
    fipc_backlog_cancel(client, submission->pending.id);
}

/* ---- time ---- */

/* It had no answer in time; or, not sent yet, no broker. */
static int error_when_over(const struct fipc_client *client,
                           const struct fipc_submission *submission)
{
    if (submission->route == NULL || client->connection != NULL || client->connect_error == 0)
        return -ETIMEDOUT;
    return client->connect_error;
}

/* Ends those of a list that are over, and finds when the next one is. */
static void expire(struct fipc_client *client, struct fipc_submission_list *list, uint64_t now_ns)
{
    struct fipc_submission *submission, *next;

    for (submission = TAILQ_FIRST(list); submission != NULL; submission = next) {
        next = TAILQ_NEXT(submission, link);
        if (now_ns >= submission->deadline_ns) {
            int error = error_when_over(client, submission);

            if (submission->route == NULL)
                forget_sent(client, submission);
            end(client, submission, error);
        } else if (submission->deadline_ns < client->sending.next_deadline_ns) {
            client->sending.next_deadline_ns = submission->deadline_ns;
        }
    }
}

void fipc_sending_hurry(struct fipc_client *client, uint64_t deadline_ns)
{
    if (deadline_ns >= client->sending.next_deadline_ns)
        return;
    client->sending.next_deadline_ns = deadline_ns;
    if (fipc_baton_wake_ready(&client->baton))
        fipc_baton_kick(&client->baton);
}

void fipc_sending_expire(struct fipc_client *client, uint64_t now_ns)
{
    struct fipc_sending *sending = &client->sending;
    struct fipc_route *route, *next;

    if (now_ns < sending->next_deadline_ns)
        return;
    sending->next_deadline_ns = FIPC_NEVER;
    expire(client, &sending->sent, now_ns);
    for (route = TAILQ_FIRST(&sending->routes); route != NULL; route = next) {
        next = TAILQ_NEXT(route, link);
        expire(client, &route->queue, now_ns);
        if (TAILQ_EMPTY(&route->queue))
            fipc_route_free(client, route);
    }
}

bool fipc_sending_is_busy(const struct fipc_sending *sending)
{
    return !TAILQ_EMPTY(&sending->routes) || !TAILQ_EMPTY(&sending->sent);
}

/* ---- callbacks ---- */

void fipc_sending_tell_first(struct fipc_client *client)
{
    struct fipc_submission *submission = TAILQ_FIRST(&client->sending.ended);
    int error = submission->pending.status;

    TAILQ_REMOVE(&client->sending.ended, submission, link);
    client->sending.n_ended--;
    (void)pthread_mutex_unlock(&client->lock);
    submission->fn(error, error == 0 ? submission->pending.reply : NULL, submission->userdata);
    fipc_submission_free(submission);
    (void)pthread_mutex_lock(&client->lock);
}

/* ---- life ---- */

int fipc_sending_init(struct fipc_sending *sending)
{
    TAILQ_INIT(&sending->routes);
    TAILQ_INIT(&sending->sent);
    TAILQ_INIT(&sending->ended);
    sending->next_deadline_ns = FIPC_NEVER;
    return fipc_pending_init(&sending->queued);
}

static void free_list(struct fipc_submission_list *list)
{
    struct fipc_submission *submission;

    while ((submission = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, submission, link);
        fipc_submission_free(submission);
    }
}

void fipc_sending_deinit(struct fipc_sending *sending)
{
    struct fipc_route *route;

    free_list(&sending->sent);
    free_list(&sending->ended);
    while ((route = TAILQ_FIRST(&sending->routes)) != NULL) {
        TAILQ_REMOVE(&sending->routes, route, link);
        free_list(&route->queue);
        free(route);
    }
    fipc_pending_deinit(&sending->queued);
}

/* ---- submitting ---- */

int fipc_sending_add(struct fipc_client *client, struct fipc_submission *submission)
{
    struct fipc_route *route = fipc_route_open(&client->sending, submission);

    if (route == NULL)
        return -ENOMEM;
    submission->pending.on_done = answered;
    submission->pending.on_done_arg = submission;
    submission->number = client->sending.n_added++;
    fipc_route_enqueue(&client->sending, route, submission);
    if (route->is_asked && route->waits && (submission->flags & FIPC_WAIT_SERVICE) == 0)
        fipc_route_forget_question(client, route); /* this one wants to know now */
    fipc_backlog_go_on(client);
    if (submission->route != NULL && (submission->flags & FIPC_NO_WAIT) != 0 &&
        client->connection != NULL && !route->is_asked) { /* another one waits for room */
        end(client, submission, -EAGAIN);
        if (TAILQ_EMPTY(&route->queue))
            fipc_route_free(client, route);
    }
    if (submission->pending.status != -EAGAIN)
        return 0;
    TAILQ_REMOVE(&client->sending.ended, submission, link); /* told at once, not by its callback */
    client->sending.n_ended--;
    return -EAGAIN;
}

/* ---- cancelling ---- */

static struct fipc_submission *find_queued(const struct fipc_sending *sending, uint64_t call_id)
{
    struct fipc_pending *pending = fipc_pending_find(&sending->queued, call_id);

    return pending != NULL ? pending->on_done_arg : NULL;
}

static struct fipc_submission *find_sent(const struct fipc_client *client, uint64_t call_id)
{
    struct fipc_pending *pending = fipc_pending_find(&client->pending, call_id);

    return pending != NULL && pending->on_done == answered ? pending->on_done_arg : NULL;
}

int fipc_sending_cancel(struct fipc_client *client, uint64_t call_id)
{
    struct fipc_submission *submission = find_sent(client, call_id);
    struct fipc_route *route;

    if (submission != NULL) {
        forget_sent(client, submission);
        end(client, submission, -ECANCELED);
        return 0;
    }
    submission = find_queued(&client->sending, call_id);
    if (submission == NULL)
        return -ENOENT;
    route = submission->route;
    end(client, submission, -ECANCELED);
    if (TAILQ_EMPTY(&route->queue))
        fipc_route_free(client, route);
    return 0;
}

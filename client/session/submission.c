/* SPDX-License-Identifier: MIT */
#include "client/session/submission.h"

#include "client/base/message.h"
#include "client/link/connection.h"
#include "client/link/outgoing.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <stdlib.h>

/* ---- states ---- */

static void enqueue(struct fipc_submission_queue *queue, struct fipc_submission *submission)
{
    fipc_submission_queue_add(queue, submission);
    fipc_pending_add(&submission->all->queued, &submission->pending);
}

static void dequeue(struct fipc_submission *submission)
{
    fipc_submission_queue_remove(submission);
    fipc_pending_remove(&submission->all->queued, &submission->pending);
}

/* From queued or sent. */
static void end(struct fipc_submission *submission, int error)
{
    struct fipc_submissions *all = submission->all;

    if (submission->queue != NULL)
        dequeue(submission);
    else
        TAILQ_REMOVE(&all->sent, submission, link);
    submission->pending.status = error;
    TAILQ_INSERT_TAIL(&all->ended, submission, link);
    all->n_ended++;
    all->has_news = true;
}

struct fipc_submission *fipc_submissions_take_ended(struct fipc_submissions *all)
{
    struct fipc_submission *submission = TAILQ_FIRST(&all->ended);

    TAILQ_REMOVE(&all->ended, submission, link);
    all->n_ended--;
    return submission;
}

/* ---- queues ---- */

/* Return: the queue of a submission's service, new if need be; NULL no memory */
static struct fipc_submission_queue *queue_open(struct fipc_submissions *all,
                                                const struct fipc_submission *submission)
{
    struct fipc_submission_queue *queue;

    TAILQ_FOREACH(queue, &all->queues, link) {
        if (fipc_submission_queue_fits(queue, submission))
            return queue;
    }
    queue = fipc_submission_queue_new(submission);
    if (queue == NULL)
        return NULL;
    queue->all = all;
    TAILQ_INSERT_TAIL(&all->queues, queue, link);
    all->n_queues++;
    return queue;
}

/* A question is open on a connection only. */
static void forget_question(struct fipc_submission_queue *queue, struct fipc_connection *connection)
{
    if (!queue->is_asked)
        return;
    queue->is_asked = false;
    fipc_pending_remove(&connection->pending, &queue->question);
    fipc_outgoing_cancel(connection, &queue->question);
}

/* Frees a queue that is empty. Return: whether it was */
static bool queue_close(struct fipc_submission_queue *queue, struct fipc_connection *connection)
{
    if (!TAILQ_EMPTY(&queue->list))
        return false;
    forget_question(queue, connection);
    TAILQ_REMOVE(&queue->all->queues, queue, link);
    queue->all->n_queues--;
    free(queue);
    return true;
}

/* ---- sending ---- */

/* Return: as fipc_outgoing_send() */
static int send_request(struct fipc_submission *submission, struct fipc_connection *connection,
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
    r = fipc_outgoing_send_next(connection, &question);
    if (r < 0)
        return r;
    fipc_outgoing_sent(connection, &question, pending);
    pending->asked = target;
    pending->done = false;
    dequeue(submission);
    fipc_pending_add(&connection->pending, pending);
    TAILQ_INSERT_TAIL(&submission->all->sent, submission, link);
    return 0;
}

static void queue_answered(struct fipc_pending *question, struct fipc_connection *connection);

/* Asks for the number of a service; waits until a client serves the name where all in the queue
 * do. Return: as fipc_outgoing_send() */
static int ask(struct fipc_submission_queue *queue, struct fipc_connection *connection,
               uint64_t now_ns)
{
    const struct fipc_submission *first = TAILQ_FIRST(&queue->list);
    struct fipc_packet packet;
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_CONTROL,
                   .id = fipc_pending_next_id(&connection->pending),
                   .remaining_ns =
                       queue->waits ? fipc_remaining_ns(first->deadline_ns, now_ns) : 0},
        .payload = packet.bytes,
    };
    int r;

    r = fipc_packet_ask(&packet, queue->service, queue->service_bytes, queue->waits);
    question.size = packet.size;
    if (r == 0)
        r = fipc_outgoing_send_next(connection, &question);
    if (r < 0)
        return r;
    queue->question = (struct fipc_pending){
        .id = question.header.id,
        .sent_until = connection->channel.out.tail,
        .on_done = queue_answered,
        .on_done_arg = queue,
        .answer_kind = FIPC_KIND_CONTROL,
        .is_submitted_wait = queue->waits,
        .fd = -1,
    };
    fipc_pending_add(&connection->pending, &queue->question);
    queue->is_asked = true;
    return 0;
}

/* ---- going on ---- */

/* The outcome of an attempt to bring a queue on. */
enum attempt {
    SENT,          /* a request, or the question for the service's number */
    SERVICE_STUCK, /* nothing can be sent to this service before an answer comes */
    RING_STUCK,
    FAILED,
};

static enum attempt attempt_of(int error)
{
    return error == 0 ? SENT : error == -EAGAIN ? RING_STUCK : FAILED;
}

/* @ret_error: why it failed */
static enum attempt send_first(struct fipc_submission_queue *queue,
                               struct fipc_connection *connection, uint64_t now_ns, int *ret_error)
{
    uint32_t target;
    bool is_full;

    if (queue->is_asked)
        return SERVICE_STUCK;
    if (fipc_names_find(&connection->names, queue->service, queue->service_bytes, &target,
                        &is_full)) {
        if (is_full)
            return SERVICE_STUCK;
        *ret_error = send_request(TAILQ_FIRST(&queue->list), connection, target, now_ns);
    } else {
        queue->waits = queue->n_waiting == queue->n_queued;
        if (queue->waits && !fipc_outgoing_may_wait(connection))
            return SERVICE_STUCK;
        *ret_error = ask(queue, connection, now_ns);
    }
    return attempt_of(*ret_error);
}

/* There is no room: ends those that do not want to wait for it. */
static void end_impatient(struct fipc_submission_queue *queue)
{
    struct fipc_submission *submission, *next;

    for (submission = TAILQ_FIRST(&queue->list); queue->n_impatient > 0; submission = next) {
        next = TAILQ_NEXT(submission, link);
        if ((submission->flags & FIPC_NO_WAIT) != 0)
            end(submission, -EAGAIN);
    }
}

static enum attempt queue_go_on(struct fipc_submission_queue *queue,
                                struct fipc_connection *connection, uint64_t now_ns)
{
    struct fipc_submission *first = TAILQ_FIRST(&queue->list);
    int error = 0;
    enum attempt attempt = send_first(queue, connection, now_ns, &error);

    if (attempt == FAILED)
        end(first, error);
    else if (attempt != SENT && !queue->is_asked)
        end_impatient(queue);
    return attempt;
}

/* One for each service in turn, so that each has its share of the room. */
int fipc_submissions_go_on(struct fipc_submissions *all, struct fipc_connection *connection,
                           uint64_t now_ns)
{
    unsigned n_stuck = 0; /* in a row */

    while (n_stuck < all->n_queues) {
        struct fipc_submission_queue *queue = TAILQ_FIRST(&all->queues);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a queue that was closed is out of the list */
        enum attempt attempt = queue_go_on(queue, connection, now_ns);
        bool is_closed = queue_close(queue, connection);

        if (connection->is_corrupt)
            return -EPROTO;
        if (is_closed) /* if it ended for want of room, others may need less */
            continue;
        if (attempt == RING_STUCK)
            return -EAGAIN;
        n_stuck = attempt == SERVICE_STUCK ? n_stuck + 1 : 0;
        TAILQ_REMOVE(&all->queues, queue, link);
        TAILQ_INSERT_TAIL(&all->queues, queue, link);
    }
    return 0;
}

/* ---- answers ---- */

/* Nobody serves the name: only those stay that wait until a client does. */
static void end_those_that_do_not_wait(struct fipc_submission_queue *queue)
{
    struct fipc_submission *submission, *next;

    for (submission = TAILQ_FIRST(&queue->list); queue->n_waiting < queue->n_queued;
         submission = next) {
        next = TAILQ_NEXT(submission, link);
        if ((submission->flags & FIPC_WAIT_SERVICE) == 0)
            end(submission, -ENOENT);
    }
}

static void queue_answered(struct fipc_pending *question, struct fipc_connection *connection)
{
    struct fipc_submission_queue *queue = question->on_done_arg;
    struct fipc_submission *first = TAILQ_FIRST(&queue->list);

    queue->is_asked = false;
    if (question->status == 0)
        fipc_names_add(&connection->names, queue->service, queue->service_bytes, question->target);
    else if (question->status == -ETIMEDOUT && fipc_now_ns() < first->deadline_ns)
        return; /* the one for which it was asked is gone, and this one has more time */
    else if (question->status == -ENOENT && !queue->waits)
        end_those_that_do_not_wait(queue);
    else if (question->status != FIPC_NOT_SENT && question->status != -ECONNRESET)
        end(first, question->status);
    (void)queue_close(queue, connection);
}

/* No service has seen it. */
static void queue_again(struct fipc_submission *submission)
{
    struct fipc_submission_queue *queue = queue_open(submission->all, submission);

    if (queue == NULL) {
        end(submission, -ENOMEM);
        return;
    }
    TAILQ_REMOVE(&submission->all->sent, submission, link);
    enqueue(queue, submission);
}

static void answered(struct fipc_pending *pending, struct fipc_connection *connection)
{
    struct fipc_submission *submission = pending->on_done_arg;
    struct fipc_names *names = connection != NULL ? &connection->names : NULL;

    if (pending->status == FIPC_NOT_SENT ||
        fipc_names_send_again(names, pending, fipc_submission_service(submission),
                              submission->service_bytes, submission->flags))
        queue_again(submission);
    else
        end(submission, pending->status);
}

/* ---- submitting ---- */

int fipc_submissions_add(struct fipc_submissions *all, struct fipc_connection *connection,
                         struct fipc_submission *submission)
{
    struct fipc_submission_queue *queue = queue_open(all, submission);

    if (queue == NULL)
        return -ENOMEM;
    submission->all = all;
    submission->pending.on_done = answered;
    submission->pending.on_done_arg = submission;
    submission->number = all->n_added++;
    enqueue(queue, submission);
    if (queue->waits && (submission->flags & FIPC_WAIT_SERVICE) == 0)
        forget_question(queue, connection); /* this one wants to know now */
    return 0;
}

bool fipc_submissions_take_back(struct fipc_submissions *all, struct fipc_connection *connection,
                                struct fipc_submission *submission)
{
    struct fipc_submission_queue *queue = submission->queue;

    if (queue != NULL && connection != NULL && !queue->is_asked &&
        (submission->flags & FIPC_NO_WAIT) != 0) { /* another one waits for room */
        end(submission, -EAGAIN);
        (void)queue_close(queue, connection);
    }
    if (submission->pending.status != -EAGAIN)
        return false;
    TAILQ_REMOVE(&all->ended, submission, link);
    all->n_ended--;
    return true;
}

/* ---- giving up ---- */

/* Its answer may still come, and is dropped then. */
static void forget_sent(struct fipc_submission *submission, struct fipc_connection *connection)
{
    fipc_pending_remove(&connection->pending, &submission->pending);
    fipc_outgoing_cancel(connection, &submission->pending);
}

static struct fipc_submission *find_sent(const struct fipc_connection *connection, uint64_t call_id)
{
    struct fipc_pending *pending =
        connection != NULL ? fipc_pending_find(&connection->pending, call_id) : NULL;

    return pending != NULL && pending->on_done == answered ? pending->on_done_arg : NULL;
}

int fipc_submissions_cancel(struct fipc_submissions *all, struct fipc_connection *connection,
                            uint64_t call_id)
{
    struct fipc_submission *submission = find_sent(connection, call_id);
    struct fipc_submission_queue *queue;
    struct fipc_pending *queued;

    if (submission != NULL) {
        forget_sent(submission, connection);
        end(submission, -ECANCELED);
        return 0;
    }
    queued = fipc_pending_find(&all->queued, call_id);
    if (queued == NULL)
        return -ENOENT;
    submission = queued->on_done_arg;
    queue = submission->queue;
    end(submission, -ECANCELED);
    (void)queue_close(queue, connection);
    return 0;
}

bool fipc_submissions_hurry(struct fipc_submissions *all, uint64_t deadline_ns)
{
    if (deadline_ns >= all->next_deadline_ns)
        return false;
    all->next_deadline_ns = deadline_ns;
    return true;
}

/* Ends those of a list that are over, and finds when the next one is. */
static void expire(struct fipc_submission_list *list, struct fipc_connection *connection, int error,
                   uint64_t now_ns)
{
    struct fipc_submission *submission, *next;

    for (submission = TAILQ_FIRST(list); submission != NULL; submission = next) {
        next = TAILQ_NEXT(submission, link);
        if (now_ns >= submission->deadline_ns) {
            if (submission->queue == NULL)
                forget_sent(submission, connection);
            end(submission, error);
        } else {
            (void)fipc_submissions_hurry(submission->all, submission->deadline_ns);
        }
    }
}

void fipc_submissions_expire(struct fipc_submissions *all, struct fipc_connection *connection,
                             int connect_error, uint64_t now_ns)
{
    /* not sent yet since there is no broker; else: no answer in time */
    int unsent = connection == NULL && connect_error != 0 ? connect_error : -ETIMEDOUT;
    struct fipc_submission_queue *queue, *next;

    if (now_ns < all->next_deadline_ns)
        return;
    all->next_deadline_ns = FIPC_NEVER;
    expire(&all->sent, connection, -ETIMEDOUT, now_ns);
    for (queue = TAILQ_FIRST(&all->queues); queue != NULL; queue = next) {
        next = TAILQ_NEXT(queue, link);
        expire(&queue->list, connection, unsent, now_ns);
        (void)queue_close(queue, connection);
    }
}

bool fipc_submissions_are_busy(const struct fipc_submissions *all)
{
    return !TAILQ_EMPTY(&all->queues) || !TAILQ_EMPTY(&all->sent);
}

/* ---- life ---- */

int fipc_submissions_init(struct fipc_submissions *all)
{
    TAILQ_INIT(&all->queues);
    TAILQ_INIT(&all->sent);
    TAILQ_INIT(&all->ended);
    all->next_deadline_ns = FIPC_NEVER;
    return fipc_pending_init(&all->queued);
}

static void free_list(struct fipc_submission_list *list)
{
    struct fipc_submission *submission;

    while ((submission = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, submission, link);
        fipc_submission_free(submission);
    }
}

void fipc_submissions_deinit(struct fipc_submissions *all)
{
    struct fipc_submission_queue *queue;

    free_list(&all->sent);
    free_list(&all->ended);
    while ((queue = TAILQ_FIRST(&all->queues)) != NULL) {
        TAILQ_REMOVE(&all->queues, queue, link);
        free_list(&queue->list);
        free(queue);
    }
    fipc_pending_deinit(&all->queued);
}

/* SPDX-License-Identifier: MIT */
#include "client/session/submission_queue.h"

#include "client/base/message.h"

#include <stdlib.h>
#include <string.h>

/* ---- submissions ---- */

struct fipc_submission *fipc_submission_new(struct fipc_pool *pool, const struct fipc_call *call,
                                            uint64_t id)
{
    struct fipc_submission *submission = calloc(1, sizeof(*submission));

    if (submission == NULL)
        return NULL;
    submission->request = fipc_message_new(pool, call->size + call->service_bytes);
    if (submission->request == NULL) {
        free(submission);
        return NULL;
    }
    if (call->size > 0)
        memcpy(submission->request->buffer, call->data, call->size);
    submission->request->size = call->size;
    memcpy(submission->request->buffer + call->size, call->service, call->service_bytes);
    submission->service_bytes = call->service_bytes;
    submission->flags = call->flags;
    submission->is_limited = call->timeout_ms >= 0;
    submission->pending = (struct fipc_pending){
        .id = id,
        .answer_kind = FIPC_KIND_REPLY,
        .keeps_payload = true,
        .is_idempotent = (call->flags & FIPC_IDEMPOTENT) != 0,
        .no_wait = (call->flags & FIPC_NO_WAIT) != 0,
        .fd = -1,
    };
    return submission;
}

void fipc_submission_free(struct fipc_submission *submission)
{
    fipc_message_recycle(submission->request);
    if (submission->pending.reply != NULL)
        fipc_message_recycle(submission->pending.reply);
    free(submission);
}

const char *fipc_submission_service(const struct fipc_submission *submission)
{
    return (const char *)submission->request->buffer + submission->request->size;
}

/* ---- queues ---- */

struct fipc_submission_queue *fipc_submission_queue_new(const struct fipc_submission *submission)
{
    struct fipc_submission_queue *queue = calloc(1, sizeof(*queue) + submission->service_bytes);

    if (queue == NULL)
        return NULL;
    TAILQ_INIT(&queue->list);
    queue->service_bytes = submission->service_bytes;
    memcpy(queue->service, fipc_submission_service(submission), submission->service_bytes);
    return queue;
}

bool fipc_submission_queue_fits(const struct fipc_submission_queue *queue,
                                const struct fipc_submission *submission)
{
    return queue->service_bytes == submission->service_bytes &&
           memcmp(queue->service, fipc_submission_service(submission), queue->service_bytes) == 0;
}

static void count(struct fipc_submission_queue *queue, const struct fipc_submission *submission,
                  int change)
{
    queue->n_queued += (unsigned)change;
    if ((submission->flags & FIPC_NO_WAIT) != 0)
        queue->n_impatient += (unsigned)change;
    if ((submission->flags & FIPC_WAIT_SERVICE) != 0)
        queue->n_waiting += (unsigned)change;
}

void fipc_submission_queue_add(struct fipc_submission_queue *queue,
                               struct fipc_submission *submission)
{
    struct fipc_submission *last = TAILQ_LAST(&queue->list, fipc_submission_list);
    struct fipc_submission *later = NULL;

    if (last != NULL && last->number > submission->number) {
        TAILQ_FOREACH(later, &queue->list, link) {
            if (later->number > submission->number)
                break;
        }
    }
    if (later != NULL)
        TAILQ_INSERT_BEFORE(later, submission, link);
    else
        TAILQ_INSERT_TAIL(&queue->list, submission, link);
    submission->queue = queue;
    count(queue, submission, 1);
}

void fipc_submission_queue_remove(struct fipc_submission *submission)
{
    struct fipc_submission_queue *queue = submission->queue;

    TAILQ_REMOVE(&queue->list, submission, link);
    count(queue, submission, -1);
    submission->queue = NULL;
}

/* SPDX-License-Identifier: MIT */
#include "client/base/message.h"
#include "client/call.h"
#include "client/client.h"
#include "client/session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void fipc_submission_free(struct fipc_submission *submission)
{
    fipc_free(submission->request);
    fipc_free(submission->pending.reply);
    free(submission);
}

static struct fipc_submission *submission_new(struct fipc_client *client,
                                              const struct fipc_call *call)
{
    struct fipc_submission *submission = calloc(1, sizeof(*submission));

    if (submission == NULL)
        return NULL;
    submission->request = fipc_message_new(client->pool, call->size + call->service_bytes);
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
        .id = fipc_pending_next_id(&client->pending),
        .answer_kind = FIPC_KIND_REPLY,
        .keeps_payload = true,
        .is_idempotent = (call->flags & FIPC_IDEMPOTENT) != 0,
        .no_wait = (call->flags & FIPC_NO_WAIT) != 0,
        .fd = -1,
    };
    return submission;
}

static int submit(struct fipc_client *client, const struct fipc_call *call, fipc_reply_fn *fn,
                  void *userdata, uint64_t *ret_call_id)
{
    struct fipc_submission *submission;
    int r;

    if (call->size > fipc_ring_payload_max(client->request_ring_bytes))
        return -EMSGSIZE;
    fipc_reader_catch_up(client, call->started_ns);
    submission = submission_new(client, call);
    if (submission == NULL)
        return -ENOMEM;
    submission->fn = fn;
    submission->userdata = userdata;
    submission->deadline_ns =
        fipc_call_deadline(client->handler_ms, call->started_ns, call->timeout_ms);
    r = fipc_sending_add(client, submission);
    if (r < 0) {
        fipc_submission_free(submission);
        return r;
    }
    fipc_sending_hurry(client, submission->deadline_ns);
    if (ret_call_id != NULL)
        *ret_call_id = submission->pending.id;
    return 0;
}

FIPC_PUBLIC int fipc_submit(fipc_client *client, const char *service, const void *data, size_t size,
                            unsigned flags, int timeout_ms, fipc_reply_fn *fn, void *userdata,
                            uint64_t *call_id)
{
    struct fipc_call call;
    int r;

    r = fipc_call_init(&call, client, service, data, size, flags, timeout_ms);
    if (r == 0 && (timeout_ms == 0 || fn == NULL))
        r = -EINVAL;
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->lock);
    r = submit(client, &call, fn, userdata, call_id);
    fipc_pollable_park(client);
    (void)pthread_mutex_unlock(&client->lock);
    return r;
}

FIPC_PUBLIC int fipc_cancel(fipc_client *client, uint64_t call_id)
{
    int r = fipc_client_check(client);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->lock);
    r = fipc_sending_cancel(client, call_id);
    fipc_backlog_go_on(client);
    (void)pthread_mutex_unlock(&client->lock);
    return r;
}

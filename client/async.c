/* SPDX-License-Identifier: MIT */
#include "client/call.h"
#include "client/session/client.h"
#include "client/session/session.h"

#include <errno.h>

static int submit(struct fipc_client *client, const struct fipc_call *call, fipc_reply_fn *fn,
                  void *userdata, uint64_t *ret_call_id)
{
    struct fipc_submission *submission;
    uint64_t call_id;
    int r;

    if (call->size > fipc_ring_payload_max(client->request_ring_bytes))
        return -EMSGSIZE;
    fipc_session_catch_up(client, call->started_ns);
    call_id = fipc_pending_next_id(&client->submissions.queued);
    submission = fipc_submission_new(client->pool, call, call_id);
    if (submission == NULL)
        return -ENOMEM;
    submission->fn = fn;
    submission->userdata = userdata;
    submission->deadline_ns =
        fipc_call_deadline(client->handler_ms, call->started_ns, call->timeout_ms);
    r = fipc_submissions_add(&client->submissions, client->connection, submission);
    if (r == 0) {
        fipc_session_go_on(client);
        if (fipc_submissions_take_back(&client->submissions, client->connection, submission))
            r = -EAGAIN;
    }
    if (r < 0) {
        fipc_submission_free(submission);
        return r;
    }
    fipc_session_hurry(client, submission->deadline_ns);
    if (ret_call_id != NULL)
        *ret_call_id = call_id;
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
    (void)pthread_mutex_lock(&client->handle.lock);
    r = submit(client, &call, fn, userdata, call_id);
    fipc_session_park(client);
    (void)pthread_mutex_unlock(&client->handle.lock);
    return r;
}

FIPC_PUBLIC int fipc_cancel(fipc_client *client, uint64_t call_id)
{
    int r = fipc_session_check(client);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->handle.lock);
    r = fipc_submissions_cancel(&client->submissions, client->connection, call_id);
    fipc_session_go_on(client);
    (void)pthread_mutex_unlock(&client->handle.lock);
    return r;
}

FIPC_PUBLIC int fipc_fd(fipc_client *client)
{
    int r = fipc_session_check(client);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->handle.lock);
    r = fipc_pollable_open(&client->pollable);
    if (r == 0) {
        if (client->connection != NULL)
            fipc_pollable_watch(&client->pollable, client->connection);
        fipc_baton_kick(&client->baton); /* a thread that sleeps looks, and leaves it to the fd */
        fipc_session_park(client);
        r = client->pollable.epoll_fd;
    }
    (void)pthread_mutex_unlock(&client->handle.lock);
    return r;
}

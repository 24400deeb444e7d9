/* SPDX-License-Identifier: MIT */
/*
 * A loan keeps its client. Its buffer holds the name of the service behind the request.
 */
#include "client/base/message.h"
#include "client/call.h"
#include "client/link/placing.h"
#include "client/session/client.h"
#include "client/session/session.h"
#include "common/os/os.h"

#include <errno.h>
#include <string.h>

/* Gives back all that a loan refers to, but for its buffer. */
static void release(struct fipc_message *loan)
{
    struct fipc_client *client = fipc_client_of(loan->handle);

    if (!fipc_handle_lock_to_release(loan->handle))
        return;
    if (fipc_placing_drop(loan) && fipc_handle_check(loan->handle) == 0)
        (void)fipc_baton_wake_ready(&client->baton); /* for room; in a child of fork(2) nobody */
    (void)pthread_mutex_unlock(&loan->handle->lock);
    fipc_handle_unref(loan->handle);
}

FIPC_PUBLIC int fipc_loan(fipc_client *client, const char *service, size_t size,
                          fipc_message **request)
{
    size_t service_bytes = fipc_service_bytes(service);
    struct fipc_message *loan;
    int r;

    r = fipc_session_check(client);
    if (r < 0)
        return r;
    if (service_bytes == 0 || request == NULL)
        return -EINVAL;
    (void)pthread_mutex_lock(&client->handle.lock);
    if (size > fipc_ring_payload_max(client->request_ring_bytes)) {
        (void)pthread_mutex_unlock(&client->handle.lock);
        return -EMSGSIZE;
    }
    loan = fipc_message_new(client->pool, size + service_bytes);
    if (loan != NULL) {
        loan->size = size;
        loan->handle = &client->handle;
        client->handle.n_refs++;
        loan->service_bytes = service_bytes;
        memcpy(loan->buffer + size, service, service_bytes);
        if (client->connection != NULL)
            fipc_placing_try(loan, client->connection);
    }
    (void)pthread_mutex_unlock(&client->handle.lock);
    if (loan == NULL)
        return -ENOMEM;
    *request = loan;
    return 0;
}

static int send_loan(struct fipc_message *loan, unsigned flags, int timeout_ms,
                     fipc_message **reply)
{
    struct fipc_client *client = fipc_client_of(loan->handle);
    struct fipc_call call = {
        .service = (const char *)loan->buffer + loan->size,
        .service_bytes = loan->service_bytes,
        .size = loan->size,
        .loan = loan,
        .flags = flags,
        .timeout_ms = timeout_ms,
    };
    int r;

    r = fipc_session_check(client); /* a reply has none: it cannot be sent */
    if (r == 0)
        r = fipc_call_check(NULL, 0, flags, timeout_ms);
    if (r < 0)
        return r;
    call.started_ns = fipc_now_ns();
    (void)pthread_mutex_lock(&client->handle.lock);
    r = fipc_call_run(client, &call, reply);
    (void)pthread_mutex_unlock(&client->handle.lock);
    return r;
}

FIPC_PUBLIC int fipc_send(fipc_message *request, unsigned flags, int timeout_ms,
                          fipc_message **reply)
{
    int r;

    if (request == NULL)
        return -EINVAL;
    r = send_loan(request, flags, timeout_ms, reply);
    fipc_free(request);
    return r;
}

FIPC_PUBLIC void fipc_free(fipc_message *message)
{
    if (message == NULL)
        return;
    if (message->handle != NULL)
        release(message);
    fipc_message_recycle(message);
}

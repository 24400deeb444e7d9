/* SPDX-License-Identifier: MIT */
#include "client/base/message.h"
#include "client/base/wire.h"
#include "client/exchange.h"
#include "client/session/client.h"
#include "client/session/inbox.h"
#include "client/session/session.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>

#define PIDFD_TIMEOUT_NS FIPC_NS_PER_S

/* ---- answers ---- */

/* Return: as fipc_reply() */
static int send_reply(struct fipc_request *request, int32_t status, const void *data, size_t size)
{
    struct fipc_client *client = request->client;
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_REPLY,
                   .target = request->number,
                   .status = status,
                   .id = request->id},
        .payload = data,
        .size = size,
        .deadline_ns = fipc_call_deadline(client->handler_ms, fipc_now_ns(), -1),
    };
    int r;

    fipc_session_catch_up(client, fipc_now_ns());
    if (!fipc_session_is_on(client, request->connection))
        return -ECONNRESET;
    if (size > fipc_ring_payload_max(client->connection->channel.out.capacity))
        return -EMSGSIZE;
    r = fipc_exchange_send(client, &question);
    if (r == -ETIMEDOUT) /* a broker that takes nothing: it would wait for this answer for ever */
        fipc_session_lose(client, -ECONNRESET);
    return r < 0 ? -ECONNRESET : 0;
}

static void request_end(struct fipc_request *request)
{
    struct fipc_client *client = request->client;

    if (!fipc_handle_lock_to_release(&client->handle))
        return;
    fipc_inbox_remove(&client->inbox, request);
    client->handle.n_idle_refs--;
    (void)pthread_mutex_unlock(&client->handle.lock);
    fipc_request_free(request);
    fipc_handle_unref(&client->handle);
}

static int answer(struct fipc_request *request, int32_t status, const void *data, size_t size)
{
    struct fipc_client *client = request->client;
    int r = fipc_session_check(client);

    if (r == 0) {
        (void)pthread_mutex_lock(&client->handle.lock);
        r = send_reply(request, status, data, size);
        (void)pthread_mutex_unlock(&client->handle.lock);
    }
    if (r != -EMSGSIZE)
        request_end(request);
    return r;
}

FIPC_PUBLIC int fipc_reply(fipc_request *request, const void *data, size_t size)
{
    if (request == NULL || (data == NULL && size > 0))
        return -EINVAL;
    return answer(request, 0, data, size);
}

FIPC_PUBLIC int fipc_reply_error(fipc_request *request, int error)
{
    if (request == NULL || error == 0 || error > FIPC_ERROR_MAX || error < -FIPC_ERROR_MAX)
        return -EINVAL;
    return answer(request, error > 0 ? -error : error, NULL, 0);
}

/* ---- facts about a request ---- */

FIPC_PUBLIC const void *fipc_request_data(const fipc_request *request)
{
    return request != NULL ? fipc_data(request->message) : NULL;
}

FIPC_PUBLIC size_t fipc_request_size(const fipc_request *request)
{
    return request != NULL ? fipc_size(request->message) : 0;
}

FIPC_PUBLIC const fipc_peer *fipc_peer_of(const fipc_request *request)
{
    return request != NULL ? &request->peer : NULL;
}

FIPC_PUBLIC int fipc_request_is_cancelled(const fipc_request *request)
{
    bool is_cancelled;

    if (request == NULL || fipc_session_check(request->client) < 0)
        return true;
    (void)pthread_mutex_lock(&request->client->handle.lock);
    is_cancelled = request->is_cancelled;
    (void)pthread_mutex_unlock(&request->client->handle.lock);
    return is_cancelled;
}

/* Return: a pidfd; -EAGAIN another packet lies in the lane; else as fipc_peer_pidfd() */
static int ask_pidfd(const struct fipc_request *request, uint64_t deadline_ns)
{
    struct fipc_client *client = request->client;
    struct fipc_packet packet;
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_CONTROL, .target = request->number},
        .payload = packet.bytes,
        .deadline_ns = deadline_ns,
    };
    struct fipc_pending pending = {.answer_kind = FIPC_KIND_CONTROL};
    int r;

    if (!fipc_session_is_on(client, request->connection))
        return -ECONNRESET;
    (void)fipc_connection_drain(client->connection);
    fipc_baton_kick(&client->baton); /* a bell of the thread that sleeps on the lane may be gone */
    r = fipc_packet_pidfd(&packet);
    question.size = packet.size;
    if (r == 0)
        r = fipc_exchange(client, &question, &pending);
    if (r < 0)
        return r == FIPC_NOT_SENT ? -ECONNRESET : r;
    if (pending.status < 0)
        return pending.status;
    return pending.fd >= 0 ? pending.fd : -EPROTO;
}

FIPC_PUBLIC int fipc_peer_pidfd(const fipc_request *request)
{
    uint64_t deadline_ns = fipc_now_ns() + PIDFD_TIMEOUT_NS;
    int r;

    if (request == NULL)
        return -EINVAL;
    r = fipc_session_check(request->client);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&request->client->handle.lock);
    do /* a wake-up, or the pidfd of another thread, is in the way for a moment */
        r = ask_pidfd(request, deadline_ns);
    while (r == -EAGAIN && fipc_now_ns() < deadline_ns);
    (void)pthread_mutex_unlock(&request->client->handle.lock);
    return r;
}

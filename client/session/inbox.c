/* SPDX-License-Identifier: MIT */
#include "client/session/inbox.h"

#include "client/base/message.h"
#include "client/base/wire.h"
#include "client/client.h"
#include "client/exchange.h"
#include "client/session/session.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIDFD_TIMEOUT_NS FIPC_NS_PER_S

struct fipc_request {
    TAILQ_ENTRY(fipc_request) link; /* fipc_serving.inbox or .in_hand */
    struct fipc_client *client;     /* counted while it is in hand */
    uint64_t connection;            /* its number */
    uint32_t number;                /* of the delivery */
    uint64_t id;
    fipc_handler_fn *fn;
    void *userdata;
    struct fipc_message *message; /* owned; the groups lie behind the data */
    struct fipc_peer peer;
    bool is_cancelled;
};

/* ---- from the ring ---- */

static void request_free(struct fipc_request *request)
{
    fipc_free(request->message);
    free(request);
}

/* Where in a request's record what lies. */
struct layout {
    struct fipc_delivery about; /* a copy */
    const unsigned char *groups;
    size_t groups_bytes;
    const unsigned char *data;
    size_t data_bytes;
};

static int layout_read(const struct fipc_header *header, const unsigned char *payload,
                       struct layout *ret_layout)
{
    size_t left = fipc_payload_size(header);
    struct layout layout;

    if (left < sizeof(layout.about))
        return -EBADMSG;
    memcpy(&layout.about, payload, sizeof(layout.about));
    left -= sizeof(layout.about);
    if (layout.about.n_groups > left / sizeof(gid_t))
        return -EBADMSG;
    layout.groups = payload + sizeof(layout.about);
    layout.groups_bytes = layout.about.n_groups * sizeof(gid_t);
    layout.data = layout.groups + layout.groups_bytes;
    layout.data_bytes = left - layout.groups_bytes;
    *ret_layout = layout;
    return 0;
}

static struct fipc_request *request_new(struct fipc_client *client, const struct layout *layout)
{
    size_t groups_at = (layout->data_bytes + sizeof(gid_t) - 1) / sizeof(gid_t) * sizeof(gid_t);
    struct fipc_request *request = calloc(1, sizeof(*request));

    if (request == NULL)
        return NULL;
    request->message = fipc_message_new(client->pool, groups_at + layout->groups_bytes);
    if (request->message == NULL) {
        free(request);
        return NULL;
    }
    request->message->size = layout->data_bytes;
    memcpy(request->message->buffer, layout->data, layout->data_bytes);
    memcpy(request->message->buffer + groups_at, layout->groups, layout->groups_bytes);
    request->peer = (struct fipc_peer){
        .size = sizeof(request->peer),
        .uid = layout->about.uid,
        .gid = layout->about.gid,
        .pid = layout->about.pid,
        .n_groups = layout->about.n_groups,
        .groups = (const gid_t *)(const void *)(request->message->buffer + groups_at),
    };
    return request;
}

int fipc_request_take(struct fipc_client *client, const struct fipc_header *header,
                      const void *payload)
{
    const struct fipc_served *served = fipc_served_of_target(&client->serving, header->target);
    struct fipc_request *request;
    struct layout layout;

    if (served == NULL || layout_read(header, payload, &layout) < 0)
        return -EBADMSG;
    request = request_new(client, &layout);
    if (request == NULL)
        return -ENOMEM;
    request->client = client;
    request->connection = client->n_connections;
    request->number = layout.about.number;
    request->id = header->id;
    request->fn = served->fn;
    request->userdata = served->userdata;
    TAILQ_INSERT_TAIL(&client->serving.inbox, request, link);
    client->serving.n_inbox++;
    (void)fipc_baton_wake_ready(&client->baton);
    fipc_pollable_signal(client);
    return 0;
}

static struct fipc_request *request_find(const struct fipc_request_list *list,
                                         const struct fipc_header *header)
{
    struct fipc_request *request;

    TAILQ_FOREACH(request, list, link) {
        if (request->number == header->target && request->id == header->id)
            break;
    }
    return request;
}

/* The handler runs all the same: it may be about to. */
void fipc_request_cancel(struct fipc_client *client, const struct fipc_header *header)
{
    struct fipc_request *request = request_find(&client->serving.in_hand, header);

    if (request == NULL)
        request = request_find(&client->serving.inbox, header);
    if (request != NULL)
        request->is_cancelled = true;
}

void fipc_requests_drop(struct fipc_serving *serving)
{
    struct fipc_request *request;

    while ((request = TAILQ_FIRST(&serving->inbox)) != NULL) {
        TAILQ_REMOVE(&serving->inbox, request, link);
        request_free(request);
    }
    serving->n_inbox = 0;
}

void fipc_requests_lost(struct fipc_serving *serving)
{
    struct fipc_request *request;

    fipc_requests_drop(serving);
    TAILQ_FOREACH(request, &serving->in_hand, link)
        request->is_cancelled = true;
}

void fipc_request_hand_over_first(struct fipc_client *client)
{
    struct fipc_request *request = TAILQ_FIRST(&client->serving.inbox);

    TAILQ_REMOVE(&client->serving.inbox, request, link);
    client->serving.n_inbox--;
    TAILQ_INSERT_TAIL(&client->serving.in_hand, request, link);
    client->serving.n_in_hand++;
    client->n_refs++;
    (void)pthread_mutex_unlock(&client->lock);
    request->fn(request, request->userdata);
    (void)pthread_mutex_lock(&client->lock);
}

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

    fipc_reader_catch_up(client, fipc_now_ns());
    if (client->connection == NULL || client->n_connections != request->connection)
        return -ECONNRESET;
    if (size > fipc_ring_payload_max(client->connection->channel.out.capacity))
        return -EMSGSIZE;
    r = fipc_question_send(client, &question);
    if (r == -ETIMEDOUT) /* a broker that takes nothing: it would wait for this answer for ever */
        fipc_reader_lose(client, -ECONNRESET);
    return r < 0 ? -ECONNRESET : 0;
}

static void request_end(struct fipc_request *request)
{
    struct fipc_client *client = request->client;

    if (!fipc_client_lock_to_release(client))
        return;
    TAILQ_REMOVE(&client->serving.in_hand, request, link);
    client->serving.n_in_hand--;
    (void)pthread_mutex_unlock(&client->lock);
    request_free(request);
    fipc_unref(client);
}

static int answer(struct fipc_request *request, int32_t status, const void *data, size_t size)
{
    struct fipc_client *client = request->client;
    int r = fipc_client_check(client);

    if (r == 0) {
        (void)pthread_mutex_lock(&client->lock);
        r = send_reply(request, status, data, size);
        (void)pthread_mutex_unlock(&client->lock);
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

/* ---- what is known of a request ---- */

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

    if (request == NULL || fipc_client_check(request->client) < 0)
        return true;
    (void)pthread_mutex_lock(&request->client->lock);
    is_cancelled = request->is_cancelled;
    (void)pthread_mutex_unlock(&request->client->lock);
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

    if (client->connection == NULL || client->n_connections != request->connection)
        return -ECONNRESET;
    fipc_pollable_drain(client);
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
    r = fipc_client_check(request->client);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&request->client->lock);
    do /* a wake-up, or the pidfd of another thread, is in the way for a moment */
        r = ask_pidfd(request, deadline_ns);
    while (r == -EAGAIN && fipc_now_ns() < deadline_ns);
    (void)pthread_mutex_unlock(&request->client->lock);
    return r;
}

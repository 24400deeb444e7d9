/* SPDX-License-Identifier: MIT */
#include "client/session/inbox.h"

#include "client/base/message.h"
#include "client/client.h"
#include "client/exchange.h"
#include "client/session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- from the ring ---- */

void fipc_request_free(struct fipc_request *request)
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
        fipc_request_free(request);
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

/* SPDX-License-Identifier: MIT */
#include "client/session/inbox.h"

#include "client/base/message.h"
#include "client/session/served.h"
#include "common/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- from the ring ---- */

void fipc_request_free(struct fipc_request *request)
{
    fipc_message_recycle(request->message);
    free(request);
}

/* The parts of a request's record. */
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
    if (layout.about.n_groups > left / sizeof(gid_t) || layout.about.name_bytes != 0)
        return -EBADMSG;
    layout.groups = payload + sizeof(layout.about);
    layout.groups_bytes = layout.about.n_groups * sizeof(gid_t);
    layout.data = layout.groups + layout.groups_bytes;
    layout.data_bytes = left - layout.groups_bytes;
    *ret_layout = layout;
    return 0;
}

static struct fipc_request *request_new(struct fipc_pool *pool, const struct layout *layout)
{
    size_t groups_at = (layout->data_bytes + sizeof(gid_t) - 1) / sizeof(gid_t) * sizeof(gid_t);
    struct fipc_request *request = calloc(1, sizeof(*request));

    if (request == NULL)
        return NULL;
    request->message = fipc_message_new(pool, groups_at + layout->groups_bytes);
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

int fipc_inbox_take(struct fipc_inbox *inbox, struct fipc_pool *pool,
                    const struct fipc_served *served, uint64_t connection,
                    const struct fipc_header *header, const void *payload)
{
    struct fipc_request *request;
    struct layout layout;

    if (served == NULL || layout_read(header, payload, &layout) < 0)
        return -EBADMSG;
    request = request_new(pool, &layout);
    if (request == NULL)
        return -ENOMEM;
    request->connection = connection;
    request->number = layout.about.number;
    request->id = header->id;
    request->fn = served->fn;
    request->userdata = served->userdata;
    TAILQ_INSERT_TAIL(&inbox->due, request, link);
    inbox->n_due++;
    inbox->has_news = true;
    return 0;
}

/* ---- cancels ---- */

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

void fipc_inbox_cancel(struct fipc_inbox *inbox, const struct fipc_header *header)
{
    struct fipc_request *request = request_find(&inbox->in_hand, header);

    if (request == NULL)
        request = request_find(&inbox->due, header);
    if (request != NULL)
        request->is_cancelled = true;
}

void fipc_inbox_lost(struct fipc_inbox *inbox)
{
    struct fipc_request *request;

    fipc_inbox_deinit(inbox);
    TAILQ_FOREACH(request, &inbox->in_hand, link)
        request->is_cancelled = true;
}

/* ---- to the user and back ---- */

struct fipc_request *fipc_inbox_hand_over(struct fipc_inbox *inbox)
{
    struct fipc_request *request = TAILQ_FIRST(&inbox->due);

    TAILQ_REMOVE(&inbox->due, request, link);
    inbox->n_due--;
    TAILQ_INSERT_TAIL(&inbox->in_hand, request, link);
    inbox->n_in_hand++;
    return request;
}

void fipc_inbox_remove(struct fipc_inbox *inbox, struct fipc_request *request)
{
    TAILQ_REMOVE(&inbox->in_hand, request, link);
    inbox->n_in_hand--;
}

/* ---- life ---- */

void fipc_inbox_init(struct fipc_inbox *inbox)
{
    *inbox = (struct fipc_inbox){.n_due = 0};
    TAILQ_INIT(&inbox->due);
    TAILQ_INIT(&inbox->in_hand);
}

void fipc_inbox_deinit(struct fipc_inbox *inbox)
{
    struct fipc_request *request;

    while ((request = TAILQ_FIRST(&inbox->due)) != NULL) {
        TAILQ_REMOVE(&inbox->due, request, link);
        fipc_request_free(request);
    }
    inbox->n_due = 0;
}

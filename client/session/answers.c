/* SPDX-License-Identifier: MIT */
#include "client/session/answers.h"

#include "client/base/message.h"
#include "client/session/client.h"
#include "common/control.h"
#include "common/lane.h"
#include "common/os/os.h"

#include <errno.h>
#include <string.h>

#define CONTROL_BYTES_MAX 64

void fipc_answers_complete(struct fipc_client *client, struct fipc_pending *pending, int status)
{
    pending->status = status;
    pending->done = true;
    if (pending->waiter != NULL)
        fipc_baton_finish(&client->baton, pending->waiter);
    else
        pending->on_done(pending, client->connection);
}

/* Return: 0; -ENOMEM */
static int keep_payload(const struct fipc_client *client, struct fipc_pending *pending,
                        const void *payload, size_t size)
{
    pending->reply = fipc_message_new(client->pool, size);
    if (pending->reply == NULL)
        return -ENOMEM;
    memcpy(pending->reply->data, payload, size);
    pending->reply->size = size;
    return 0;
}

static int status_of(const struct fipc_header *header)
{
    return header->status <= 0 && header->status >= -FIPC_ERROR_MAX ? header->status : -EPROTO;
}

/* Whether the service had no room: ROOM follows, perhaps at once. */
static bool says_full(const struct fipc_header *header, const struct fipc_pending *pending)
{
    return header->kind == FIPC_KIND_REPLY && header->status == -EAGAIN &&
           (header->flags & FIPC_REPLY_NOT_DELIVERED) != 0 && !pending->no_wait;
}

/* An answer to nothing is dropped: its asker may have given up. */
static void take_answer(struct fipc_client *client, const struct fipc_header *header,
                        const void *payload)
{
    struct fipc_pending *pending = fipc_pending_find(&client->connection->pending, header->id);
    int status = status_of(header);

    if (pending == NULL || pending->answer_kind != header->kind)
        return;
    fipc_pending_remove(&client->connection->pending, pending);
    if (pending->has_place)
        fipc_places_give_back(&client->connection->places, pending->place);
    pending->target = header->target;
    pending->reply_flags = header->flags;
    if (says_full(header, pending))
        fipc_names_set_full(&client->connection->names, pending->asked, true);
    if (status == 0 && pending->keeps_payload)
        status = keep_payload(client, pending, payload, fipc_payload_size(header));
    fipc_answers_complete(client, pending, status);
}

/* The fd that was announced lies in the lane, perhaps behind wake-up bytes. Return: 0; -EBADMSG */
static int receive_fd(struct fipc_client *client, uint64_t id, int *ret_fd)
{
    struct fipc_lane_fds fds;
    unsigned char packet[CONTROL_BYTES_MAX];
    struct fipc_control control;
    size_t size;
    int r;

    do {
        r = fipc_lane_receive(client->connection->lane_fd, packet, sizeof(packet), &size, &fds);
        if (r == 0 && fds.count == 0 && size == 1)
            continue;
        if (r == 0 && fipc_control_decode(packet, size, &control) == 0 &&
            control.type == FIPC_CONTROL_FDS && control.announce.id == id && fds.count == 1) {
            *ret_fd = fds.fds[0];
            return 0;
        }
        fipc_lane_fds_close(&fds);
        r = -EBADMSG;
    } while (r == 0);
    return r;
}

/* Return: 0; -EBADMSG */
static int take_announced(struct fipc_client *client, const struct fipc_header *header,
                          const struct fipc_announce *announce)
{
    struct fipc_pending *pending = fipc_pending_find(&client->connection->pending, header->id);
    int fd = -1;

    if (announce->n_fds > 1)
        return -EBADMSG;
    if (announce->n_fds == 1 && receive_fd(client, announce->id, &fd) < 0)
        return -EBADMSG;
    if (pending == NULL || pending->answer_kind != FIPC_KIND_CONTROL) {
        (void)fd_close(fd);
        return 0;
    }
    fipc_pending_remove(&client->connection->pending, pending);
    pending->fd = fd;
    fipc_answers_complete(client, pending, status_of(header));
    return 0;
}

/* Return: 0; -EBADMSG; -ECONNRESET the broker closes the connection */
static int take_control(struct fipc_client *client, const struct fipc_header *header,
                        const void *payload)
{
    unsigned char packet[CONTROL_BYTES_MAX];
    size_t size = fipc_payload_size(header);
    struct fipc_control control;

    if (size > sizeof(packet))
        return -EBADMSG;
    memcpy(packet, payload, size);
    if (fipc_control_decode(packet, size, &control) < 0)
        return -EBADMSG;
    switch (control.type) {
    case FIPC_CONTROL_OPENED:
        if (control.opened.path != FIPC_PATH_RELAY)
            return -EBADMSG;
        take_answer(client, header, payload);
        return 0;
    case FIPC_CONTROL_SERVED:
    case FIPC_CONTROL_WAITED:
        take_answer(client, header, payload);
        return 0;
    case FIPC_CONTROL_ANNOUNCE:
        return take_announced(client, header, &control.announce);
    case FIPC_CONTROL_ROOM:
        fipc_names_set_full(&client->connection->names, header->target, false);
        (void)fipc_baton_wake_ready(&client->baton);
        return 0;
    case FIPC_CONTROL_GOODBYE:
        return -ECONNRESET;
    default:
        return -EBADMSG;
    }
}

static int take_record(struct fipc_client *client)
{
    struct fipc_consumer *in = &client->connection->channel.in;
    struct fipc_header header;
    const void *payload;
    int r;

    r = fipc_consumer_take(in, &header, &payload);
    if (r < 0)
        return r;
    switch (header.kind) {
    case FIPC_KIND_SKIP:
        break;
    case FIPC_KIND_REPLY:
        take_answer(client, &header, payload);
        break;
    case FIPC_KIND_CONTROL:
        r = take_control(client, &header, payload);
        break;
    case FIPC_KIND_REQUEST:
        r = fipc_inbox_take(&client->inbox, client->pool,
                            fipc_served_of_target(&client->served, header.target),
                            client->connection->number, &header, payload);
        break;
    case FIPC_KIND_CANCEL:
        fipc_inbox_cancel(&client->inbox, &header);
        break;
    default:
        r = -EBADMSG;
        break;
    }
    fipc_consumer_release(in);
    return r;
}

int fipc_answers_take(struct fipc_client *client, unsigned n_max)
{
    int r = 0;

    for (unsigned n = 0; n < n_max && r == 0; n++)
        r = take_record(client);
    return r;
}

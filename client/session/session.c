/* SPDX-License-Identifier: MIT */
/*
 * Sleeping goes in slices, between which the reader looks whether the lane hung up: the futex does
 * not tell that the broker died. What a dead broker had written is taken before its connection is
 * given up. Nothing that comes from the ring is trusted: at worst the connection is lost.
 */
#include "client/session/session.h"

#include "client/base/message.h"
#include "client/client.h"
#include "client/exchange.h"
#include "client/link/pollable.h"
#include "client/loan.h"
#include "client/session/inbox.h"
#include "client/session/served.h"
#include "common/clock.h"
#include "common/control.h"
#include "common/lane.h"
#include "common/os/os.h"

#include <errno.h>
#include <string.h>

/* A broker is looked at after so long without a sign of life: while somebody waits for an answer,
 * before something is sent. */
#define SILENCE_WAITING_NS (50 * FIPC_NS_PER_MS)
#define SILENCE_SENDING_NS (1 * FIPC_NS_PER_MS)

/* So many records are taken before the lock is given to others. */
#define BATCH 64

#define CONTROL_BYTES_MAX 64

/* ---- answers ---- */

static void complete(struct fipc_client *client, struct fipc_pending *pending, int status)
{
    pending->status = status;
    pending->done = true;
    if (pending->waiter != NULL)
        fipc_baton_finish(&client->baton, pending->waiter);
    else
        pending->on_done(client, pending);
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
    struct fipc_pending *pending = fipc_pending_find(&client->pending, header->id);
    int status = status_of(header);

    if (pending == NULL || pending->answer_kind != header->kind)
        return;
    fipc_pending_remove(&client->pending, pending);
    pending->target = header->target;
    pending->reply_flags = header->flags;
    if (says_full(header, pending))
        fipc_names_set_full(&client->names, pending->asked, true);
    if (status == 0 && pending->keeps_payload)
        status = keep_payload(client, pending, payload, fipc_payload_size(header));
    complete(client, pending, status);
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
    struct fipc_pending *pending = fipc_pending_find(&client->pending, header->id);
    int fd = -1;

    if (announce->n_fds > 1)
        return -EBADMSG;
    if (announce->n_fds == 1 && receive_fd(client, announce->id, &fd) < 0)
        return -EBADMSG;
    if (pending == NULL || pending->answer_kind != FIPC_KIND_CONTROL) {
        (void)fd_close(fd);
        return 0;
    }
    fipc_pending_remove(&client->pending, pending);
    pending->fd = fd;
    complete(client, pending, status_of(header));
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
        fipc_names_set_full(&client->names, header->target, false);
        (void)fipc_baton_wake_ready(&client->baton);
        return 0;
    case FIPC_CONTROL_GOODBYE:
        return -ECONNRESET;
    default:
        return -EBADMSG;
    }
}

static int take_record(struct fipc_client *client, struct fipc_consumer *in)
{
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
        r = fipc_request_take(client, &header, payload);
        break;
    case FIPC_KIND_CANCEL:
        fipc_request_cancel(client, &header);
        break;
    default:
        r = -EBADMSG;
        break;
    }
    fipc_consumer_release(in);
    return r;
}

/* Takes a batch. Return: 0 there may be more; -EAGAIN that was all; -EPIPE the connection was lost
 * by it */
static int take_records(struct fipc_client *client)
{
    struct fipc_connection *connection = client->connection;
    struct fipc_channel *channel = &connection->channel;
    int r = 0;

    for (int n = 0; n < BATCH && r == 0; n++)
        r = take_record(client, &channel->in);
    if ((r == 0 || r == -EAGAIN) && fipc_consumer_left_room(&channel->in) &&
        fipc_channel_ring(channel, FIPC_NEWS_ROOM) == -EBADMSG)
        r = -EBADMSG;
    if (r != 0 && r != -EAGAIN) {
        fipc_reader_lose(client, r == -EBADMSG ? -EPROTO : r);
        return -EPIPE;
    }
    fipc_backlog_go_on(client); /* what was taken may be what others waited for */
    return client->connection == connection ? r : -EPIPE;
}

/* The broker hung up: what it said before that still counts. */
static void end_hung_up(struct fipc_client *client)
{
    int r;

    do
        r = take_records(client);
    while (r == 0);
    if (r == -EAGAIN)
        fipc_reader_lose(client, -ECONNRESET);
}

/* What the broker's head never passed was not delivered: it is sent again on the next connection.
 * What it passed has an unknown outcome. */
static int outcome_of(const struct fipc_connection *connection, const struct fipc_pending *pending,
                      int error)
{
    if (error != -ECONNRESET)
        return error;
    if (!pending->is_idempotent &&
        fipc_producer_was_taken(&connection->channel.out, pending->sent_until))
        return error;
    if (pending->loan != NULL)
        fipc_loan_recover(pending->loan);
    return FIPC_NOT_SENT;
}

void fipc_reader_lose(struct fipc_client *client, int error)
{
    struct fipc_connection *connection = client->connection;
    struct fipc_pending *pending = fipc_pending_take_all(&client->pending);

    client->connection = NULL;
    fipc_backlog_lost(&client->backlog);
    fipc_pollable_unwatch(client, connection);
    fipc_names_clear(&client->names);
    fipc_serving_lost(client);
    while (pending != NULL) {
        struct fipc_pending *next = pending->next;

        complete(client, pending, outcome_of(connection, pending, error));
        pending = next;
    }
    (void)fipc_baton_wake_ready(&client->baton);
    fipc_baton_kick(&client->baton);
    fipc_pollable_signal(
        client); /* the lane, which is closed, tells a poll loop nothing any more */
    fipc_connection_release(connection, &connection->n_users);
}

/* ---- waiting ---- */

static bool spin(struct fipc_spin *spin, const struct fipc_consumer *in, uint64_t now_ns)
{
    bool hit;

    fipc_spin_begin(spin, now_ns);
    while (!(hit = fipc_consumer_has_news(in)) && fipc_spin_again(spin)) {
    }
    fipc_spin_end(spin, hit);
    return hit;
}

/* Whether somebody waits for room in the outgoing ring. */
static bool wants_room(const struct fipc_client *client)
{
    return client->baton.n_want_room > 0 || fipc_backlog_wants_room(client);
}

/* Return: whether anybody could use the room that there is */
static bool use_room(struct fipc_client *client)
{
    bool has_room = fipc_backlog_has_room(client);

    if (has_room)
        fipc_backlog_go_on(client);
    return (client->baton.n_want_room > 0 && fipc_baton_wake_ready(&client->baton)) || has_room;
}

/* The second look, after the end word was set: see common/end.h. */
static bool anything_new(struct fipc_client *client, const struct fipc_connection *connection)
{
    return fipc_consumer_has_news(&connection->channel.in) || use_room(client);
}

/* Return: whether the broker hung up */
static bool sleep_a_slice(struct fipc_client *client, struct fipc_connection *connection,
                          uint64_t deadline_ns)
{
    struct fipc_baton *baton = &client->baton;
    struct fipc_end *own = connection->channel.own;
    uint64_t slice_end_ns = connection->heard_ns + SILENCE_WAITING_NS;
    uint32_t word = FIPC_END_ASLEEP_FUTEX;
    bool lost = false;

    baton->asleep_on = own;
    baton->asleep_for_room = wants_room(client);
    if (baton->asleep_for_room)
        word |= FIPC_END_ROOM;
    fipc_end_arm(own, word);
    if (anything_new(client, connection)) {
        (void)fipc_end_disarm(own);
    } else {
        (void)pthread_mutex_unlock(&client->lock);
        (void)fipc_end_sleep(own, word, slice_end_ns < deadline_ns ? slice_end_ns : deadline_ns);
        (void)fipc_end_disarm(own);
        (void)pthread_mutex_lock(&client->lock);
        lost = fipc_connection_is_lost(connection, fipc_now_ns(), SILENCE_WAITING_NS);
    }
    baton->asleep_on = NULL;
    baton->asleep_for_room = false;
    return lost;
}

/* Return: 0 look, perhaps something came; -ETIMEDOUT; -ECONNRESET the broker hung up */
static int wait_for_news(struct fipc_client *client, struct fipc_connection *connection,
                         uint64_t deadline_ns)
{
    uint64_t now_ns = fipc_now_ns();
    bool hit;

    if (now_ns >= deadline_ns)
        return -ETIMEDOUT;
    if (!wants_room(client)) { /* room is not seen by spinning */
        (void)pthread_mutex_unlock(&client->lock);
        hit = spin(&client->baton.spin, &connection->channel.in, now_ns);
        (void)pthread_mutex_lock(&client->lock);
        if (hit)
            connection->heard_ns = now_ns;
        if (hit || client->connection != connection)
            return 0;
    }
    return sleep_a_slice(client, connection, deadline_ns) ? -ECONNRESET : 0;
}

/* The client has a connection on entry; on exit it may have lost it. Return: 0; -ETIMEDOUT */
static int read_or_wait(struct fipc_client *client, uint64_t deadline_ns)
{
    struct fipc_connection *connection = client->connection;
    int r = 0;

    connection->n_users++; /* others may lose it while the lock is released */
    if (!fipc_consumer_has_news(&connection->channel.in))
        r = wait_for_news(client, connection, deadline_ns);
    if (client->connection == connection) {
        if (r == -ECONNRESET)
            end_hung_up(client);
        else if (fipc_consumer_has_news(&connection->channel.in))
            (void)take_records(client);
    }
    fipc_connection_release(connection, &connection->n_users);
    (void)use_room(client);
    return r == -ETIMEDOUT ? r : 0;
}

/* Return: as fipc_connection_open() */
static int open_connection(struct fipc_client *client, uint64_t deadline_ns)
{
    struct fipc_connection *connection;
    int r;

    (void)pthread_mutex_unlock(&client->lock);
    r = fipc_connection_open(&client->settings, deadline_ns, &connection);
    (void)pthread_mutex_lock(&client->lock);
    client->connect_error = r;
    if (r < 0)
        return r;
    client->connection = connection;
    client->n_connections++;
    fipc_pollable_watch(client);
    client->handler_ms = connection->handler_ms;
    client->request_ring_bytes = connection->channel.region.request_ring_bytes;
    fipc_backlog_go_on(client);
    (void)fipc_baton_wake_ready(&client->baton);
    return 0;
}

int fipc_reader_progress(void *arg, uint64_t deadline_ns)
{
    struct fipc_client *client = arg;

    return client->connection != NULL ? read_or_wait(client, deadline_ns)
                                      : open_connection(client, deadline_ns);
}

void fipc_reader_catch_up(struct fipc_client *client, uint64_t now_ns)
{
    struct fipc_connection *connection = client->connection;

    if (connection == NULL || client->baton.holder != NULL)
        return;
    if (fipc_connection_is_lost(connection, now_ns, SILENCE_SENDING_NS))
        end_hung_up(client);
    else if (fipc_consumer_has_news(&connection->channel.in))
        (void)take_records(client);
}

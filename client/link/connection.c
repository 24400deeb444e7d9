/* SPDX-License-Identifier: MIT */
#include "client/link/connection.h"

#include "client/base/process.h"
#include "client/base/settings.h"
#include "client/link/greeting.h"
#include "common/os/os.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define WELCOME_BYTES_MAX 256
/* A lane holds fewer wake-up bytes, unless its broker goes on and on. */
#define DRAIN_MAX 64

int fipc_connection_new(struct fipc_greeting *greeting, struct fipc_connection **ret_connection)
{
    struct fipc_connection *connection = calloc(1, sizeof(*connection));
    int r;

    if (connection == NULL)
        return -ENOMEM;
    r = fipc_pending_init(&connection->pending);
    if (r == 0)
        r = fipc_places_init(&connection->places, greeting->answer.welcome.n_places);
    if (r < 0) {
        fipc_pending_deinit(&connection->pending);
        free(connection);
        return r;
    }
    STAILQ_INIT(&connection->cancels);
    LIST_INIT(&connection->sent_loans);
    connection->channel = greeting->channel;
    greeting->channel.region = FIPC_REGION_EMPTY;
    connection->lane_fd = fd_steal(&greeting->lane_fd);
    connection->bell_fd = fd_steal(&greeting->fds.fds[1]);
    connection->epoch = fipc_process_epoch();
    connection->n_users = 1;
    connection->heard_ns = fipc_now_ns();
    connection->handler_ms = greeting->answer.welcome.handler_ms;
    connection->calls_max = greeting->answer.welcome.calls_max;
    *ret_connection = connection;
    return 0;
}

int fipc_connection_open(const struct fipc_settings *settings, uint64_t deadline_ns,
                         struct fipc_connection **ret_connection)
{
    unsigned char packet[WELCOME_BYTES_MAX];
    struct fipc_greeting greeting = {
        .address = &settings->address,
        .hello = {.type = FIPC_CONTROL_HELLO,
                  .hello = {.request_ring_bytes = settings->request_ring_bytes,
                            .reply_ring_bytes = settings->reply_ring_bytes}},
        .connect_deadline_ns = deadline_ns,
        .packet = packet,
        .packet_size = sizeof(packet),
    };
    int r;

    r = fipc_greet(&greeting);
    if (r == 0)
        r = fipc_connection_new(&greeting, ret_connection);
    fipc_greeting_end(&greeting);
    return r;
}

/* A child of fork(2) has the lane too: it must not end its parent's session, nor keep it open. */
static void hang_up(struct fipc_connection *connection)
{
    if (connection->lane_fd >= 0 && fipc_process_made(connection->epoch))
        (void)shutdown(connection->lane_fd, SHUT_RDWR);
    connection->lane_fd = fd_close(connection->lane_fd);
}

static void forget_questions(struct fipc_connection *connection)
{
    while (!STAILQ_EMPTY(&connection->cancels)) {
        struct fipc_due_cancel *due = STAILQ_FIRST(&connection->cancels);

        STAILQ_REMOVE_HEAD(&connection->cancels, link);
        free(due);
    }
    fipc_names_clear(&connection->names);
    fipc_pending_deinit(&connection->pending);
    fipc_places_deinit(&connection->places);
}

void fipc_connection_release(struct fipc_connection *connection, unsigned *count)
{
    assert(*count > 0);
    (*count)--;
    if (connection->n_users > 0)
        return;
    hang_up(connection);
    forget_questions(connection);
    connection->bell_fd = fd_close(connection->bell_fd);
    if (connection->n_loans > 0)
        return;
    /* a child of fork(2) did not inherit the region: other things may be mapped there by now */
    if (fipc_process_made(connection->epoch))
        fipc_channel_deinit(&connection->channel);
    free(connection);
}

bool fipc_connection_is_lost(struct fipc_connection *connection, uint64_t now_ns,
                             uint64_t silence_ns)
{
    if (now_ns < connection->heard_ns + silence_ns)
        return false;
    connection->heard_ns = now_ns;
    return fipc_lane_is_hung_up(connection->lane_fd);
}

bool fipc_connection_drain(const struct fipc_connection *connection)
{
    char byte;
    size_t size;

    for (int n = 0; n < DRAIN_MAX; n++) {
        int r = fipc_lane_receive_plain(connection->lane_fd, &byte, sizeof(byte), &size);

        if (r < 0)
            return r != -EPERM;
    }
    return true;
}

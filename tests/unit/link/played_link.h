/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_UNIT_LINK_PLAYED_LINK_H
#define FIPC_TESTS_UNIT_LINK_PLAYED_LINK_H

/* A connection whose broker is played by the test: no process, no socket to connect to. The test
 * holds the broker's end of the channel, of the lane and of the bell. */
#include "client/link/connection.h"
#include "client/link/greeting.h"
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define PLAYED_RING_BYTES 4096u
#define PLAYED_CALLS_MAX 32u
#define PLAYED_HANDLER_MS 60000u

struct played_link {
    struct fipc_connection *connection; /* borrowed: belongs to its users */
    struct fipc_channel broker;
    int lane_fd; /* the broker's end */
    int bell_fd;
};

/* Makes a connection with one user: the caller. */
static inline void played_link_make(struct played_link *link)
{
    struct fipc_greeting greeting = {.answer.welcome = {.handler_ms = PLAYED_HANDLER_MS,
                                                        .calls_max = PLAYED_CALLS_MAX,
                                                        .n_places = FIPC_PLACES_MIN}};
    struct fipc_region made, opened;
    int lane[2], fd;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
    ck_assert_int_eq(fipc_region_create(&made, &fd, "played", PLAYED_RING_BYTES, PLAYED_RING_BYTES,
                                        FIPC_PLACES_MIN),
                     0);
    ck_assert_int_eq(
        fipc_region_open(&opened, fd, PLAYED_RING_BYTES, PLAYED_RING_BYTES, FIPC_PLACES_MIN), 0);
    (void)fd_close(fd);
    link->lane_fd = lane[0];
    link->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fipc_channel_init(&link->broker, FIPC_SIDE_BROKER, &made,
                      (struct fipc_bell){FIPC_BELL_LANE, lane[0]});
    greeting.lane_fd = lane[1];
    greeting.fds.count = 2;
    greeting.fds.fds[0] = -1;
    greeting.fds.fds[1] = fcntl(link->bell_fd, F_DUPFD_CLOEXEC, 0);
    fipc_channel_init(&greeting.channel, FIPC_SIDE_CLIENT, &opened,
                      (struct fipc_bell){FIPC_BELL_EVENTFD, greeting.fds.fds[1]});
    ck_assert_int_eq(fipc_connection_new(&greeting, &link->connection), 0);
}

/* The broker's end is gone; the connection is its users'. */
static inline void played_link_drop(struct played_link *link)
{
    fipc_channel_deinit(&link->broker);
    link->lane_fd = fd_close(link->lane_fd);
    link->bell_fd = fd_close(link->bell_fd);
}

/* The broker takes a record. @payload: at least PLAYED_RING_BYTES, or NULL. Return: its kind; -1 if
 * there is none */
static inline int played_take_with(struct played_link *link, struct fipc_header *ret_header,
                                   void *payload)
{
    const void *bytes;

    do {
        if (fipc_consumer_take(&link->broker.in, ret_header, &bytes) < 0)
            return -1;
        if (payload != NULL)
            memcpy(payload, bytes, fipc_payload_size(ret_header));
        fipc_consumer_release(&link->broker.in);
    } while (ret_header->kind == FIPC_KIND_SKIP);
    return ret_header->kind;
}

static inline int played_take(struct played_link *link, struct fipc_header *ret_header)
{
    return played_take_with(link, ret_header, NULL);
}

/* The broker sends a record, and rings. */
static inline void played_send(struct played_link *link, struct fipc_header header,
                               const void *payload, size_t size)
{
    ck_assert_int_eq(fipc_producer_send(&link->broker.out, &header, payload, size), 0);
    (void)fipc_channel_ring(&link->broker, FIPC_NEWS_RECORDS);
}

/* The broker dies without a word. */
static inline void played_hang_up(struct played_link *link)
{
    link->lane_fd = fd_close(link->lane_fd);
}

/* The broker says in the region that the client's record, and all else, is corrupt. */
static inline void played_corrupt(struct played_link *link)
{
    atomic_store(&link->broker.in.shared->head, 3); /* no multiple of the record's alignment */
}

/* Fills the request ring until nothing of @size fits. Return: the number of records */
static inline unsigned played_fill(struct played_link *link, size_t size)
{
    static const char bytes[PLAYED_RING_BYTES];
    const struct fipc_header header = {.kind = FIPC_KIND_CANCEL};
    unsigned n = 0;

    while (fipc_producer_send(&link->connection->channel.out, &header, bytes, size) == 0)
        n++;
    return n;
}

#endif

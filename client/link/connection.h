/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_CONNECTION_H
#define FIPC_CLIENT_LINK_CONNECTION_H

/*
 * What a client has with one life of the broker: a channel, its lane, its bell. It is over when the
 * client lets go of it; the next one is another connection. Guarded by the client's lock, but for
 * the incoming side, which belongs to the holder of the baton.
 */
#include "common/channel.h"

#include <stdbool.h>
#include <stdint.h>

struct fipc_settings;

struct fipc_connection {
    struct fipc_channel channel;
    int lane_fd;
    int bell_fd;
    uint64_t epoch;      /* fipc_process_epoch() */
    unsigned n_users;    /* the client, the holder of the baton: they need all of it */
    unsigned n_loans;    /* they need the region only */
    uint64_t heard_ns;   /* when the broker was last known to be alive */
    uint32_t handler_ms; /* a call's longest life */
    uint32_t calls_max;  /* how many questions may be open */
};

/**
 * fipc_connection_open() - greet a broker and take the client's end of the channel that it made
 * @ret_connection:  with one user: the caller
 *
 * Blocks until the deadline. Threads: any.
 *
 * Return: 0; -ENOMEM; -EPROTO what the broker handed out is not what it said; else as fipc_greet()
 */
int fipc_connection_open(const struct fipc_settings *settings, uint64_t deadline_ns,
                         struct fipc_connection **ret_connection);

/* One user or one loan less: @count is n_users or n_loans. Without users the lane is closed,
 * without both the connection is freed. */
void fipc_connection_release(struct fipc_connection *connection, unsigned *count);

/* Looks at the lane if the broker was not heard for @silence_ns. Return: whether it hung up */
bool fipc_connection_is_lost(struct fipc_connection *connection, uint64_t now_ns,
                             uint64_t silence_ns);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_POLLABLE_H
#define FIPC_CLIENT_LINK_POLLABLE_H

/*
 * The fd for poll loops: an epoll set of the lane, which the broker rings while nobody reads, an
 * eventfd that is readable while there is something to dispatch, and a timer for what is due. While
 * no thread holds the baton the fd holds it: the end word says so. Guarded by the client's lock.
 */
#include <stdbool.h>
#include <stdint.h>

struct fipc_client;
struct fipc_connection;

struct fipc_pollable {
    int epoll_fd; /* -1: nobody asked for it; likewise the next two */
    int event_fd;
    int timer_fd;
    bool is_signalled;     /* the eventfd is readable */
    uint64_t timer_ns;     /* what the timer is set to; FIPC_NEVER: it is not */
    uint64_t reconnect_ns; /* when to try again, without a connection */
    uint64_t backoff_ns;   /* how long after that; 0: the last attempt succeeded */
};

void fipc_pollable_init(struct fipc_pollable *pollable);
void fipc_pollable_deinit(struct fipc_pollable *pollable);

/* There is something to dispatch. */
void fipc_pollable_signal(struct fipc_client *client);

/* A new connection: its lane is watched. */
void fipc_pollable_watch(struct fipc_client *client);

/* The connection is lost: its lane is not watched any more. */
void fipc_pollable_unwatch(struct fipc_client *client, const struct fipc_connection *connection);

/* Nobody looks from here on: gives the baton to the fd, unless somebody holds it. Last thing before
 * the lock is released. */
void fipc_pollable_park(struct fipc_client *client);

/* Takes the wake-up bytes out of the lane, but no packet that brings an fd. */
void fipc_pollable_drain(struct fipc_client *client);

/* Plans the next attempt to connect. */
void fipc_pollable_back_off(struct fipc_client *client, uint64_t now_ns);

#endif

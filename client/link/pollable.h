/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_POLLABLE_H
#define FIPC_CLIENT_LINK_POLLABLE_H

/*
 * The fd for poll loops: an epoll set of the lane, which the broker rings while no thread reads, an
 * eventfd that is readable while there is something to dispatch, and a timer for deadlines. While
 * no thread holds the baton the fd holds it: the end word says so. Guarded by the handle's lock.
 */
#include <stdbool.h>
#include <stdint.h>

struct fipc_connection;

struct fipc_pollable {
    int epoll_fd; /* -1: the user has not asked for it; likewise the next two */
    int event_fd;
    int timer_fd;
    bool is_signalled;     /* the eventfd is readable */
    uint64_t timer_ns;     /* the timer; FIPC_NEVER: it is not set */
    uint64_t reconnect_ns; /* when to try again, without a connection */
    uint64_t backoff_ns;   /* how long after that; 0: the last attempt succeeded */
};

void fipc_pollable_init(struct fipc_pollable *pollable);
void fipc_pollable_deinit(struct fipc_pollable *pollable);

/* Makes the fd, if it was not made yet. To be followed by fipc_pollable_watch() of the connection
 * that there is, and fipc_pollable_park(). Return: 0; the errno of epoll_create1(2) and its like */
int fipc_pollable_open(struct fipc_pollable *pollable);

/* Whether the user has asked for the fd. */
static inline bool fipc_pollable_is_on(const struct fipc_pollable *pollable)
{
    return pollable->epoll_fd >= 0;
}

/* There is something to dispatch. */
void fipc_pollable_signal(struct fipc_pollable *pollable);

/* A new connection: its lane is watched. */
void fipc_pollable_watch(struct fipc_pollable *pollable, const struct fipc_connection *connection);

/* The connection is lost: its lane is not watched any more. */
void fipc_pollable_unwatch(struct fipc_pollable *pollable,
                           const struct fipc_connection *connection);

/**
 * fipc_pollable_park() - give the baton to the fd
 * @unread:       the connection, if no thread reads it; NULL: a thread does, or there is no
 * connection
 * @has_work:     there is something to dispatch
 * @reconnects:   a connection is needed, and no thread opens one
 * @deadline_ns:  when to dispatch at the latest; FIPC_NEVER
 *
 * The last thing before the lock is released.
 */
void fipc_pollable_park(struct fipc_pollable *pollable, struct fipc_connection *unread,
                        bool has_work, bool reconnects, uint64_t deadline_ns);

/* Takes the wake-up bytes out of the lane, but no packet that brings an fd. */
void fipc_pollable_drain(struct fipc_pollable *pollable, const struct fipc_connection *connection);

/* Plans the next attempt to connect. */
void fipc_pollable_back_off(struct fipc_pollable *pollable, uint64_t now_ns);

#endif

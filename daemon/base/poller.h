/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_POLLER_H
#define FIPC_DAEMON_BASE_POLLER_H

/*
 * What the broker waits for: the fds of clients, the listening socket, signals, deadlines, and a
 * wake-up by another thread. libev polls a handful of fds; one of them is a private epoll set that
 * holds every fd of every client. The poller knows neither slots nor a clock: the turn, at the top,
 * gives it its functions.
 *
 * The set is never put into another epoll set: that takes a mutex of the whole kernel, which any
 * user can hold for tens of milliseconds. libev polls it.
 */
#include "daemon/base/deadline.h"

#include <stdbool.h>
#include <stdint.h>

struct poller;

/* An fd of a client, and how it is watched. */
enum poller_kind {
    POLLER_LANE,         /* for packets and hang-up */
    POLLER_WAITING_LANE, /* for hang-up alone */
    POLLER_FIRST_BELL,   /* until it is watched otherwise: it is never read */
    POLLER_BELL,         /* once for each ring */
    POLLER_GONE,         /* memory is gone: daemon/base/gone.h */
};

/* What an event is about: the owner of the fd, whose number may have another taker by now. */
struct poller_event {
    enum poller_kind kind;
    uint32_t index;
    uint32_t generation;
    bool has_hung_up;
};

/* What the turn does, with the context of poller_new(). */
struct poller_ops {
    void (*after_wait)(void *context);  /* before anything that was found is called */
    void (*client_fds)(void *context);  /* poller_look() would find something */
    void (*woken)(void *context);       /* poller_wake() was called */
    bool (*before_wait)(void *context); /* all else was done. Return: whether it may block */
};

/**
 * poller_new() - make a poller
 * @context:  for @ops, and for the functions of deadlines
 *
 * One at a time in a process: libev allocates from memory that was set aside for it. Return: 0;
 * -ENOMEM; the errno of epoll_create1(2)
 */
int poller_new(struct poller **ret_poller, const struct poller_ops *ops, void *context);

/* Takes NULL. Return: NULL */
struct poller *poller_free(struct poller *poller);

/* Waits and calls until poller_stop(). */
void poller_run(struct poller *poller);
/* Looks once, without waiting, and calls. */
void poller_run_once(struct poller *poller);
void poller_stop(struct poller *poller);

/* ---- fds of clients ---- */

/* @index: below 2^29. Return: 0; -ENOMEM, -ENOSPC: epoll_ctl(2) */
int poller_watch(struct poller *poller, enum poller_kind kind, int fd, uint32_t index,
                 uint32_t generation);

/* Watches an fd that is watched in another way from now on. */
void poller_rewatch(struct poller *poller, enum poller_kind kind, int fd, uint32_t index,
                    uint32_t generation);

/* Forgets an fd before it is closed: others may hold the same file open. Does nothing for -1. */
void poller_unwatch(struct poller *poller, int fd);

#define POLLER_EVENTS_MAX 512

/* Return: how many events there are now */
int poller_look(struct poller *poller, struct poller_event events[POLLER_EVENTS_MAX]);

/* ---- everything else ---- */

typedef void poller_fn(void *userdata);

/* Calls @fn while the listening socket is readable, until it is paused. One socket at a time. */
void poller_listen(struct poller *poller, int fd, poller_fn *fn, void *userdata);
void poller_pause_listening(struct poller *poller);

/* Calls poller_ops.woken soon. Threads: any */
void poller_wake(struct poller *poller);

typedef void poller_signal_fn(int signal, void *userdata);

/* Calls @fn in the loop, not in the signal handler. Three signals at most. */
void poller_watch_signal(struct poller *poller, int signal, poller_signal_fn *fn, void *userdata);

/* The poller wakes up for the earliest deadline; the turn calls what is due. */
struct deadline_heap *poller_deadlines(struct poller *poller);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_BATON_H
#define FIPC_CLIENT_LINK_BATON_H

/*
 * Which thread reads. Of the threads that wait on one handle exactly one holds the baton: it alone
 * makes progress for all, by reading the incoming ring and writing the end word, or by opening a
 * connection if the handle has lost its own. The others sleep on words of their own until the
 * holder has completed their answers, or leaves: then the baton wakes the first of them to take
 * over. Guarded by the handle's lock.
 */
#include "common/spin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_end;

/* One thread that waits; lives on its stack. */
struct fipc_waiter {
    bool (*ready)(void *arg); /* whether its wait is over; only looks, under the lock */
    void *arg;
    bool wants_room; /* in the outgoing ring, or among the places */
    /* the baton's: */
    bool waits;                     /* it is in fipc_baton.waiters */
    _Atomic uint32_t wake;          /* 1: look again; its thread sleeps here */
    TAILQ_ENTRY(fipc_waiter) entry; /* fipc_baton.waiters */
};

/**
 * One step of the holder: take the records that came, or wait for some until the deadline.
 * Called under the lock, which it may release while it waits.
 *
 * Return: 0 look again; -ETIMEDOUT; or why there can be no progress
 */
typedef int fipc_progress_fn(void *arg, uint64_t deadline_ns);

struct fipc_baton {
    pthread_mutex_t *lock; /* borrowed */
    fipc_progress_fn *progress;
    void (*left)(void *arg);           /* a thread has stopped waiting; called under the lock */
    void *arg;                         /* of both */
    TAILQ_HEAD(, fipc_waiter) waiters; /* first come, first to take over */
    unsigned n_want_room;              /* of the waiters */
    struct fipc_waiter *holder;        /* NULL: nobody */
    struct fipc_end *asleep_on; /* the end word with which the holder sleeps; NULL: it does not */
    int wake_fd;                /* wakes a holder that sleeps on its lane; -1: not needed yet */
    bool asleep_on_lane;
    bool is_kicked;        /* by wake_fd */
    bool asleep_for_room;  /* whether it is also woken for room */
    struct fipc_spin spin; /* the holder's */
};

/* @spin_ns: the longest round of spinning; 0: never */
void fipc_baton_init(struct fipc_baton *baton, pthread_mutex_t *lock, uint64_t spin_ns,
                     fipc_progress_fn *progress, void (*left)(void *arg), void *arg);

void fipc_baton_deinit(struct fipc_baton *baton);

/* Makes wake_fd, if a thread may be there to use it. Return: whether a sleeping holder can be woken
 */
bool fipc_baton_can_sleep_on_lane(struct fipc_baton *baton);

/**
 * fipc_baton_wait() - wait until @waiter is ready, making progress for all while no thread else
 * does
 * @waiter:       its ready() says when the wait is over: by an answer, room in the outgoing ring, a
 *                connection opened or lost, all of them changes that a step of the holder makes
 * @deadline_ns:  absolute
 *
 * The lock is held on entry and exit and released meanwhile. Looks at least once, whatever the
 * deadline.
 *
 * Return: 0 if it is ready; -ETIMEDOUT; or why there can be no progress
 */
int fipc_baton_wait(struct fipc_baton *baton, struct fipc_waiter *waiter, uint64_t deadline_ns);

/* Lets @waiter go: its wait is over. */
void fipc_baton_finish(struct fipc_baton *baton, struct fipc_waiter *waiter);

/* Whether any waiter, the holder included, is ready. */
bool fipc_baton_is_anyone_ready(const struct fipc_baton *baton);

/* Lets all waiters go whose ready() is true. Return: whether there was one, the holder included */
bool fipc_baton_wake_ready(struct fipc_baton *baton);

/* The holder does not sleep any more. */
void fipc_baton_awake(struct fipc_baton *baton);

/* Has the holder look again, wherever it sleeps. */
void fipc_baton_kick(struct fipc_baton *baton);

#endif

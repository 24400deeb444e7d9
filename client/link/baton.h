/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_BATON_H
#define FIPC_CLIENT_LINK_BATON_H

/*
 * Who reads. Of the threads that wait on one client exactly one holds the baton: it reads the
 * incoming ring and writes the end word, or opens the connection where there is none. The others
 * sleep on words of their own until the holder has what they wait for, or leaves: then the first of
 * them is woken to take over. Guarded by the client's lock.
 */
#include "common/spin.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_client;
struct fipc_end;

/* One thread that waits; lives on its stack. */
struct fipc_waiter {
    bool (*ready)(void *arg); /* whether what it waits for is there; called under the lock */
    void *arg;
    bool wants_room; /* in the outgoing ring */
    /* the baton's: */
    bool waits;                     /* it is in fipc_baton.waiters */
    _Atomic uint32_t wake;          /* 1: look again; its thread sleeps here */
    TAILQ_ENTRY(fipc_waiter) entry; /* fipc_baton.waiters */
};

struct fipc_baton {
    TAILQ_HEAD(, fipc_waiter) waiters; /* first come, first to take over */
    unsigned n_want_room;              /* of the waiters */
    struct fipc_waiter *holder;        /* NULL: nobody */
    struct fipc_end *asleep_on; /* the end word on which the holder sleeps; NULL: it does not */
    bool asleep_for_room;       /* whether it is also woken for room */
    struct fipc_spin spin;      /* the holder's */
};

void fipc_baton_init(struct fipc_baton *baton, uint64_t spin_ns);

/**
 * fipc_baton_wait() - wait until something is there, reading for all while nobody else does
 * @waiter:       says for what; its ready() may come true by what a reader takes, by room in the
 *                outgoing ring, by a connection opened or lost
 * @deadline_ns:  absolute
 *
 * The lock is held on entry and exit and released meanwhile. Looks at least once, whatever the
 * deadline.
 *
 * Return: 0 it is there; -ETIMEDOUT; or why no connection can be opened
 */
int fipc_baton_wait(struct fipc_client *client, struct fipc_waiter *waiter, uint64_t deadline_ns);

/* What @waiter waits for is there: lets it go. */
void fipc_baton_finish(struct fipc_baton *baton, struct fipc_waiter *waiter);

/* Lets all go who find that what they wait for is there. Return: whether anybody does, the holder
 * included */
bool fipc_baton_wake_ready(struct fipc_baton *baton);

/* Has the holder look again, wherever it sleeps. */
void fipc_baton_kick(struct fipc_baton *baton);

#endif

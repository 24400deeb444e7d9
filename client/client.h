/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_CLIENT_H
#define FIPC_CLIENT_CLIENT_H

/* A session: what outlives the connections that it has one after the other. */
#include "client/base/names.h"
#include "client/base/pending.h"
#include "client/base/settings.h"
#include "client/link/baton.h"
#include "client/link/connection.h"
#include "client/link/outgoing.h"
#include "client/link/pollable.h"
#include "client/session/served.h"
#include "client/session/submission.h"

#include <fipc/client.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fipc_pool;

struct fipc_client {
    pthread_mutex_t lock; /* guards all that follows its settings */
    uint64_t epoch;       /* fipc_process_epoch() */
    struct fipc_pool *pool;
    struct fipc_settings settings;
    unsigned n_refs;                    /* the users', one for each loan, request, dispatcher */
    struct fipc_connection *connection; /* NULL: whoever needs one opens it */
    struct fipc_baton baton;
    struct fipc_pending_table pending;
    struct fipc_names names;
    struct fipc_backlog backlog;
    struct fipc_sending sending;
    struct fipc_serving serving;
    struct fipc_pollable pollable;
    uint64_t n_connections; /* so far */
    int connect_error;      /* why the last attempt to have another one failed; 0: it did not */
    uint32_t handler_ms;    /* of the last connection, likewise the next; 0: there was none */
    uint32_t request_ring_bytes;
};

/* Makes a client without a connection, with one reference: the caller's. Return: 0; -ENOMEM; the
 * errno of getrandom(2) */
int fipc_client_new(const struct fipc_settings *settings, struct fipc_client **ret_client);

/* Return: 0; -EINVAL there is none; -ECHILD it was made before fork(2) */
int fipc_client_check(const struct fipc_client *client);

/**
 * fipc_client_open() - be connected
 *
 * The lock is held on entry and exit, and released while it waits.
 *
 * Return: 0; -ECONNREFUSED not until the deadline; else as fipc_connection_open()
 */
int fipc_client_open(struct fipc_client *client, uint64_t deadline_ns);

/* Takes the lock to release something. Return: whether it could: not in a child of fork(2) where
 * another thread of the parent held it, so that what it guards stays as it is */
bool fipc_client_lock_to_release(struct fipc_client *client);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_CLIENT_H
#define FIPC_CLIENT_SESSION_CLIENT_H

/* A session: it outlives the connections that it has one after the other. */
#include "client/base/settings.h"
#include "client/link/baton.h"
#include "client/link/connection.h"
#include "client/link/handle.h"
#include "client/link/pollable.h"
#include "client/session/inbox.h"
#include "client/session/served.h"
#include "client/session/submission.h"

#include <assert.h>
#include <fipc/client.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_pool;

struct fipc_client {
    struct fipc_handle handle; /* first; its lock guards all that follows the settings */
    struct fipc_pool *pool;
    struct fipc_settings settings;
    struct fipc_connection *connection; /* NULL: whichever thread needs one opens it */
    struct fipc_baton baton;
    struct fipc_submissions submissions;
    struct fipc_served_names served;
    struct fipc_inbox inbox;
    struct fipc_pollable pollable;
    uint64_t n_connections; /* so far */
    int connect_error;      /* why the last attempt to have another one failed; 0: it did not */
    uint32_t handler_ms;    /* of the last connection, likewise the next; 0: before the first */
    uint32_t request_ring_bytes;
};

static_assert(offsetof(struct fipc_client, handle) == 0, "a client is found by its handle");

/* The client of a handle. Return: it; NULL for NULL */
static inline struct fipc_client *fipc_client_of(struct fipc_handle *handle)
{
    return (struct fipc_client *)(void *)handle;
}

#endif

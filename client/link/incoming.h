/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_INCOMING_H
#define FIPC_CLIENT_LINK_INCOMING_H

/*
 * Waiting for a record in the incoming ring of a connection: spinning, then sleeping on the end
 * word for a moment, then on the lane until something comes. For the holder of the baton. The lock
 * of the baton is held on entry and exit.
 */
#include "client/link/baton.h"
#include "client/link/connection.h"

#include <stdint.h>

/**
 * fipc_incoming_wait() - wait until something comes, or room that a waiter or the session wants
 *
 * Only looks: the caller takes the records. May return without news. The lock is released while it
 * waits. @connection is kept by the caller; the session may lose it meanwhile.
 *
 * Return: 0 look; -ETIMEDOUT the deadline has passed; -ECONNRESET the broker hung up, which is
 * found within FIPC_END_FUTEX_NS
 */
int fipc_incoming_wait(struct fipc_connection *connection, struct fipc_baton *baton,
                       uint64_t deadline_ns);

#endif

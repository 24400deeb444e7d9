/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_SESSION_H
#define FIPC_CLIENT_SESSION_SESSION_H

/* What the holder of the baton does: one step at a time, for all threads of a client. The client's
 * lock is held on entry and exit of every function. */
#include <stdint.h>

struct fipc_client;

/**
 * fipc_reader_read() - take what came, or wait until something comes
 *
 * Completes the questions that were answered. Finds within 50 ms that the broker hung up. Returns
 * now and then without news. The lock is released while it waits. The client has a connection on
 * entry; on exit it may have lost it. For the holder of the baton.
 *
 * Return: 0; -ETIMEDOUT nothing came, and the deadline has passed
 */
int fipc_reader_read(struct fipc_client *client, uint64_t deadline_ns);

/* Opens the connection that the client does not have. The lock is released meanwhile. For the
 * holder of the baton. Return: as fipc_connection_open() */
int fipc_reader_open(struct fipc_client *client, uint64_t deadline_ns);

/* Before something is sent: takes what came while nobody read, and finds whether the broker hung up
 * meanwhile. Does nothing while somebody holds the baton. */
void fipc_reader_catch_up(struct fipc_client *client, uint64_t now_ns);

/* Lets go of the connection; its open questions end with @error. Whoever read it stops. */
void fipc_reader_lose(struct fipc_client *client, int error);

#endif

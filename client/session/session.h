/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_SESSION_H
#define FIPC_CLIENT_SESSION_SESSION_H

/*
 * This module alone lets time pass: it takes the records that came, loses the connection and opens
 * the next one, sends what is due, and acts on the marks that the modules below leave. The handle's
 * lock is held on entry and exit of every function but fipc_session_new() and fipc_session_check().
 */
#include "client/session/client.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes a session without a connection, with one reference: the caller's. Return: 0; -ENOMEM; the
 * errno of getrandom(2) */
int fipc_session_new(const struct fipc_settings *settings, struct fipc_client **ret_client);

/* Return: 0; -EINVAL NULL; -ECHILD it was made before fork(2) */
static inline int fipc_session_check(const struct fipc_client *client)
{
    return client != NULL ? fipc_handle_check(&client->handle) : -EINVAL;
}

/**
 * fipc_session_open() - be connected
 *
 * The lock is released while it waits.
 *
 * Return: 0; -ECONNREFUSED not until the deadline; else as fipc_connection_open()
 */
int fipc_session_open(struct fipc_client *client, uint64_t deadline_ns);

/* Goes on with a new connection, whose user is the session from here on. */
void fipc_session_take_connection(struct fipc_client *client, struct fipc_connection *connection);

/* Before something is sent: takes the records that came while no thread read, and finds whether the
 * broker hung up meanwhile. Does nothing while a thread holds the baton. */
void fipc_session_catch_up(struct fipc_client *client, uint64_t now_ns);

/* Sends the records that are due and have room, and acts on marks. Call after each change of the
 * former. */
void fipc_session_go_on(struct fipc_client *client);

/* Lets go of the connection; its open questions end with @error. Threads that wait on it look
 * again. */
void fipc_session_lose(struct fipc_client *client, int error);

/* Ends the submitted calls whose time is over, and goes on. */
void fipc_session_expire(struct fipc_client *client, uint64_t now_ns);

/* A submitted call is over then: a thread that waits for work looks at this time, if not before. */
void fipc_session_hurry(struct fipc_client *client, uint64_t deadline_ns);

/* Whether a callback, or a user's function for a request, can be run. */
bool fipc_session_has_work(const struct fipc_client *client);

/* Whether something would come over a connection that is not there. */
bool fipc_session_needs_connection(const struct fipc_client *client);

/* Gives the baton to the fd, unless a thread holds it. The last thing before the lock is released.
 */
void fipc_session_park(struct fipc_client *client);

/* Whether the session still has the connection of this number. */
static inline bool fipc_session_is_on(const struct fipc_client *client, uint64_t connection)
{
    return client->connection != NULL && client->connection->number == connection;
}

#endif

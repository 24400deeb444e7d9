/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_SESSION_H
#define FIPC_CLIENT_SESSION_SESSION_H

/* What the holder of the baton does: one step at a time, for all threads of a client. The client's
 * lock is held on entry and exit of every function. */
#include <stdint.h>

struct fipc_client;

/**
 * fipc_reader_progress() - the step of the holder of the baton: a fipc_progress_fn
 * @client:  a struct fipc_client
 *
 * Takes what came, or waits until something comes; opens the connection where there is none.
 * Completes the questions that were answered. Finds within 50 ms that the broker hung up. Returns
 * now and then without news.
 *
 * Return: 0; -ETIMEDOUT nothing came, and the deadline has passed; without a connection as
 * fipc_connection_open()
 */
int fipc_reader_progress(void *client, uint64_t deadline_ns);

/* Before something is sent: takes what came while nobody read, and finds whether the broker hung up
 * meanwhile. Does nothing while somebody holds the baton. */
void fipc_reader_catch_up(struct fipc_client *client, uint64_t now_ns);

/* Lets go of the connection; its open questions end with @error. Whoever read it stops. */
void fipc_reader_lose(struct fipc_client *client, int error);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_LEAVING_H
#define FIPC_DAEMON_TRAFFIC_LEAVING_H

/* The end of a client that served names, and of all serving when the broker stops. */
#include <stdbool.h>

struct core;
struct slot;

/* A worker hung up: what it answered before that still counts. Takes some of it. Return: whether
 * that was all */
bool leaving_take_last_replies(struct core *core, struct slot *slot);

/* A slot ends: its names lose this worker, and what it had in its hands is given to others, or
 * answered. Does some of this. Return: whether that was all */
bool leaving_go_on(struct core *core, struct slot *slot);

/* The broker stops: nobody begins to serve a name any more. A client that waits for it goes on with
 * the next broker. */
void leaving_stop(struct core *core);

#endif

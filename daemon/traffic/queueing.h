/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_QUEUEING_H
#define FIPC_DAEMON_TRAFFIC_QUEUEING_H

/* A handler leaves the queue of a service, or the hands of a worker: this tells the clients that it
 * concerns. The queue itself is daemon/model/queue.h. */

#include <stdbool.h>

struct core;
struct handler;
struct service;

/* Takes a handler out of the queue that it is in, and notifies the clients that find room now. */
void queueing_leave(struct core *core, struct handler *handler);

/* Drops the copy of its request, if there is one; likewise. */
void queueing_drop_copy(struct core *core, struct handler *handler);

/* A handler ends: takes it out of its queue, drops its copy, or tells the worker that nobody waits
 * for the answer. */
void queueing_forget(struct core *core, struct handler *handler);

/* Notifies some clients that wait for room in this queue. Return: whether there are more */
bool queueing_grant_some(struct core *core, struct service *service);

/* Notifies all of them. */
void queueing_grant_all(struct core *core, struct service *service);

/* Forgets a service that nobody serves and nobody waits for: call after a worker, a request or a
 * wait has left it. */
void queueing_release_if_unused(struct core *core, struct service *service);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_QUEUE_H
#define FIPC_DAEMON_TRAFFIC_QUEUE_H

/* The queue of a service: requests that no worker could be given yet, at the expense of their
 * callers' uids; and those who wait for somebody to serve it. */
#include "daemon/model/handler.h"

#include <stddef.h>

struct core;
struct service;

/**
 * queue_request() - put a request at the end of the queue
 * @payload:  copied
 *
 * Return: 0; -EAGAIN no room, of which the caller's slot is told when there is some, unless the
 * caller does not want to wait; never where this slot has nothing in any queue; else as
 * room_wish_make()
 */
int queue_request(struct core *core, struct service *service, struct handler *handler,
                  const void *payload, size_t size);

/* Puts a request back whose payload the handler keeps. */
void queue_put_first(struct core *core, struct service *service, struct handler *handler);

/* Has a handler wait for somebody to serve the name. */
void queue_wait(struct service *service, struct handler *handler);

/* Takes a handler out of the queue that it is in. Who found the queue full may be told. */
void queue_remove(struct core *core, struct handler *handler);

#endif

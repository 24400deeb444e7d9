/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_RELAY_H
#define FIPC_DAEMON_TRAFFIC_RELAY_H

/*
 * Requests to services that workers serve: from the caller's ring into the worker's, and the reply
 * back, with one copy each. A request that no worker can be given yet waits in its service's queue,
 * at the expense of its caller's uid, so that it is in nobody's way.
 */
#include "common/control.h"
#include "daemon/model/handler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct fipc_header;
struct service;
struct slot;

/* Takes a handler from HANDLER_TAKEN to its service: built in, a worker, the queue, or to its end.
 * @service:  NULL: nobody serves the name
 * @payload:  borrowed; its bytes can change meanwhile */
void relay_route(struct core *core, struct handler *handler, struct service *service,
                 const void *payload, size_t size);

/**
 * relay_open() - find or make the service of a name, at the expense of the slot's uid
 *
 * To be followed by relay_serve() or relay_wait(), without which it stays.
 *
 * Return: 0; -EDQUOT too many names; -ENOMEM
 */
int relay_open(struct core *core, struct slot *slot, const char *name, size_t name_bytes,
               struct service **ret_service);

/* A WAIT: ends the handler, in HANDLER_ROUTED, as soon as somebody serves the name. */
void relay_wait(struct core *core, struct handler *handler, struct service *service);

/* What a worker answered: a record with this header. */
void relay_reply(struct core *core, struct slot *slot, const struct fipc_header *header,
                 const void *payload, size_t size);

/**
 * relay_serve() - have a slot serve a name from now on
 *
 * Return: 0; -EINVAL not a name; -EACCES; -EEXIST it does already; -EDQUOT too many names; -ENOMEM
 */
int relay_serve(struct core *core, struct slot *slot, const char *name,
                const struct fipc_serve *serve, struct service **ret_service);

/* After the answer to the worker: ends the waits for the name, and gives out the requests in its
 * queue. */
void relay_served(struct core *core, struct service *service);

/* Whether a slot has requests in its hands. */
bool relay_is_busy(const struct slot *slot);

/* A slot that serves names made room in its ring: gives it what waits for that. */
void relay_has_room(struct core *core, struct slot *slot);

/* How many requests a slot has in its hands. */
uint32_t relay_n_deliveries(const struct slot *slot);

/* Whether a copy of the request stays while a worker has it: one that may be delivered twice, or
 * whose caller cannot send it again. */
bool relay_keeps_request(struct core *core, const struct handler *handler);

/* Something changed for a name: a worker came, left, or became free. Goes on with what waits for
 * the name: ends waits, gives requests to workers, or ends them if there is no worker any more.
 * The rest goes on when its account has a turn. */
void relay_drain(struct core *core, struct service *service);

#endif

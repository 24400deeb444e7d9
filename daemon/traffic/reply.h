/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_REPLY_H
#define FIPC_DAEMON_TRAFFIC_REPLY_H

/*
 * How a handler ends: by a reply or an error in its slot's reply ring, or on the lane of a
 * one-shot; or dropped, because the caller is gone. What finds no room waits in the slot's list of
 * unsent answers.
 */
#include "daemon/model/handler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct slot;

/* Starts the handler of a request. Return: NULL there are too many. */
struct handler *reply_begin(struct core *core, struct slot *slot, uint64_t id,
                            uint64_t remaining_ns);

/* The handler's time counts from now, not from when the round began, which may be long before the
 * request came: it is never over too early. */
void reply_count_from_now(struct core *core, struct handler *handler);

/* The same, and ends the handler by -ETIMEDOUT when its time is over. Once for a handler. */
void reply_set_deadline(struct core *core, struct handler *handler);

/* Moves a handler on and keeps its slot's counts of handlers by state. */
void reply_set_state(struct core *core, struct handler *handler, enum handler_state state);

/**
 * reply_data() - end a running handler by its reply
 * @data:  borrowed
 *
 * Where the reply is larger than the caller can take it ends with -EMSGSIZE. The handler must not
 * be used again.
 */
void reply_data(struct core *core, struct handler *handler, const void *data, size_t size);

/* The largest reply that the caller can take. */
size_t reply_bytes_max(struct core *core, const struct handler *handler);

/* Ends a handler in any live state by an error, a negative errno that the caller sees. As
 * reply_data() otherwise. */
void reply_error(struct core *core, struct handler *handler, int error);

/* Likewise, if no worker has seen the request, which the caller learns. */
void reply_not_delivered(struct core *core, struct handler *handler, int error);

/* Sends what waits in the FIFO of a slot, in order, while there is room, and ends the handlers
 * whose answers these are. Return: how many; -EBADMSG the peer corrupted its ring */
int reply_send_waiting(struct core *core, struct slot *slot);

/* Ends a handler as dropped, without a word to its caller. */
void reply_drop(struct core *core, struct handler *handler);

/* Ends some handlers of a slot as dropped, and forgets what waits for room. Return: whether none is
 * left */
bool reply_drop_some(struct core *core, struct slot *slot);

#endif

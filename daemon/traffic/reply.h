/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_REPLY_H
#define FIPC_DAEMON_TRAFFIC_REPLY_H

/*
 * How a handler ends: by a reply or an error in its slot's reply ring, or on the lane of a
 * one-shot; or dropped, because the caller is gone. What finds no room waits in the slot's list of
 * unsent answers.
 */
#include "daemon/model/handler.h"

#include <stddef.h>
#include <stdint.h>

struct core;
struct slot;

/* The slot whose message a live handler is for. */
struct slot *answer_caller(struct core *core, const struct handler *handler);

/* Starts the handler of a request. Return: NULL there are too many. */
struct handler *answer_begin(struct core *core, struct slot *slot, uint64_t id,
                             uint64_t remaining_ns);

/* Answers a request that gets no handler with an error. The slot's ring has room for it. */
void answer_refuse(struct slot *slot, uint64_t id, int error);

/* Ends the handler by -ETIMEDOUT when its time is over. */
void answer_set_deadline(struct core *core, struct handler *handler);

/* Moves a handler on and keeps its slot's counts of handlers by state. */
void answer_set_state(struct core *core, struct handler *handler, enum handler_state state);

/**
 * answer_reply() - end a running handler by its reply
 * @data:  borrowed
 *
 * Where the reply is larger than the caller can take it ends with -EMSGSIZE. The handler must not
 * be used again.
 */
void answer_reply(struct core *core, struct handler *handler, const void *data, size_t size);

/* The largest reply that the caller can take. */
size_t answer_bytes_max(struct core *core, const struct handler *handler);

/* Ends a handler in any live state by an error, a negative errno that the caller sees. As
 * answer_reply() otherwise. */
void answer_error(struct core *core, struct handler *handler, int error);

/* Likewise, where nobody has seen the request, and the caller may be told so. */
void answer_not_delivered(struct core *core, struct handler *handler, int error);

/* Sends what waited for room, in order, while there is room. Return: how many; -EBADMSG the peer
 * corrupted its ring */
int answer_send_waiting(struct core *core, struct slot *slot);

/* Ends a handler as dropped, without a word to its caller. */
void answer_drop(struct core *core, struct handler *handler);

/* Ends all handlers of a slot as dropped. */
void answer_drop_all(struct core *core, struct slot *slot);

#endif

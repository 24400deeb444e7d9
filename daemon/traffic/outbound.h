/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_OUTBOUND_H
#define FIPC_DAEMON_TRAFFIC_OUTBOUND_H

/*
 * The one way out to a client with a session: everything but the requests to a worker goes through
 * here. A record goes into the ring at once, or waits in the slot's FIFO for room; the slot is not
 * read meanwhile. The payload of replies that wait is charged to the account of the slot.
 */
#include "daemon/model/outbound_item.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct slot;

/* Room for the smallest answers: an error, or a control record. */
#define OUTBOUND_ANSWER_BYTES 64

/**
 * outbound_put() - send the answer of a handler
 * @item:  handler.answer, with its header; stays where it is while it waits
 * @data:  of a reply, header.size is set here; copied
 *
 * An answer that has to wait and cannot, for want of memory or of quota, becomes an error.
 *
 * Return: 0 if it is in the ring; -EAGAIN if it waits; -EBADMSG if the ring is corrupt
 */
int outbound_put(struct core *core, struct slot *slot, struct outbound_item *item, const void *data,
                 size_t size);

/* Answers a control record or a request that was just taken, when there was room for it: see
 * OUTBOUND_ANSWER_BYTES. The answer waits if the room was used since. */
void outbound_answer(struct slot *slot, const struct fipc_header *question,
                     const struct fipc_control *control, int status, uint32_t target);
void outbound_refuse(struct slot *slot, uint64_t id, int error);

/* A service that was full has room. Lost without memory: the client that waits has a deadline. */
void outbound_room(struct core *core, struct slot *slot, uint32_t target);

/* Nobody waits any more for the answer to the delivery of this number. Likewise. */
void outbound_cancel(struct core *core, struct slot *slot, uint32_t number, uint64_t id);

/* The last record of a session, if there is room for it: else the hang-up says enough. Nothing is
 * taken from the ring of the client afterwards. @retry: trying again helps, and soon */
void outbound_goodbye(struct slot *slot, enum fipc_reason reason, bool retry);

/* Likewise of a client that has no session: a packet on its lane. */
void outbound_refused(int lane_fd, enum fipc_reason reason, bool retry);

/* Whether something waits for room, and whether the first of it has some now. */
bool outbound_waits(const struct slot *slot);
bool outbound_fits(struct slot *slot);

/**
 * outbound_send_next() - send the first record that waits
 * @ret_handler:  on 1: the handler whose answer it was, for the caller to end; NULL: none
 *
 * Return: 1; 0 if nothing waits, or there is no room; -EBADMSG if the ring is corrupt
 */
int outbound_send_next(struct slot *slot, struct handler **ret_handler);

/* Forgets what waits, up to the next answer of a handler. Return: that handler, for the caller to
 * end; NULL: nothing waits any more */
struct handler *outbound_drop_next(struct slot *slot);

#endif

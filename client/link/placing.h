/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_PLACING_H
#define FIPC_CLIENT_LINK_PLACING_H

/*
 * Where a loan lies: in the outgoing ring of a connection while there is room, else in its buffer.
 * That has room for the request too, untouched while the request lies in the ring. A request that
 * was sent may have to be sent again: the service had no room, or the broker died and the request
 * is idempotent. By then others may have used its room. Guarded by the handle's lock.
 */
#include <stdbool.h>
#include <stddef.h>

struct fipc_connection;
struct fipc_header;
struct fipc_message;

/* Places a new loan in the ring, if that has room and no other loan: several could leave none for
 * other records. Otherwise it stays in its buffer. */
void fipc_placing_try(struct fipc_message *loan, struct fipc_connection *connection);

/* Whether a loan has its room in the ring of this connection, and no record has overtaken it. */
bool fipc_placing_is_in_ring(const struct fipc_message *loan,
                             const struct fipc_connection *connection);

/* Publishes a loan that is in the ring: its room is used up. Its bytes stay there until another
 * record needs the room: then they move to the buffer. To be followed by fipc_placing_recover() if
 * the request may be sent again, else by fipc_placing_forget(). */
void fipc_placing_commit(struct fipc_message *loan, const struct fipc_header *header);

/* Moves the request to the buffer, and gives its room in a ring back, if it has any: other threads
 * may wait for that. */
void fipc_placing_move_out(struct fipc_message *loan);

/* Has the request of a loan in its buffer, though it was committed. */
void fipc_placing_recover(struct fipc_message *loan);

/* The request of a loan that was committed is not needed any more. */
void fipc_placing_forget(struct fipc_message *loan);

/* Of all loans that were sent on a connection: it is lost. */
void fipc_placing_forget_all(struct fipc_connection *connection);

/* Before a record of @size is reserved: saves what was sent from there and may be sent again. */
void fipc_placing_make_way(struct fipc_connection *connection, size_t size);

/* Gives the room in a ring back, if it has any, and the request with it. Return: whether it had
 * any: other threads may wait for that */
bool fipc_placing_drop(struct fipc_message *loan);

#endif

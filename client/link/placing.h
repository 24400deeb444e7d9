/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_PLACING_H
#define FIPC_CLIENT_LINK_PLACING_H

/*
 * Where a loan lies: in the outgoing ring of a connection while there is room, else in its buffer.
 * That has room for the request too, untouched while the request lies in the ring. Guarded by the
 * handle's lock.
 */
#include <stdbool.h>

struct fipc_connection;
struct fipc_header;
struct fipc_message;

/* Places a new loan in the ring, if that has room and no other loan: several could leave none for
 * other records. Otherwise it stays in its buffer. */
void fipc_placing_try(struct fipc_message *loan, struct fipc_connection *connection);

/* Whether a loan has its room in the ring of this connection, and no record has overtaken it. */
bool fipc_placing_is_in_ring(const struct fipc_message *loan,
                             const struct fipc_connection *connection);

/* Publishes a loan that is in the ring: its room is used up. */
void fipc_placing_commit(struct fipc_message *loan, const struct fipc_header *header);

/* Moves the request to the buffer, and gives its room in a ring back, if it has any: other threads
 * may wait for that. */
void fipc_placing_move_out(struct fipc_message *loan);

/* Saves the request of a loan that was committed, and not taken before its connection was lost. */
void fipc_placing_recover(struct fipc_message *loan);

/* Gives the room in a ring back, if it has any, and the request with it. Return: whether it had
 * any: other threads may wait for that */
bool fipc_placing_drop(struct fipc_message *loan);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LOAN_H
#define FIPC_CLIENT_LOAN_H

/* Loans: requests that are filled in place, in the ring where there is room, else in a buffer. The
 * client's lock is held for all of this but fipc_loan_release(). */
#include <stdbool.h>

struct fipc_connection;
struct fipc_header;
struct fipc_message;

/* Whether a loan has its room in the ring of this connection, and nobody overtook it. */
bool fipc_loan_is_in_place(const struct fipc_message *loan,
                           const struct fipc_connection *connection);

/* Publishes a loan that is in place: its room is used up. */
void fipc_loan_commit(struct fipc_message *loan, const struct fipc_header *header);

/* Gives the room of a loan back, if it has any, and keeps the request in the buffer. */
void fipc_loan_move_out(struct fipc_message *loan);

/* Saves the request of a loan that was committed, and not taken before its connection was lost. */
void fipc_loan_recover(struct fipc_message *loan);

/* Gives back all that a loan refers to, but for its buffer. */
void fipc_loan_release(struct fipc_message *loan);

#endif

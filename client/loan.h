/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LOAN_H
#define FIPC_CLIENT_LOAN_H

/* Loans: requests that are filled in place, in the ring where there is room, else in a buffer. */
struct fipc_header;
struct fipc_message;

/**
 * fipc_loan_commit() - publish a loan in the ring where it has its room
 *
 * The client's lock is held. The room is used up on success; it is given back for a buffer where
 * others overtook the loan and there is no room for the copy now.
 *
 * Return: 0; -EAGAIN; -EBADMSG the ring is corrupt
 */
int fipc_loan_commit(struct fipc_message *loan, const struct fipc_header *header);

/* Gives back all that a loan refers to, but for its buffer. */
void fipc_loan_release(struct fipc_message *loan);

#endif

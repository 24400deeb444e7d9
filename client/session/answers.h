/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_ANSWERS_H
#define FIPC_CLIENT_SESSION_ANSWERS_H

/* The meaning of the records that the broker sends. Nothing in them is trusted. The handle's lock
 * is held, and the baton too. */
struct fipc_client;
struct fipc_pending;

/**
 * fipc_answers_take() - take records from the incoming ring, and complete the questions that they
 * answer
 * @n_max:  records to take
 *
 * Return: 0; -EAGAIN the ring is empty; -EBADMSG the broker sent nonsense, or the ring is corrupt;
 * -ECONNRESET the broker says goodbye; -ENOMEM for a request. All but 0 and -EAGAIN end the
 * connection
 */
int fipc_answers_take(struct fipc_client *client, unsigned n_max);

/* Completes a question that has left its table: lets its waiter go, or calls its on_done().
 * @status: 0, a negative errno or FIPC_NOT_SENT */
void fipc_answers_complete(struct fipc_client *client, struct fipc_pending *pending, int status);

#endif

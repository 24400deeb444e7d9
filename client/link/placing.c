/* SPDX-License-Identifier: MIT */
/*
 * A loan keeps the region in which it lies: the connection may be lost meanwhile, and then the
 * request is copied from there into the next one.
 */
#include "client/link/placing.h"

#include "client/base/message.h"
#include "client/link/connection.h"

#include <string.h>

void fipc_placing_try(struct fipc_message *loan, struct fipc_connection *connection)
{
    if (connection->n_loans > 0)
        return;
    fipc_placing_make_way(connection, loan->size);
    if (fipc_producer_reserve(&connection->channel.out, loan->size, &loan->loan) < 0)
        return; /* a corrupt ring is found when the request is sent */
    loan->connection = connection;
    loan->data = loan->loan.payload;
    connection->n_loans++;
}

/* The room in the ring is used up, or given back. */
static void leave_ring(struct fipc_message *loan)
{
    struct fipc_connection *connection = loan->connection;

    loan->connection = NULL;
    fipc_connection_release(connection, &connection->n_loans);
}

bool fipc_placing_is_in_ring(const struct fipc_message *loan,
                             const struct fipc_connection *connection)
{
    return loan->connection == connection && loan->loan.in_place;
}

/* ---- after it was sent ---- */

void fipc_placing_commit(struct fipc_message *loan, const struct fipc_header *header)
{
    struct fipc_connection *connection = loan->connection;

    fipc_producer_commit(&connection->channel.out, &loan->loan, header);
    loan->sent_on = connection;
    LIST_INSERT_HEAD(&connection->sent_loans, loan, in_sent);
    leave_ring(loan);
}

void fipc_placing_forget(struct fipc_message *loan)
{
    if (loan->sent_on == NULL)
        return;
    LIST_REMOVE(loan, in_sent);
    loan->sent_on = NULL;
    loan->data = loan->buffer;
}

void fipc_placing_forget_all(struct fipc_connection *connection)
{
    while (!LIST_EMPTY(&connection->sent_loans))
        fipc_placing_forget(LIST_FIRST(&connection->sent_loans));
}

void fipc_placing_recover(struct fipc_message *loan)
{
    if (loan->sent_on == NULL)
        return;
    memcpy(loan->buffer, loan->data, loan->size);
    fipc_placing_forget(loan);
}

void fipc_placing_make_way(struct fipc_connection *connection, size_t size)
{
    struct fipc_message *loan, *next;

    for (loan = LIST_FIRST(&connection->sent_loans); loan != NULL; loan = next) {
        next = LIST_NEXT(loan, in_sent);
        if (!fipc_producer_keeps(&connection->channel.out, loan->loan.position, size))
            fipc_placing_recover(loan);
    }
}

/* ---- out of the ring ---- */

void fipc_placing_move_out(struct fipc_message *loan)
{
    if (loan->connection == NULL)
        return;
    memcpy(loan->buffer, loan->data, loan->size);
    loan->data = loan->buffer;
    (void)fipc_placing_drop(loan);
}

bool fipc_placing_drop(struct fipc_message *loan)
{
    if (loan->connection == NULL)
        return false;
    fipc_producer_abort(&loan->connection->channel.out, &loan->loan);
    leave_ring(loan);
    return true;
}

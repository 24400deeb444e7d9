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
    if (connection->n_loans > 0 ||
        fipc_producer_reserve(&connection->channel.out, loan->size, &loan->loan) < 0)
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

void fipc_placing_commit(struct fipc_message *loan, const struct fipc_header *header)
{
    fipc_producer_commit(&loan->connection->channel.out, &loan->loan, header);
    leave_ring(loan);
}

void fipc_placing_recover(struct fipc_message *loan)
{
    memmove(loan->buffer, loan->data, loan->size); /* it may be there already */
    loan->data = loan->buffer;
}

void fipc_placing_move_out(struct fipc_message *loan)
{
    if (loan->connection == NULL)
        return;
    fipc_placing_recover(loan);
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

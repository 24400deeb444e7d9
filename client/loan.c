/* SPDX-License-Identifier: MIT */
/*
 * A loan keeps its client, and the region in which it lies: the connection may be lost meanwhile,
 * and then the request is copied from there into the next one. Its buffer has room for the request
 * too, untouched while that lies in the ring, and holds the name of the service behind it.
 */
#include "client/loan.h"

#include "client/base/message.h"
#include "client/base/process.h"
#include "client/call.h"
#include "client/client.h"
#include "common/os/os.h"

#include <errno.h>
#include <string.h>

/* The room in the ring is used up, or given back. */
static void leave_ring(struct fipc_message *loan)
{
    struct fipc_connection *connection = loan->connection;

    loan->connection = NULL;
    fipc_connection_release(connection, &connection->n_loans);
}

static void move_to_buffer(struct fipc_message *loan)
{
    memmove(loan->buffer, loan->data, loan->size); /* it may be there already */
    loan->data = loan->buffer;
}

bool fipc_loan_is_in_place(const struct fipc_message *loan,
                           const struct fipc_connection *connection)
{
    return loan->connection == connection && loan->loan.in_place;
}

void fipc_loan_commit(struct fipc_message *loan, const struct fipc_header *header)
{
    fipc_producer_commit(&loan->connection->channel.out, &loan->loan, header);
    leave_ring(loan);
}

void fipc_loan_move_out(struct fipc_message *loan)
{
    if (loan->connection == NULL)
        return;
    move_to_buffer(loan);
    fipc_producer_abort(&loan->connection->channel.out, &loan->loan);
    leave_ring(loan);
    (void)fipc_baton_wake_ready(&loan->client->baton); /* for room */
}

void fipc_loan_recover(struct fipc_message *loan) { move_to_buffer(loan); }

void fipc_loan_release(struct fipc_message *loan)
{
    struct fipc_client *client = loan->client;

    if (!fipc_client_lock_to_release(client))
        return;
    if (loan->connection != NULL) {
        fipc_producer_abort(&loan->connection->channel.out, &loan->loan);
        leave_ring(loan);
        if (fipc_process_made(client->epoch)) /* a child of fork(2) has no ring, and nobody waits */
            (void)fipc_baton_wake_ready(&client->baton);
    }
    (void)pthread_mutex_unlock(&client->lock);
    fipc_unref(client);
}

/* One loan at a time has its room there: several could leave none for those who send meanwhile. */
static void try_ring(struct fipc_client *client, struct fipc_message *loan)
{
    struct fipc_connection *connection = client->connection;

    if (connection == NULL || connection->n_loans > 0 ||
        fipc_producer_reserve(&connection->channel.out, loan->size, &loan->loan) < 0)
        return; /* a corrupt ring is found when the request is sent */
    loan->connection = connection;
    loan->data = loan->loan.payload;
    connection->n_loans++;
}

FIPC_PUBLIC int fipc_loan(fipc_client *client, const char *service, size_t size,
                          fipc_message **request)
{
    size_t service_bytes = fipc_service_bytes(service);
    struct fipc_message *loan;
    int r;

    r = fipc_client_check(client);
    if (r < 0)
        return r;
    if (service_bytes == 0 || request == NULL)
        return -EINVAL;
    (void)pthread_mutex_lock(&client->lock);
    if (size > fipc_ring_payload_max(client->request_ring_bytes)) {
        (void)pthread_mutex_unlock(&client->lock);
        return -EMSGSIZE;
    }
    loan = fipc_message_new(client->pool, size + service_bytes);
    if (loan != NULL) {
        loan->size = size;
        loan->client = client;
        client->n_refs++;
        loan->service_bytes = service_bytes;
        memcpy(loan->buffer + size, service, service_bytes);
        try_ring(client, loan);
    }
    (void)pthread_mutex_unlock(&client->lock);
    if (loan == NULL)
        return -ENOMEM;
    *request = loan;
    return 0;
}

static int send_loan(struct fipc_message *loan, unsigned flags, int timeout_ms,
                     fipc_message **reply)
{
    struct fipc_client *client = loan->client;
    struct fipc_call call = {
        .service = (const char *)loan->buffer + loan->size,
        .service_bytes = loan->service_bytes,
        .size = loan->size,
        .loan = loan,
        .flags = flags,
        .timeout_ms = timeout_ms,
    };
    int r;

    r = fipc_client_check(client); /* a reply has none: it cannot be sent */
    if (r == 0)
        r = fipc_call_check(NULL, 0, flags, timeout_ms);
    if (r < 0)
        return r;
    call.started_ns = fipc_now_ns();
    (void)pthread_mutex_lock(&client->lock);
    r = fipc_call_run(client, &call, reply);
    (void)pthread_mutex_unlock(&client->lock);
    return r;
}

FIPC_PUBLIC int fipc_send(fipc_message *request, unsigned flags, int timeout_ms,
                          fipc_message **reply)
{
    int r;

    if (request == NULL)
        return -EINVAL;
    r = send_loan(request, flags, timeout_ms, reply);
    fipc_free(request);
    return r;
}

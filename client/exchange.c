/* SPDX-License-Identifier: MIT */
#include "client/exchange.h"

#include "client/base/wire.h"
#include "client/link/placing.h"
#include "client/session/client.h"
#include "client/session/session.h"
#include "common/os/os.h"

#include <errno.h>

struct room {
    const struct fipc_client *client;
    struct fipc_connection *connection;
    const struct fipc_question *question;
};

static bool room_is_there(void *arg)
{
    const struct room *room = arg;

    return room->client->connection != room->connection ||
           fipc_outgoing_has_room(room->connection, room->question);
}

/* Return: 0 try again; FIPC_NOT_SENT; -ETIMEDOUT */
static int wait_for_room(struct fipc_client *client, struct fipc_question *question)
{
    struct fipc_connection *connection = client->connection;
    struct room room = {client, connection, question};
    struct fipc_waiter waiter = {.ready = room_is_there, .arg = &room, .wants_room = true};
    bool same;
    int r;

    connection->n_users++; /* so that the next one has another address */
    r = fipc_baton_wait(&client->baton, &waiter, question->deadline_ns);
    same = client->connection == connection;
    fipc_connection_release(connection, &connection->n_users);
    if (r < 0)
        return r;
    if (question->header.remaining_ns != 0)
        question->header.remaining_ns = fipc_remaining_ns(question->deadline_ns, fipc_now_ns());
    return same ? 0 : FIPC_NOT_SENT;
}

static int try_once(struct fipc_client *client, const struct fipc_question *question)
{
    int r = fipc_outgoing_send(client->connection, question);

    if (question->loan != NULL) /* one that moved out of the ring left room there */
        (void)fipc_baton_wake_ready(&client->baton);
    return r;
}

int fipc_exchange_send(struct fipc_client *client, struct fipc_question *question)
{
    int r;

    while ((r = try_once(client, question)) == -EAGAIN && !question->no_wait) {
        r = wait_for_room(client, question);
        if (r < 0)
            return r;
    }
    if (r == -EPROTO)
        fipc_session_lose(client, -EPROTO);
    return r;
}

static bool is_done(void *arg)
{
    const struct fipc_pending *answer = arg;

    return answer->done;
}

/* One that no service has seen may be sent again. */
static void end_loan(struct fipc_message *loan, const struct fipc_pending *answer)
{
    if (answer->done && (answer->reply_flags & FIPC_REPLY_NOT_DELIVERED) != 0)
        fipc_placing_recover(loan);
    else
        fipc_placing_forget(loan);
}

int fipc_exchange(struct fipc_client *client, struct fipc_question *question,
                  struct fipc_pending *answer)
{
    struct fipc_waiter waiter = {.ready = is_done, .arg = answer};
    int r;

    answer->id = question->header.id = fipc_pending_next_id(&client->connection->pending);
    answer->waiter = &waiter;
    answer->loan = question->loan;
    answer->done = false;
    answer->reply = NULL;
    answer->fd = -1;
    r = fipc_exchange_send(client, question);
    if (r < 0)
        return r;
    fipc_outgoing_sent(client->connection, question, answer);
    fipc_pending_add(&client->connection->pending, answer);
    r = fipc_baton_wait(&client->baton, &waiter, question->deadline_ns);
    if (question->loan != NULL)
        end_loan(question->loan, answer);
    if (!answer->done) { /* it may still come: nobody asks any more */
        fipc_pending_remove(&client->connection->pending, answer);
        fipc_outgoing_cancel(client->connection, answer);
        fipc_session_go_on(client);
    } else if (answer->status == FIPC_NOT_SENT) {
        return FIPC_NOT_SENT;
    }
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "client/exchange.h"

#include "client/client.h"
#include "client/loan.h"
#include "client/message.h"
#include "client/reader.h"
#include "common/clock.h"

#include <errno.h>

struct room {
    const struct fipc_client *client;
    struct fipc_connection *connection;
    size_t size;
};

/* Also where the answer is that there will never be any. */
static bool room_is_there(void *arg)
{
    const struct room *room = arg;

    return room->client->connection != room->connection ||
           fipc_producer_has_room(&room->connection->channel.out, room->size) != 0;
}

/* Return: 0 try again; FIPC_NOT_SENT; -ETIMEDOUT */
static int wait_for_room(struct fipc_client *client, struct fipc_question *question)
{
    struct fipc_connection *connection = client->connection;
    struct room room = {.client = client, .connection = connection, .size = question->size};
    struct fipc_waiter waiter = {.ready = room_is_there, .arg = &room, .wants_room = true};
    bool same;
    int r;

    connection->n_users++; /* so that it can be told from the next one */
    r = fipc_baton_wait(client, &waiter, question->deadline_ns);
    same = client->connection == connection;
    fipc_connection_release(connection, &connection->n_users);
    if (r < 0)
        return r;
    if (question->header.remaining_ns != 0) {
        uint64_t now_ns = fipc_now_ns();

        question->header.remaining_ns =
            question->deadline_ns > now_ns ? question->deadline_ns - now_ns : 1;
    }
    return same ? 0 : FIPC_NOT_SENT;
}

static int put(struct fipc_connection *connection, const struct fipc_question *question)
{
    struct fipc_message *loan = question->loan;
    const void *payload = question->payload;

    if (loan != NULL) {
        if (fipc_loan_is_in_place(loan, connection)) {
            fipc_loan_commit(loan, &question->header);
            return 0;
        }
        fipc_loan_move_out(loan); /* overtaken, or of a connection that was lost */
        payload = loan->data;
    }
    return fipc_producer_send(&connection->channel.out, &question->header, payload, question->size);
}

/* Return: as fipc_exchange() */
static int send_question(struct fipc_client *client, struct fipc_question *question)
{
    int r;

    while ((r = put(client->connection, question)) == -EAGAIN && !question->no_wait) {
        r = wait_for_room(client, question);
        if (r < 0)
            return r;
    }
    if (r == 0 && fipc_channel_ring(&client->connection->channel, FIPC_NEWS_RECORDS) == -EBADMSG)
        r = -EBADMSG;
    if (r != -EBADMSG)
        return r;
    fipc_reader_lose(client, -EPROTO);
    return -EPROTO;
}

static bool is_done(void *arg)
{
    const struct fipc_pending *answer = arg;

    return answer->done;
}

int fipc_exchange(struct fipc_client *client, struct fipc_question *question,
                  struct fipc_pending *answer)
{
    struct fipc_waiter waiter = {.ready = is_done, .arg = answer};
    int r;

    answer->id = question->header.id = fipc_pending_next_id(&client->pending);
    answer->waiter = &waiter;
    answer->loan = question->loan;
    answer->done = false;
    answer->reply = NULL;
    r = send_question(client, question);
    if (r < 0)
        return r;
    answer->sent_until = client->connection->channel.out.tail;
    fipc_pending_add(&client->pending, answer);
    r = fipc_baton_wait(client, &waiter, question->deadline_ns);
    if (!answer->done)
        fipc_pending_remove(&client->pending, answer); /* it may still come: nobody asks any more */
    else if (answer->status == FIPC_NOT_SENT)
        return FIPC_NOT_SENT;
    return r;
}

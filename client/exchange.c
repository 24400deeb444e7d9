/* SPDX-License-Identifier: MIT */
#include "client/exchange.h"

#include "client/base/message.h"
#include "client/base/wire.h"
#include "client/client.h"
#include "client/loan.h"
#include "client/session/session.h"
#include "common/os/os.h"

#include <errno.h>

/* One in so many of the questions that may be open is left to those who wait for their answer. */
#define RESERVED_SHARE 16

bool fipc_question_may_be_open(const struct fipc_client *client,
                               const struct fipc_question *question)
{
    uint32_t calls_max = client->connection->calls_max;

    if (question->header.kind != FIPC_KIND_REQUEST && question->header.kind != FIPC_KIND_CONTROL)
        return true;
    return client->pending.count <
           (question->no_wait ? calls_max - calls_max / RESERVED_SHARE : calls_max);
}

bool fipc_wait_may_be_open(const struct fipc_client *client)
{
    return client->connection == NULL ||
           client->pending.n_submitted_waits < client->connection->calls_max / 2;
}

bool fipc_question_has_room(const struct fipc_client *client, const struct fipc_question *question)
{
    return fipc_question_may_be_open(client, question) &&
           fipc_producer_has_room(&client->connection->channel.out, question->size) != 0;
}

struct room {
    const struct fipc_client *client;
    const struct fipc_connection *connection;
    const struct fipc_question *question;
};

static bool room_is_there(void *arg)
{
    const struct room *room = arg;

    return room->client->connection != room->connection ||
           fipc_question_has_room(room->client, room->question);
}

/* Return: 0 try again; FIPC_NOT_SENT; -ETIMEDOUT */
static int wait_for_room(struct fipc_client *client, struct fipc_question *question)
{
    struct fipc_connection *connection = client->connection;
    struct room room = {client, connection, question};
    struct fipc_waiter waiter = {.ready = room_is_there, .arg = &room, .wants_room = true};
    bool same;
    int r;

    connection->n_users++; /* so that it can be told from the next one */
    r = fipc_baton_wait(&client->baton, &waiter, question->deadline_ns);
    same = client->connection == connection;
    fipc_connection_release(connection, &connection->n_users);
    if (r < 0)
        return r;
    if (question->header.remaining_ns != 0)
        question->header.remaining_ns = fipc_remaining_ns(question->deadline_ns, fipc_now_ns());
    return same ? 0 : FIPC_NOT_SENT;
}

static int put(const struct fipc_client *client, const struct fipc_question *question)
{
    struct fipc_connection *connection = client->connection;
    struct fipc_message *loan = question->loan;
    const void *payload = question->payload;

    if (!fipc_question_may_be_open(client, question))
        return -EAGAIN;
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

int fipc_question_send(struct fipc_client *client, struct fipc_question *question)
{
    int r;

    while ((r = put(client, question)) == -EAGAIN && !question->no_wait) {
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
    answer->fd = -1;
    r = fipc_question_send(client, question);
    if (r < 0)
        return r;
    answer->sent_until = client->connection->channel.out.tail;
    fipc_pending_add(&client->pending, answer);
    r = fipc_baton_wait(&client->baton, &waiter, question->deadline_ns);
    if (!answer->done) { /* it may still come: nobody asks any more */
        fipc_pending_remove(&client->pending, answer);
        fipc_backlog_cancel(client, answer->id);
        fipc_backlog_go_on(client);
    } else if (answer->status == FIPC_NOT_SENT) {
        return FIPC_NOT_SENT;
    }
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "client/link/outgoing.h"

#include "client/base/message.h"
#include "client/link/connection.h"
#include "client/link/placing.h"

#include <errno.h>
#include <stdlib.h>

/* One in this many of the questions that may be open is left to threads that wait for their
 * answer. */
#define RESERVED_SHARE 16

/* ---- room ---- */

bool fipc_outgoing_may_ask(const struct fipc_connection *connection,
                           const struct fipc_question *question)
{
    uint32_t calls_max = connection->calls_max, n_places = connection->places.n_places;

    if (question->header.kind == FIPC_KIND_REQUEST &&
        fipc_places_left(&connection->places) <=
            (question->no_wait ? n_places / RESERVED_SHARE : 0))
        return false;
    if (question->header.kind != FIPC_KIND_REQUEST && question->header.kind != FIPC_KIND_CONTROL)
        return true;
    return connection->pending.count <
           (question->no_wait ? calls_max - calls_max / RESERVED_SHARE : calls_max);
}

bool fipc_outgoing_may_wait(const struct fipc_connection *connection)
{
    return connection->pending.n_submitted_waits < connection->calls_max / 2;
}

bool fipc_outgoing_has_room(struct fipc_connection *connection,
                            const struct fipc_question *question)
{
    return fipc_outgoing_may_ask(connection, question) &&
           fipc_producer_has_room(&connection->channel.out, question->size) != 0;
}

/* ---- sending ---- */

static int put(struct fipc_connection *connection, const struct fipc_question *question)
{
    struct fipc_message *loan = question->loan;
    const void *payload = question->payload;
    struct fipc_header header = question->header;

    if (!fipc_outgoing_may_ask(connection, question))
        return -EAGAIN;
    if (header.kind == FIPC_KIND_REQUEST)
        header.status = fipc_places_next(&connection->places);
    if (loan != NULL) {
        if (fipc_placing_is_in_ring(loan, connection)) {
            fipc_placing_commit(loan, &header);
            return 0;
        }
        fipc_placing_move_out(loan); /* overtaken, or of a connection that was lost */
        payload = loan->data;
    }
    fipc_placing_make_way(connection, question->size);
    return fipc_producer_send(&connection->channel.out, &header, payload, question->size);
}

int fipc_outgoing_send(struct fipc_connection *connection, const struct fipc_question *question)
{
    int r;

    r = put(connection, question);
    if (r == 0 && fipc_channel_ring(&connection->channel, FIPC_NEWS_RECORDS) == -EBADMSG)
        r = -EBADMSG;
    if (r != -EBADMSG)
        return r;
    connection->is_corrupt = true;
    return -EPROTO;
}

int fipc_outgoing_send_next(struct fipc_connection *connection, struct fipc_question *question)
{
    int r;

    question->no_wait = true;
    r = fipc_outgoing_send(connection, question);
    if (r == -EAGAIN) {
        connection->stuck_kind = question->header.kind;
        connection->stuck_size = question->size;
    }
    return r;
}

/* ---- cancels ---- */

void fipc_outgoing_sent(struct fipc_connection *connection, const struct fipc_question *question,
                        struct fipc_pending *pending)
{
    pending->sent_until = connection->channel.out.tail;
    pending->has_place = question->header.kind == FIPC_KIND_REQUEST;
    if (pending->has_place)
        pending->place = fipc_places_take(&connection->places);
}

/* Nothing is sent here, in the middle of a walk over calls: sending may end others. Without memory
 * for it the broker does not learn of the cancel: the answer is dropped when it comes, and the
 * place stays taken. */
void fipc_outgoing_cancel(struct fipc_connection *connection, const struct fipc_pending *pending)
{
    struct fipc_due_cancel *due = malloc(sizeof(*due));

    if (due == NULL)
        return;
    *due = (struct fipc_due_cancel){
        .id = pending->id, .has_place = pending->has_place, .place = pending->place};
    STAILQ_INSERT_TAIL(&connection->cancels, due, link);
}

int fipc_outgoing_send_cancels(struct fipc_connection *connection)
{
    int r = 0;

    while (r == 0 && !STAILQ_EMPTY(&connection->cancels)) {
        struct fipc_due_cancel *due = STAILQ_FIRST(&connection->cancels);
        struct fipc_question question = {.header = {.kind = FIPC_KIND_CANCEL, .id = due->id}};

        r = fipc_outgoing_send_next(connection, &question);
        if (r == 0) {
            STAILQ_REMOVE_HEAD(&connection->cancels, link);
            if (due->has_place)
                fipc_places_give_back(&connection->places, due->place);
            free(due);
        }
    }
    return r;
}

/* ---- the record that is stuck ---- */

static struct fipc_question stuck_question(const struct fipc_connection *connection)
{
    return (struct fipc_question){
        .header.kind = connection->stuck_kind, .size = connection->stuck_size, .no_wait = true};
}

bool fipc_outgoing_wants_room(const struct fipc_connection *connection)
{
    struct fipc_question stuck;

    if (!connection->is_stuck)
        return false;
    stuck = stuck_question(connection);
    return fipc_outgoing_may_ask(connection, &stuck);
}

bool fipc_outgoing_can_go_on(struct fipc_connection *connection)
{
    struct fipc_question stuck;

    if (!connection->is_stuck)
        return false;
    stuck = stuck_question(connection);
    return fipc_outgoing_has_room(connection, &stuck);
}

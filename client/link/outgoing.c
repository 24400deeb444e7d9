/* SPDX-License-Identifier: MIT */
#include "client/link/outgoing.h"

#include "client/client.h"
#include "client/session/served.h"
#include "client/session/submission.h"

#include <errno.h>
#include <stdlib.h>

/* A cancel that is not sent yet. */
struct fipc_due_cancel {
    STAILQ_ENTRY(fipc_due_cancel) link; /* fipc_backlog.cancels */
    uint64_t id;
};

void fipc_backlog_init(struct fipc_backlog *backlog)
{
    *backlog = (struct fipc_backlog){.is_stuck = false};
    STAILQ_INIT(&backlog->cancels);
}

static void forget_first_cancel(struct fipc_backlog *backlog)
{
    struct fipc_due_cancel *due = STAILQ_FIRST(&backlog->cancels);

    STAILQ_REMOVE_HEAD(&backlog->cancels, link);
    free(due);
}

void fipc_backlog_deinit(struct fipc_backlog *backlog) { fipc_backlog_lost(backlog); }

void fipc_backlog_lost(struct fipc_backlog *backlog)
{
    while (!STAILQ_EMPTY(&backlog->cancels))
        forget_first_cancel(backlog);
    backlog->is_stuck = false;
}

int fipc_backlog_send(struct fipc_client *client, struct fipc_question *question)
{
    int r;

    question->no_wait = true;
    r = fipc_question_send(client, question);
    if (r == -EAGAIN)
        client->backlog.next = (struct fipc_question){
            .header.kind = question->header.kind, .size = question->size, .no_wait = true};
    return r;
}

/* ---- cancels ---- */

/* Nothing is sent here, where calls are being gone through: sending may end others. Without memory
 * for it the broker is not told: the answer is dropped when it comes. */
void fipc_backlog_cancel(struct fipc_client *client, uint64_t id)
{
    struct fipc_due_cancel *due;

    if (client->connection == NULL)
        return;
    due = malloc(sizeof(*due));
    if (due == NULL)
        return;
    due->id = id;
    STAILQ_INSERT_TAIL(&client->backlog.cancels, due, link);
}

/* Return: as fipc_backlog_send() */
static int send_cancels(struct fipc_client *client)
{
    struct fipc_backlog *backlog = &client->backlog;
    int r = 0;

    while (r == 0 && !STAILQ_EMPTY(&backlog->cancels)) {
        struct fipc_question question = {
            .header = {.kind = FIPC_KIND_CANCEL, .id = STAILQ_FIRST(&backlog->cancels)->id}};

        r = fipc_backlog_send(client, &question);
        if (r == 0)
            forget_first_cancel(backlog);
    }
    return r;
}

/* ---- going on ---- */

void fipc_backlog_go_on(struct fipc_client *client)
{
    int r;

    client->backlog.is_stuck = false;
    if (client->connection == NULL)
        return;
    r = send_cancels(client);
    if (r == 0)
        r = fipc_serving_go_on(client);
    if (r == 0)
        r = fipc_sending_go_on(client);
    if (r == 0) /* of questions that nobody asks any more */
        r = send_cancels(client);
    client->backlog.is_stuck = r == -EAGAIN;
}

bool fipc_backlog_wants_room(const struct fipc_client *client)
{
    return client->backlog.is_stuck && client->connection != NULL &&
           fipc_question_may_be_open(client, &client->backlog.next);
}

bool fipc_backlog_has_room(const struct fipc_client *client)
{
    return client->backlog.is_stuck && client->connection != NULL &&
           fipc_question_has_room(client, &client->backlog.next);
}

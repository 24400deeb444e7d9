/* SPDX-License-Identifier: MIT */
#include "client/session/served.h"

#include "client/base/wire.h"
#include "client/client.h"
#include "client/exchange.h"
#include "client/session/inbox.h"
#include "client/session/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

static void served_answered(struct fipc_client *client, struct fipc_pending *question)
{
    struct fipc_served *served = question->on_done_arg;

    if (client->connection == NULL) {
        served->state = FIPC_SERVED_UNKNOWN;
    } else if (question->status == 0) {
        served->state = FIPC_SERVED_AGREED;
        served->has_agreed = true;
        served->target = question->target;
    } else {
        served->state = FIPC_SERVED_REFUSED;
        served->error = question->status;
        if (served->has_agreed)
            client->serving.n_lost++;
    }
    (void)fipc_baton_wake_ready(&client->baton);
}

static int ask_to_serve(struct fipc_client *client, struct fipc_served *served)
{
    struct fipc_packet packet;
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_CONTROL, .id = fipc_pending_next_id(&client->pending)},
        .payload = packet.bytes,
    };
    int r;

    r = fipc_packet_serve(&packet, served->name, served->name_bytes, served->concurrency);
    question.size = packet.size;
    if (r == 0)
        r = fipc_backlog_send(client, &question);
    if (r < 0)
        return r;
    served->question = (struct fipc_pending){
        .id = question.header.id,
        .sent_until = client->connection->channel.out.tail,
        .on_done = served_answered,
        .on_done_arg = served,
        .answer_kind = FIPC_KIND_CONTROL,
        .fd = -1,
    };
    fipc_pending_add(&client->pending, &served->question);
    served->state = FIPC_SERVED_ASKED;
    return 0;
}

int fipc_serving_go_on(struct fipc_client *client)
{
    struct fipc_served *served;
    int r = 0;

    TAILQ_FOREACH(served, &client->serving.names, link) {
        if (served->state == FIPC_SERVED_UNKNOWN)
            r = ask_to_serve(client, served);
        if (r < 0)
            break;
    }
    return r;
}

struct fipc_served *fipc_served_find(const struct fipc_serving *serving, const char *name,
                                     size_t name_bytes)
{
    struct fipc_served *served;

    TAILQ_FOREACH(served, &serving->names, link) {
        if (served->name_bytes == name_bytes && memcmp(served->name, name, name_bytes) == 0)
            break;
    }
    return served;
}

struct fipc_served *fipc_served_add(struct fipc_serving *serving, const char *name,
                                    size_t name_bytes)
{
    struct fipc_served *served = calloc(1, sizeof(*served) + name_bytes);

    if (served == NULL)
        return NULL;
    served->name_bytes = name_bytes;
    memcpy(served->name, name, name_bytes);
    TAILQ_INSERT_TAIL(&serving->names, served, link);
    return served;
}

void fipc_served_remove(struct fipc_serving *serving, struct fipc_served *served)
{
    TAILQ_REMOVE(&serving->names, served, link);
    free(served);
}

const struct fipc_served *fipc_served_of_target(const struct fipc_serving *serving, uint32_t target)
{
    const struct fipc_served *served;

    TAILQ_FOREACH(served, &serving->names, link) {
        if (served->state == FIPC_SERVED_AGREED && served->target == target)
            break;
    }
    return served;
}

void fipc_serving_lost(struct fipc_client *client)
{
    struct fipc_served *served;

    fipc_requests_lost(&client->serving);
    TAILQ_FOREACH(served, &client->serving.names, link) {
        if (served->state == FIPC_SERVED_AGREED)
            served->state = FIPC_SERVED_UNKNOWN;
    }
}

void fipc_serving_forget_all(struct fipc_serving *serving)
{
    struct fipc_served *served, *next;

    for (served = TAILQ_FIRST(&serving->names); served != NULL; served = next) {
        next = TAILQ_NEXT(served, link);
        fipc_served_remove(serving, served);
    }
    serving->n_lost = 0;
}

int fipc_serving_take_lost(struct fipc_serving *serving)
{
    struct fipc_served *served;
    int error;

    if (serving->n_lost == 0)
        return 0;
    TAILQ_FOREACH(served, &serving->names, link) {
        if (served->state == FIPC_SERVED_REFUSED && served->has_agreed)
            break;
    }
    assert(served != NULL);
    error = served->error;
    fipc_served_remove(serving, served);
    serving->n_lost--;
    return error;
}

/* ---- life ---- */

void fipc_serving_init(struct fipc_serving *serving)
{
    *serving = (struct fipc_serving){.n_lost = 0};
    TAILQ_INIT(&serving->names);
    TAILQ_INIT(&serving->inbox);
    TAILQ_INIT(&serving->in_hand);
}

void fipc_serving_deinit(struct fipc_serving *serving)
{
    fipc_requests_drop(serving);
    fipc_serving_forget_all(serving);
}

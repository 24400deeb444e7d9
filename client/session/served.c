/* SPDX-License-Identifier: MIT */
#include "client/session/served.h"

#include "client/base/wire.h"
#include "client/link/connection.h"
#include "client/link/outgoing.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- asking the broker ---- */

static void answered(struct fipc_pending *question, struct fipc_connection *connection)
{
    struct fipc_served *served = question->on_done_arg;

    if (connection == NULL) {
        served->state = FIPC_SERVED_UNKNOWN;
    } else if (question->status == 0) {
        served->state = FIPC_SERVED_AGREED;
        served->has_agreed = true;
        served->target = question->target;
    } else {
        served->state = FIPC_SERVED_REFUSED;
        served->error = question->status;
        if (served->has_agreed)
            served->names->n_revoked++;
    }
    served->names->has_news = true;
}

static int ask(struct fipc_served *served, struct fipc_connection *connection)
{
    struct fipc_packet packet;
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_CONTROL, .id = fipc_pending_next_id(&connection->pending)},
        .payload = packet.bytes,
    };
    int r;

    r = fipc_packet_serve(&packet, served->name, served->name_bytes, served->concurrency,
                          served->names->handle);
    question.size = packet.size;
    if (r == 0)
        r = fipc_outgoing_send_next(connection, &question);
    if (r < 0)
        return r;
    served->question = (struct fipc_pending){
        .id = question.header.id,
        .sent_until = connection->channel.out.tail,
        .on_done = answered,
        .on_done_arg = served,
        .answer_kind = FIPC_KIND_CONTROL,
        .fd = -1,
    };
    fipc_pending_add(&connection->pending, &served->question);
    served->state = FIPC_SERVED_ASKED;
    return 0;
}

int fipc_served_go_on(struct fipc_served_names *names, struct fipc_connection *connection)
{
    struct fipc_served *served;
    int r = 0;

    TAILQ_FOREACH(served, &names->list, link) {
        if (served->state == FIPC_SERVED_UNKNOWN)
            r = ask(served, connection);
        if (r < 0)
            break;
    }
    return r;
}

void fipc_served_lost(struct fipc_served_names *names)
{
    struct fipc_served *served;

    TAILQ_FOREACH(served, &names->list, link) {
        if (served->state == FIPC_SERVED_AGREED)
            served->state = FIPC_SERVED_UNKNOWN;
    }
}

/* ---- the names ---- */

struct fipc_served *fipc_served_find(const struct fipc_served_names *names, const char *name,
                                     size_t name_bytes)
{
    struct fipc_served *served;

    TAILQ_FOREACH(served, &names->list, link) {
        if (served->name_bytes == name_bytes && memcmp(served->name, name, name_bytes) == 0)
            break;
    }
    return served;
}

const struct fipc_served *fipc_served_of_target(const struct fipc_served_names *names,
                                                uint32_t target)
{
    const struct fipc_served *served;

    TAILQ_FOREACH(served, &names->list, link) {
        if (served->state == FIPC_SERVED_AGREED && served->target == target)
            break;
    }
    return served;
}

struct fipc_served *fipc_served_add(struct fipc_served_names *names, const char *name,
                                    size_t name_bytes)
{
    struct fipc_served *served = calloc(1, sizeof(*served) + name_bytes);

    if (served == NULL)
        return NULL;
    served->names = names;
    served->name_bytes = name_bytes;
    memcpy(served->name, name, name_bytes);
    TAILQ_INSERT_TAIL(&names->list, served, link);
    return served;
}

void fipc_served_remove(struct fipc_served *served)
{
    TAILQ_REMOVE(&served->names->list, served, link);
    free(served);
}

void fipc_served_forget_all(struct fipc_served_names *names)
{
    struct fipc_served *served, *next;

    for (served = TAILQ_FIRST(&names->list); served != NULL; served = next) {
        next = TAILQ_NEXT(served, link);
        fipc_served_remove(served);
    }
    names->n_revoked = 0;
}

int fipc_served_take_revoked(struct fipc_served_names *names)
{
    struct fipc_served *served;
    int error;

    if (names->n_revoked == 0)
        return 0;
    TAILQ_FOREACH(served, &names->list, link) {
        if (served->state == FIPC_SERVED_REFUSED && served->has_agreed)
            break;
    }
    assert(served != NULL);
    error = served->error;
    fipc_served_remove(served);
    names->n_revoked--;
    return error;
}

/* ---- life ---- */

int fipc_served_init(struct fipc_served_names *names)
{
    *names = (struct fipc_served_names){.n_revoked = 0};
    TAILQ_INIT(&names->list);
    while (getrandom(&names->handle, sizeof(names->handle), 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

void fipc_served_deinit(struct fipc_served_names *names) { fipc_served_forget_all(names); }

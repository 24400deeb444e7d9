/* SPDX-License-Identifier: MIT */
#include "client/session/served.h"

#include "client/base/wire.h"
#include "client/client.h"
#include "client/exchange.h"
#include "client/session/inbox.h"
#include "client/session/session.h"
#include "common/clock.h"
#include "common/os/os.h"

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

static struct fipc_served *served_find(const struct fipc_serving *serving, const char *name,
                                       size_t name_bytes)
{
    struct fipc_served *served;

    TAILQ_FOREACH(served, &serving->names, link) {
        if (served->name_bytes == name_bytes && memcmp(served->name, name, name_bytes) == 0)
            break;
    }
    return served;
}

static void served_remove(struct fipc_serving *serving, struct fipc_served *served)
{
    TAILQ_REMOVE(&serving->names, served, link);
    free(served);
}

static bool is_decided(void *arg)
{
    const struct fipc_served *served = arg;

    return served->state == FIPC_SERVED_AGREED || served->state == FIPC_SERVED_REFUSED;
}

static int served_wait(struct fipc_client *client, struct fipc_served *served)
{
    struct fipc_waiter waiter = {.ready = is_decided, .arg = served};
    uint64_t deadline_ns = fipc_deadline_after(fipc_now_ns(), client->settings.connect_ns);
    int r;

    fipc_reader_catch_up(client, fipc_now_ns());
    fipc_backlog_go_on(client);
    r = fipc_baton_wait(&client->baton, &waiter, deadline_ns);
    if (r < 0 && served->state == FIPC_SERVED_ASKED) /* it may still agree, and must not */
        fipc_reader_lose(client, -ECONNRESET);
    if (r < 0)
        return r == -ETIMEDOUT ? -ECONNREFUSED : r;
    return served->state == FIPC_SERVED_REFUSED ? served->error : 0;
}

static int serve(struct fipc_client *client, const char *name, size_t name_bytes,
                 unsigned concurrency, fipc_handler_fn *fn, void *userdata)
{
    struct fipc_served *served;
    int r;

    if (served_find(&client->serving, name, name_bytes) != NULL)
        return -EEXIST;
    served = calloc(1, sizeof(*served) + name_bytes);
    if (served == NULL)
        return -ENOMEM;
    served->concurrency = concurrency;
    served->fn = fn;
    served->userdata = userdata;
    served->name_bytes = name_bytes;
    memcpy(served->name, name, name_bytes);
    TAILQ_INSERT_TAIL(&client->serving.names, served, link);
    r = served_wait(client, served);
    if (r < 0)
        served_remove(&client->serving, served);
    return r;
}

FIPC_PUBLIC int fipc_serve(fipc_client *client, const char *name, unsigned concurrency,
                           fipc_handler_fn *fn, void *userdata)
{
    size_t name_bytes = fipc_service_bytes(name);
    int r = fipc_client_check(client);

    if (r == 0 && (name_bytes == 0 || fn == NULL || concurrency > FIPC_CONCURRENCY_MAX))
        r = -EINVAL;
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->lock);
    r = serve(client, name, name_bytes, concurrency, fn, userdata);
    (void)pthread_mutex_unlock(&client->lock);
    return r;
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
        served_remove(serving, served);
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
    served_remove(serving, served);
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

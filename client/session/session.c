/* SPDX-License-Identifier: MIT */
/*
 * The session takes all that a dead broker had written before it gives its connection up.
 */
#include "client/session/session.h"

#include "client/base/message.h"
#include "client/link/incoming.h"
#include "client/link/outgoing.h"
#include "client/link/placing.h"
#include "client/session/answers.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <stdlib.h>

/* Before something is sent the lane is looked at after this time without a sign of life. */
#define SILENCE_NS (1 * FIPC_NS_PER_MS)

/* Records that are taken at most before other threads have the lock. */
#define BATCH 64

/* ---- due work ---- */

bool fipc_session_has_work(const struct fipc_client *client)
{
    return client->submissions.n_ended > 0 || client->inbox.n_due > 0 ||
           client->served.n_revoked > 0;
}

bool fipc_session_needs_connection(const struct fipc_client *client)
{
    return !TAILQ_EMPTY(&client->served.list) || fipc_submissions_are_busy(&client->submissions);
}

void fipc_session_park(struct fipc_client *client)
{
    bool is_free = client->baton.holder == NULL;

    if (!fipc_pollable_is_on(&client->pollable))
        return;
    fipc_pollable_park(
        &client->pollable, is_free ? client->connection : NULL, fipc_session_has_work(client),
        client->connection == NULL && is_free && fipc_session_needs_connection(client),
        client->submissions.next_deadline_ns);
}

/* Acts on the marks: threads that wait for work look again, and so does a poll loop. */
static void act_on_news(struct fipc_client *client)
{
    if (!client->submissions.has_news && !client->inbox.has_news && !client->served.has_news)
        return;
    client->submissions.has_news = client->inbox.has_news = client->served.has_news = false;
    (void)fipc_baton_wake_ready(&client->baton);
    if (fipc_session_has_work(client))
        fipc_pollable_signal(&client->pollable);
}

/* In this order: cancels, names to be served, submitted calls. Return: as fipc_outgoing_send() */
static int send_due(struct fipc_client *client, struct fipc_connection *connection)
{
    int r;

    r = fipc_outgoing_send_cancels(connection);
    if (r == 0)
        r = fipc_served_go_on(&client->served, connection);
    if (r < 0 || client->submissions.n_queues == 0)
        return r;
    r = fipc_submissions_go_on(&client->submissions, connection, fipc_now_ns());
    if (r == 0) /* of questions that no call asks any more */
        r = fipc_outgoing_send_cancels(connection);
    return r;
}

void fipc_session_go_on(struct fipc_client *client)
{
    struct fipc_connection *connection = client->connection;

    if (connection != NULL) {
        connection->is_stuck = send_due(client, connection) == -EAGAIN;
        /* a cancel that was sent left the place of its request to another */
        if (client->baton.n_want_room > 0 && fipc_baton_wake_ready(&client->baton))
            fipc_baton_kick(&client->baton);
        if (connection->is_corrupt)
            fipc_session_lose(client, -EPROTO);
    }
    act_on_news(client);
}

void fipc_session_expire(struct fipc_client *client, uint64_t now_ns)
{
    fipc_submissions_expire(&client->submissions, client->connection, client->connect_error,
                            now_ns);
    fipc_session_go_on(client);
}

void fipc_session_hurry(struct fipc_client *client, uint64_t deadline_ns)
{
    if (fipc_submissions_hurry(&client->submissions, deadline_ns) &&
        fipc_baton_wake_ready(&client->baton))
        fipc_baton_kick(&client->baton);
}

/* ---- taking records ---- */

/* The outcome of a batch. */
enum batch {
    TAKEN_SOME, /* there may be more */
    TAKEN_ALL,
    CONNECTION_LOST, /* by one of the records */
};

static enum batch take_records(struct fipc_client *client)
{
    struct fipc_connection *connection = client->connection;
    struct fipc_channel *channel = &connection->channel;
    int r;

    r = fipc_answers_take(client, BATCH);
    if ((r == 0 || r == -EAGAIN) && fipc_consumer_left_room(&channel->in) &&
        fipc_channel_ring(channel, FIPC_NEWS_ROOM) == -EBADMSG)
        r = -EBADMSG;
    if (r != 0 && r != -EAGAIN)
        fipc_session_lose(client, r == -EBADMSG ? -EPROTO : r);
    else
        fipc_session_go_on(client); /* an answer may be all that the next record waited for */
    if (client->connection != connection)
        return CONNECTION_LOST;
    return r == 0 ? TAKEN_SOME : TAKEN_ALL;
}

/* The broker hung up: the records that it had sent still count. */
static void end_hung_up(struct fipc_client *client)
{
    enum batch batch;

    do
        batch = take_records(client);
    while (batch == TAKEN_SOME);
    if (batch == TAKEN_ALL)
        fipc_session_lose(client, -ECONNRESET);
}

/* ---- losing a connection ---- */

/* A question that the broker's head never passed was not delivered: it is sent again on the next
 * connection. One that it passed has an unknown outcome. */
static int outcome_of(const struct fipc_connection *connection, const struct fipc_pending *pending,
                      int error)
{
    if (error != -ECONNRESET)
        return error;
    return !pending->is_idempotent &&
                   fipc_producer_was_taken(&connection->channel.out, pending->sent_until)
               ? error
               : FIPC_NOT_SENT;
}

/* The request in a loan leaves the ring with the connection. */
static void let_loan_go(struct fipc_message *loan, int status)
{
    if (loan != NULL && status == FIPC_NOT_SENT)
        fipc_placing_recover(loan);
    else if (loan != NULL)
        fipc_placing_forget(loan);
}

void fipc_session_lose(struct fipc_client *client, int error)
{
    struct fipc_connection *connection = client->connection;
    struct fipc_pending *pending = fipc_pending_take_all(&connection->pending);

    client->connection = NULL;
    connection->is_over = true;
    fipc_pollable_unwatch(&client->pollable, connection);
    fipc_inbox_lost(&client->inbox);
    fipc_served_lost(&client->served);
    while (pending != NULL) {
        struct fipc_pending *next = pending->next;

        int status = outcome_of(connection, pending, error);

        let_loan_go(pending->loan, status);
        fipc_answers_complete(client, pending, status);
        pending = next;
    }
    fipc_placing_forget_all(connection);
    (void)fipc_baton_wake_ready(&client->baton);
    fipc_baton_kick(&client->baton);
    fipc_pollable_signal(&client->pollable); /* a poll loop hears nothing more from the lane */
    fipc_connection_release(connection, &connection->n_users);
}

/* ---- time passes ---- */

/* Gives the room that there is to the threads and records that wait for it. */
static void use_room(struct fipc_client *client)
{
    if (client->connection != NULL && fipc_outgoing_can_go_on(client->connection))
        fipc_session_go_on(client);
    if (client->baton.n_want_room > 0)
        (void)fipc_baton_wake_ready(&client->baton);
}

/* The client has a connection on entry; on exit it may have lost it. Return: 0; -ETIMEDOUT */
static int read_or_wait(struct fipc_client *client, uint64_t deadline_ns)
{
    struct fipc_connection *connection = client->connection;
    int r = 0;

    connection->n_users++; /* others may lose it while the lock is released */
    if (!fipc_consumer_has_news(&connection->channel.in))
        r = fipc_incoming_wait(connection, &client->baton, deadline_ns);
    if (client->connection == connection) {
        if (r == -ECONNRESET)
            end_hung_up(client);
        else if (fipc_consumer_has_news(&connection->channel.in))
            (void)take_records(client);
    }
    fipc_connection_release(connection, &connection->n_users);
    use_room(client);
    return r == -ETIMEDOUT ? r : 0;
}

void fipc_session_take_connection(struct fipc_client *client, struct fipc_connection *connection)
{
    client->connection = connection;
    connection->number = ++client->n_connections;
    fipc_pollable_watch(&client->pollable, connection);
    client->handler_ms = connection->handler_ms;
    client->request_ring_bytes = connection->channel.region.request_ring_bytes;
    fipc_session_go_on(client);
    (void)fipc_baton_wake_ready(&client->baton);
}

/* Return: as fipc_connection_open() */
static int open_connection(struct fipc_client *client, uint64_t deadline_ns)
{
    struct fipc_connection *connection;
    int r;

    (void)pthread_mutex_unlock(&client->handle.lock);
    r = fipc_connection_open(&client->settings, deadline_ns, &connection);
    (void)pthread_mutex_lock(&client->handle.lock);
    client->connect_error = r;
    if (r < 0)
        return r;
    fipc_session_take_connection(client, connection);
    return 0;
}

/* The step of the holder of the baton: takes the records that came, or waits for some; opens the
 * connection where there is none. Returns now and then without news. */
static int progress(void *arg, uint64_t deadline_ns)
{
    struct fipc_client *client = arg;

    return client->connection != NULL ? read_or_wait(client, deadline_ns)
                                      : open_connection(client, deadline_ns);
}

static bool is_open(void *arg)
{
    const struct fipc_client *client = arg;

    return client->connection != NULL;
}

int fipc_session_open(struct fipc_client *client, uint64_t deadline_ns)
{
    struct fipc_waiter waiter = {.ready = is_open, .arg = client};
    int r;

    if (client->connection != NULL)
        return 0;
    r = fipc_baton_wait(&client->baton, &waiter, deadline_ns);
    return r == -ETIMEDOUT ? -ECONNREFUSED : r;
}

void fipc_session_catch_up(struct fipc_client *client, uint64_t now_ns)
{
    struct fipc_connection *connection = client->connection;

    if (connection == NULL || client->baton.holder != NULL)
        return;
    if (fipc_connection_is_lost(connection, now_ns, SILENCE_NS))
        end_hung_up(client);
    else if (fipc_consumer_has_news(&connection->channel.in))
        (void)take_records(client);
}

/* ---- life ---- */

/* A thread has stopped waiting: the baton may be the fd's. */
static void left(void *client) { fipc_session_park(client); }

/* Only requests in hand are left, which wait for their answer: nobody dispatches any more. */
static void abandoned(struct fipc_handle *handle)
{
    struct fipc_client *client = fipc_client_of(handle);

    if (client->connection != NULL)
        fipc_session_lose(client, -ECONNRESET);
    fipc_served_forget_all(&client->served);
}

static void destroy(struct fipc_handle *handle)
{
    struct fipc_client *client = fipc_client_of(handle);

    if (client->connection != NULL) {
        client->connection->n_users = 1; /* a thread that read in a parent process is not here */
        fipc_connection_release(client->connection, &client->connection->n_users);
    }
    fipc_submissions_deinit(&client->submissions);
    fipc_inbox_deinit(&client->inbox);
    fipc_served_deinit(&client->served);
    fipc_pollable_deinit(&client->pollable);
    fipc_baton_deinit(&client->baton);
    fipc_pool_close(client->pool);
    fipc_handle_deinit(&client->handle);
    free(client);
}

int fipc_session_new(const struct fipc_settings *settings, struct fipc_client **ret_client)
{
    struct fipc_client *client = calloc(1, sizeof(*client));
    int r;

    if (client == NULL)
        return -ENOMEM;
    r = fipc_handle_init(&client->handle, abandoned, destroy);
    client->pool = fipc_pool_new();
    client->settings = *settings;
    fipc_baton_init(&client->baton, &client->handle.lock, settings->spin_ns, progress, left,
                    client);
    fipc_inbox_init(&client->inbox);
    if (r == 0)
        r = fipc_served_init(&client->served);
    fipc_pollable_init(&client->pollable);
    if (r == 0)
        r = fipc_submissions_init(&client->submissions);
    if (r == 0 && client->pool == NULL)
        r = -ENOMEM;
    if (r < 0) {
        destroy(&client->handle);
        return r;
    }
    *ret_client = client;
    return 0;
}

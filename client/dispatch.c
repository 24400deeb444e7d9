/* SPDX-License-Identifier: MIT */
#include "client/base/wire.h"
#include "client/session/client.h"
#include "client/session/session.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <time.h>

/* How long an attempt to connect may take when nobody wants to wait. */
#define RECONNECT_NS (10 * FIPC_NS_PER_MS)

/* A thread that waits for work, until then. */
struct dispatcher {
    const struct fipc_client *client;
    uint64_t until_ns;
};

/* Also where another thread submitted a call that is over earlier than it would look. */
static bool has_work(void *arg)
{
    const struct dispatcher *dispatcher = arg;

    return fipc_session_has_work(dispatcher->client) ||
           dispatcher->client->submissions.next_deadline_ns < dispatcher->until_ns;
}

/* Connects, without keeping the caller long, if it is time to try again. */
static void reconnect(struct fipc_client *client, uint64_t now_ns)
{
    if (client->connection != NULL || client->baton.holder != NULL ||
        !fipc_session_needs_connection(client) || now_ns < client->pollable.reconnect_ns)
        return;
    if (fipc_session_open(client, now_ns + RECONNECT_NS) < 0)
        fipc_pollable_back_off(&client->pollable, fipc_now_ns());
}

/* Takes the records that are there, without waiting. A bell in the lane belongs to the thread that
 * sleeps on it: it would not wake up if it found the lane empty again. */
static void look(struct fipc_client *client, uint64_t now_ns)
{
    if (client->connection != NULL && client->baton.holder == NULL)
        fipc_pollable_drain(&client->pollable, client->connection);
    fipc_session_catch_up(client, now_ns);
    fipc_session_expire(client, now_ns);
}

/* Whether there has to be a pause before the next attempt to connect. */
static bool backs_off(const struct fipc_client *client, uint64_t now_ns)
{
    return client->connection == NULL && now_ns < client->pollable.reconnect_ns;
}

static void pause_until(struct fipc_client *client, uint64_t end_ns)
{
    const struct timespec end = {.tv_sec = (time_t)(end_ns / FIPC_NS_PER_S),
                                 .tv_nsec = (long)(end_ns % FIPC_NS_PER_S)};

    (void)pthread_mutex_unlock(&client->handle.lock);
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
    (void)pthread_mutex_lock(&client->handle.lock);
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns) { return a_ns < b_ns ? a_ns : b_ns; }

/* Return: 0 if there is work, or the deadline has passed; else why there can be no work */
static int wait_for_work(struct fipc_client *client, uint64_t deadline_ns)
{
    while (!fipc_session_has_work(client)) {
        struct dispatcher dispatcher = {client,
                                        earlier(client->submissions.next_deadline_ns, deadline_ns)};
        struct fipc_waiter waiter = {.ready = has_work, .arg = &dispatcher};
        int r = 0;

        if (backs_off(client, fipc_now_ns()))
            pause_until(client, earlier(client->pollable.reconnect_ns, dispatcher.until_ns));
        else
            r = fipc_baton_wait(&client->baton, &waiter, dispatcher.until_ns);
        if (r == -EAGAIN) /* a full broker is as good as none: a later try may find a slot */
            r = -ECONNREFUSED;
        fipc_session_expire(client, fipc_now_ns());
        if (fipc_now_ns() >= deadline_ns)
            return r == -ECONNREFUSED && !fipc_session_needs_connection(client) ? r : 0;
        if (r < 0 && r != -ETIMEDOUT && r != -ECONNREFUSED)
            fipc_pollable_back_off(&client->pollable, fipc_now_ns());
    }
    return 0;
}

static void run_callback(struct fipc_client *client)
{
    struct fipc_submission *submission = fipc_submissions_take_ended(&client->submissions);
    int error = submission->pending.status;

    (void)pthread_mutex_unlock(&client->handle.lock);
    submission->fn(error, error == 0 ? submission->pending.reply : NULL, submission->userdata);
    fipc_submission_free(submission);
    (void)pthread_mutex_lock(&client->handle.lock);
}

static void hand_over(struct fipc_client *client)
{
    struct fipc_request *request = fipc_inbox_hand_over(&client->inbox);

    request->client = client;
    client->handle.n_refs++;
    client->handle.n_idle_refs++;
    (void)pthread_mutex_unlock(&client->handle.lock);
    request->fn(request, request->userdata);
    (void)pthread_mutex_lock(&client->handle.lock);
}

/* Runs the callbacks and requests that were due at the beginning: those that come meanwhile have
 * their turn the next time. */
static int run(struct fipc_client *client)
{
    unsigned n_ended = client->submissions.n_ended, n_due = client->inbox.n_due;
    int n = 0;

    for (; n_ended > 0 && client->submissions.n_ended > 0; n_ended--, n++)
        run_callback(client);
    for (; n_due > 0 && client->inbox.n_due > 0; n_due--, n++)
        hand_over(client);
    return n;
}

static int dispatch(struct fipc_client *client, int timeout_ms)
{
    uint64_t now_ns = fipc_now_ns();
    int r = 0;

    look(client, now_ns);
    if (timeout_ms == 0)
        reconnect(client, now_ns);
    else
        r = wait_for_work(client, fipc_deadline_after(now_ns, fipc_timeout_ns(timeout_ms)));
    if (r == 0)
        r = fipc_served_take_revoked(&client->served);
    return r < 0 ? r : run(client);
}

FIPC_PUBLIC int fipc_dispatch(fipc_client *client, int timeout_ms)
{
    int r = fipc_session_check(client);

    if (r == 0 && timeout_ms < -1)
        r = -EINVAL;
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->handle.lock);
    client->handle.n_refs++; /* callbacks may let go of theirs */
    r = dispatch(client, timeout_ms);
    fipc_session_park(client);
    (void)pthread_mutex_unlock(&client->handle.lock);
    fipc_unref(client);
    return r;
}

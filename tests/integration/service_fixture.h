/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_SERVICE_FIXTURE_H
#define FIPC_TESTS_SERVICE_FIXTURE_H

/* Clients that serve, each with a thread that dispatches until it is stopped. */
#include "tests/integration/client_fixture.h"

#include <fipc/service.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SERVICE "com.example.test"
#define LOOK_MS 20 /* how often a server looks whether it should stop */

struct server {
    fipc_client *client;
    pthread_t thread;
    _Atomic bool stops;
    _Atomic int requests; /* so far; counted by the handlers that care */
};

static inline void *server_run(void *arg)
{
    struct server *server = arg;

    while (!atomic_load(&server->stops)) {
        int r = fipc_dispatch(server->client, LOOK_MS);

        EXPECT(r >= 0 || r == -ECONNREFUSED); /* it serves nothing, and the broker is gone */
    }
    return NULL;
}

/* Connects; serves nothing yet. */
static inline void server_start(struct server *server)
{
    const fipc_options options = options_for_broker();

    *server = (struct server){.client = NULL};
    ck_assert_int_eq(fipc_connect(&server->client, &options), 0);
    server->thread = thread_start(server_run, server);
}

static inline void server_start_with(struct server *server, const char *name, unsigned concurrency,
                                     fipc_request_fn *fn, void *userdata)
{
    server_start(server);
    ck_assert_int_eq(fipc_serve(server->client, name, concurrency, fn, userdata), 0);
}

static inline void server_stop(struct server *server)
{
    if (server->client == NULL)
        return;
    atomic_store(&server->stops, true);
    thread_join(server->thread);
    fipc_unref(server->client);
    server->client = NULL;
}

/* ---- handlers ---- */

static inline void handle_echo(fipc_request *request, void *userdata)
{
    struct server *server = userdata;

    if (server != NULL)
        atomic_fetch_add(&server->requests, 1);
    EXPECT(fipc_reply(request, fipc_request_data(request), fipc_request_size(request)) == 0);
}

/* Keeps the requests that it is given, for the test to answer. */
struct keeper {
    pthread_mutex_t lock;
    fipc_request *kept[4096];
    int count;
};

#define KEEPER_EMPTY ((struct keeper){.lock = PTHREAD_MUTEX_INITIALIZER})

static inline void handle_keep(fipc_request *request, void *userdata)
{
    struct keeper *keeper = userdata;

    (void)pthread_mutex_lock(&keeper->lock);
    keeper->kept[keeper->count++] = request;
    (void)pthread_mutex_unlock(&keeper->lock);
}

static inline int keeper_count(struct keeper *keeper)
{
    int count;

    (void)pthread_mutex_lock(&keeper->lock);
    count = keeper->count;
    (void)pthread_mutex_unlock(&keeper->lock);
    return count;
}

/* A number of what the broker reports. */
static inline long long reported(const char *path)
{
    fipc_message *reply;
    long long number;

    ck_assert_int_eq(fipc_call(client, "fipc.stats", NULL, 0, 0, PATIENT_MS, &reply), 0);
    number = test_report_number(fipc_data(reply), fipc_size(reply), path);
    fipc_free(reply);
    return number;
}

/* ---- calls in threads of their own ---- */

struct background_call {
    const char *service;
    unsigned flags;
    int timeout_ms;
    int result;
    pthread_t thread;
};

static inline void *background_run(void *arg)
{
    struct background_call *call = arg;

    call->result = fipc_call(client, call->service, "data", 4, call->flags, call->timeout_ms, NULL);
    return NULL;
}

static inline void background_start(struct background_call *call, const char *service,
                                    unsigned flags, int timeout_ms)
{
    *call = (struct background_call){.service = service, .flags = flags, .timeout_ms = timeout_ms};
    call->thread = thread_start(background_run, call);
}

static inline int background_join(struct background_call *call)
{
    thread_join(call->thread);
    return call->result;
}

#endif

/* SPDX-License-Identifier: MIT */

/*
 * fipc as programs use it: the client library and the broker that runs. Relayed requests go to a
 * worker of ours, in a process of its own.
 */
#include "client/fipctl/bench/bench.h"
#include "client/fipctl/broker.h"
#include "client/fipctl/failure.h"

#include <errno.h>
#include <fipc/client.h>
#include <fipc/service.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BUILTIN_SERVICE "fipc.echo"
#define SERVICE_BYTES 48

/* A message may take half of its ring: larger ones than this ask for larger rings. */
#define BYTES_IN_DEFAULT_RINGS 16384
#define LARGE_RING_BYTES UINT32_C(262144)

struct fipc_state {
    const struct invocation *invocation;
    fipc_options options;
    fipc_client *client; /* NULL: a connection for each call */
    char service[SERVICE_BYTES];
    pid_t worker; /* 0: none */
    fipc_message *reply;
};

/* ---- the worker ---- */

static void echo(fipc_request *request, void *userdata)
{
    (void)userdata;
    (void)fipc_reply(request, fipc_request_data(request), fipc_request_size(request));
}

/* Returns if it may not serve: the process that waits for the name reports that. */
static void work(void *argument)
{
    const struct fipc_state *state = argument;
    fipc_client *client;

    if (fipc_connect(&client, &state->options) < 0 ||
        fipc_serve(client, state->service, 1, echo, NULL) < 0)
        return;
    while (fipc_dispatch(client, -1) >= 0) {
    }
}

static int start_worker(struct fipc_state *state, const struct bench_place *place)
{
    int r;

    (void)snprintf(state->service, sizeof(state->service), "fipctl.bench.%d", (int)getpid());
    r = bench_server_start(place, work, state, &state->worker);
    if (r == 0)
        r = fipc_wait(state->client, state->service, (int)place->invocation->settings.timeout_ms);
    if (r == 0)
        return EXIT_SUCCESS;
    if (r == -ECONNREFUSED)
        return broker_tell_error(place->invocation, state->service, r);
    failure_print("bench: no worker serves %s: %s; may this user serve names?", state->service,
                  fipc_strerror(r));
    return EXIT_CALL_FAILED;
}

/* ---- the client ---- */

static void fipc_stop(void *argument)
{
    struct fipc_state *state = argument;

    bench_server_stop(state->worker);
    fipc_unref(state->client);
    free(state);
}

static int fipc_start(const struct bench_exchange *exchange, const struct bench_place *place,
                      void **ret_state)
{
    const struct invocation *invocation = place->invocation;
    struct fipc_state *state = malloc(sizeof(*state));
    int status = EXIT_SUCCESS, r = 0;

    if (state == NULL) {
        failure_print("bench: not enough memory; free some");
        return EXIT_CALL_FAILED;
    }
    *state = (struct fipc_state){
        .invocation = invocation,
        .options =
            {
                .size = sizeof(fipc_options),
                .socket = invocation->socket_path,
                .connect_timeout_ms = (int)invocation->settings.timeout_ms,
            },
        .service = BUILTIN_SERVICE,
    };
    if (exchange->bytes > BYTES_IN_DEFAULT_RINGS)
        state->options.request_ring_bytes = state->options.reply_ring_bytes = LARGE_RING_BYTES;
    if (!exchange->once)
        r = fipc_connect(&state->client, &state->options);
    if (r < 0)
        status = failure_of_connect(invocation, r);
    else if (exchange->relayed)
        status = start_worker(state, place);
    if (status != EXIT_SUCCESS) {
        fipc_stop(state);
        return status;
    }
    *ret_state = state;
    return EXIT_SUCCESS;
}

static int fipc_exchange(void *argument, const void *data, size_t bytes,
                         struct bench_reply *ret_reply)
{
    struct fipc_state *state = argument;
    int timeout_ms = (int)state->invocation->settings.timeout_ms;
    int r;

    if (state->client != NULL)
        r = fipc_call(state->client, state->service, data, bytes, 0, timeout_ms, &state->reply);
    else
        r = fipc_call_once(&state->options, state->service, data, bytes, timeout_ms, &state->reply);
    if (r < 0)
        return r;
    *ret_reply = (struct bench_reply){fipc_data(state->reply), fipc_size(state->reply)};
    return 0;
}

static void fipc_release(void *argument)
{
    struct fipc_state *state = argument;

    fipc_free(state->reply);
}

static int fipc_tell(const void *argument, int error)
{
    const struct fipc_state *state = argument;

    if (error == -EBADMSG)
        return failure_of_reply(state->invocation, state->service,
                                "the reply is not what was sent");
    return broker_tell_error(state->invocation, state->service, error);
}

const struct bench_contender bench_fipc = {
    .name = "fipc",
    .help = "the broker that runs, through the client library",
    .start = fipc_start,
    .exchange = fipc_exchange,
    .release = fipc_release,
    .tell = fipc_tell,
    .stop = fipc_stop,
};

/* SPDX-License-Identifier: MIT */

/* fipc as programs use it: the client library and the broker that runs. */
#include "client/fipctl/bench.h"
#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"

#include <errno.h>
#include <fipc/client.h>
#include <stdlib.h>

#define SERVICE "fipc.echo"

/* A message may take half of its ring: larger ones than this ask for larger rings. */
#define BYTES_IN_DEFAULT_RINGS 16384
#define LARGE_RING_BYTES UINT32_C(262144)

struct fipc_state {
    const struct invocation *invocation;
    fipc_options options;
    fipc_client *client; /* NULL: a connection for each call */
    fipc_message *reply;
};

static void fipc_stop(void *argument)
{
    struct fipc_state *state = argument;

    fipc_unref(state->client);
    free(state);
}

static int fipc_start(const struct bench_exchange *exchange, const struct bench_place *place,
                      void **ret_state)
{
    const struct invocation *invocation = place->invocation;
    struct fipc_state *state = malloc(sizeof(*state));
    int r = 0;

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
    };
    if (exchange->bytes > BYTES_IN_DEFAULT_RINGS)
        state->options.request_ring_bytes = state->options.reply_ring_bytes = LARGE_RING_BYTES;
    if (!exchange->once)
        r = fipc_connect(&state->client, &state->options);
    if (r < 0) {
        free(state);
        return failure_of_connect(invocation, r);
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
        r = fipc_call(state->client, SERVICE, data, bytes, 0, timeout_ms, &state->reply);
    else
        r = fipc_call_once(&state->options, SERVICE, data, bytes, timeout_ms, &state->reply);
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

static void fipc_tell(const void *argument, int error)
{
    const struct fipc_state *state = argument;

    if (error == -EBADMSG)
        failure_of_reply(state->invocation, SERVICE, "the reply is not what was sent");
    else if (error == -ECONNREFUSED)
        (void)failure_of_connect(state->invocation, error);
    else
        failure_of_call(state->invocation, SERVICE, error);
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

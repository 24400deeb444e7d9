/* SPDX-License-Identifier: MIT */

/*
 * Many calls in flight on one session, in a loop around poll(2).
 *
 *      async_poll [N [SERVICE]]        1000 calls of fipc.echo by default
 *
 * Exits with 0 when all were answered.
 *
 *      cc async_poll.c $(pkg-config --cflags --libs libfipc-client) -o async_poll
 */
#include <fipc/client.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 30000

struct calls {
    unsigned long n_open, n_answered;
};

/* Run by fipc_dispatch(), once for each call. */
static void take_reply(int error, const fipc_message *reply, void *userdata)
{
    struct calls *calls = userdata;

    (void)reply; /* fipc_data(reply) has fipc_size(reply) bytes, until we return */
    calls->n_open--;
    if (error == 0)
        calls->n_answered++;
    else
        (void)fprintf(stderr, "async_poll: %s\n", fipc_strerror(error));
}

/* Returns at once: the replies come later. */
static int submit_all(fipc_client *client, const char *service, unsigned long n,
                      struct calls *calls)
{
    int r = 0;

    for (unsigned long i = 0; i < n && r == 0; i++) {
        r = fipc_submit(client, service, &i, sizeof(i), 0, TIMEOUT_MS, take_reply, calls, NULL);
        if (r == 0)
            calls->n_open++;
    }
    return r;
}

/* Here, a program has other fds to wait for beside this one. */
static int wait_for_all(fipc_client *client, const struct calls *calls)
{
    struct pollfd polled = {.fd = fipc_fd(client), .events = POLLIN};
    int r = polled.fd;

    while (r >= 0 && calls->n_open > 0) {
        (void)poll(&polled, 1, -1); /* cut short, by a signal, it does no harm */
        r = fipc_dispatch(client, 0);
    }
    return r < 0 ? r : 0;
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    const char *service = argc > 2 ? argv[2] : "fipc.echo";
    struct calls calls = {0};
    fipc_client *client;
    int r = fipc_connect(&client, NULL);

    if (r == 0) {
        r = submit_all(client, service, n, &calls);
        if (r == 0)
            r = wait_for_all(client, &calls);
        fipc_unref(client);
    }
    if (r < 0)
        (void)fprintf(stderr, "async_poll: %s: %s\n", service, fipc_strerror(r));
    printf("%lu of %lu calls were answered\n", calls.n_answered, n);
    return calls.n_answered == n ? EXIT_SUCCESS : EXIT_FAILURE;
}

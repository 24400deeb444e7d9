/* SPDX-License-Identifier: MIT */

/*
 * Many calls in flight on one session, in a loop of libev.
 *
 *      async_libev [N [SERVICE]]       1000 calls of fipc.echo by default
 *
 * Exits with 0 when all were answered.
 *
 *      cc async_libev.c $(pkg-config --cflags --libs libfipc-client) -lev -o async_libev
 */
#include <errno.h>
#include <ev.h>
#include <fipc/client.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 30000

struct calls {
    fipc_client *client;
    struct ev_loop *loop;
    unsigned long n_open, n_answered;
    int error; /* of the session */
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
        (void)fprintf(stderr, "async_libev: %s\n", fipc_strerror(error));
}

/* Returns at once: the replies come later. */
static int submit_all(struct calls *calls, const char *service, unsigned long n)
{
    int r = 0;

    for (unsigned long i = 0; i < n && r == 0; i++) {
        r = fipc_submit(calls->client, service, &i, sizeof(i), 0, TIMEOUT_MS, take_reply, calls,
                        NULL);
        if (r == 0)
            calls->n_open++;
    }
    return r;
}

static void client_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct calls *calls = watcher->data;
    int r = fipc_dispatch(calls->client, 0);

    (void)events;
    calls->error = r < 0 ? r : 0;
    if (r < 0 || calls->n_open == 0)
        ev_break(loop, EVBREAK_ALL);
}

static int wait_for_all(struct calls *calls)
{
    int fd = fipc_fd(calls->client);
    ev_io watcher;

    if (fd < 0)
        return fd;
    ev_io_init(&watcher, client_ready, fd, EV_READ);
    watcher.data = calls;
    ev_io_start(calls->loop, &watcher);
    if (calls->n_open > 0)
        (void)ev_run(calls->loop, 0);
    ev_io_stop(calls->loop, &watcher);
    return calls->error;
}

static int run(struct calls *calls, const char *service, unsigned long n)
{
    int r = fipc_connect(&calls->client, NULL);

    if (r < 0)
        return r;
    r = submit_all(calls, service, n);
    if (r == 0)
        r = wait_for_all(calls);
    fipc_unref(calls->client);
    return r;
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    const char *service = argc > 2 ? argv[2] : "fipc.echo";
    struct calls calls = {.loop = ev_default_loop(EVFLAG_AUTO)};
    int r = calls.loop != NULL ? run(&calls, service, n) : -ENOSYS;

    if (r < 0)
        (void)fprintf(stderr, "async_libev: %s: %s\n", service, fipc_strerror(r));
    printf("%lu of %lu calls were answered\n", calls.n_answered, n);
    return calls.n_answered == n ? EXIT_SUCCESS : EXIT_FAILURE;
}

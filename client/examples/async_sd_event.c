/* SPDX-License-Identifier: MIT */

/*
 * Many calls in flight on one session, in a loop of sd-event(3).
 *
 *      async_sd_event [N [SERVICE]]    1000 calls of fipc.echo by default
 *
 * Exits with 0 when all were answered.
 *
 *      cc async_sd_event.c $(pkg-config --cflags --libs libfipc-client libsystemd) -o
 * async_sd_event
 */
#include <fipc/client.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#define TIMEOUT_MS 30000

struct calls {
    fipc_client *client;
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
        (void)fprintf(stderr, "async_sd_event: %s\n", fipc_strerror(error));
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

/* sd_event_loop() returns what is given to sd_event_exit(). */
static int client_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct calls *calls = userdata;
    int r = fipc_dispatch(calls->client, 0);

    (void)fd;
    (void)events;
    if (r < 0)
        (void)sd_event_exit(sd_event_source_get_event(source), r);
    else if (calls->n_open == 0)
        (void)sd_event_exit(sd_event_source_get_event(source), 0);
    return 0;
}

static int wait_for_all(struct calls *calls)
{
    sd_event *event = NULL;
    int r = sd_event_default(&event);

    if (r >= 0)
        r = fipc_fd(calls->client);
    if (r >= 0) /* NULL: the loop keeps the source */
        r = sd_event_add_io(event, NULL, r, EPOLLIN, client_ready, calls);
    if (r >= 0 && calls->n_open > 0)
        r = sd_event_loop(event);
    sd_event_unref(event);
    return r < 0 ? r : 0;
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
    struct calls calls = {0};
    int r = run(&calls, service, n);

    if (r < 0)
        (void)fprintf(stderr, "async_sd_event: %s: %s\n", service, fipc_strerror(r));
    printf("%lu of %lu calls were answered\n", calls.n_answered, n);
    return calls.n_answered == n ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: MIT */

/*
 * One loop, in which nothing blocks: a command that reads nothing, or never ends, holds up no
 * other. The broker sends at most --parallel requests at once; but after a restart it knows nothing
 * of those that it sent before, so that some may have to wait for their turn here.
 */
#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"
#include "client/fipctl/options.h"
#include "client/fipctl/run.h"
#include "common/clock.h"
#include "common/name.h"
#include "common/os/os.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

const struct option_spec serve_options[] = {
    {"parallel", 'P', OPTION_NUMBER, "N", "Run N commands at once, at most (default 1)",
     offsetof(struct settings, serve.parallel), 1, PARALLEL_MAX},
    {0},
};

struct server {
    struct job job;
    fipc_client *client;
    int signal_fd;
    bool is_stopping;
    unsigned n_alive, n_alive_max;
    struct run *runs; /* oldest first */
};

/* The fds of the loop: the client's, the signals', and those of the runs. poll(2) takes as many as
 * may be open, and these are no more. */
enum { POLLED_SIGNALS, POLLED_CLIENT, POLLED_MAX = 2 + RUN_FDS_MAX * PARALLEL_MAX };

struct polled {
    struct pollfd fds[POLLED_MAX];
    struct run *runs[POLLED_MAX]; /* the owner of each fd; NULL: the loop */
    nfds_t n_fds;
};

/* Signals that end fipctl come through an fd. A signal that was ignored, such as SIGHUP by
 * nohup(1), stays ignored. Return: 0; negative errno */
static int open_signals(int *ret_fd)
{
    struct sigaction hang_up;
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaction(SIGHUP, NULL, &hang_up);
    if (hang_up.sa_handler != SIG_IGN)
        (void)sigaddset(&signals, SIGHUP);
    *ret_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (*ret_fd < 0)
        return -errno;
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* commands may leave a part of the request unread */
    return 0;
}

static void take_request(fipc_request *request, void *userdata)
{
    struct server *server = userdata;
    struct run **end = &server->runs;
    struct run *run = run_new(&server->job, request);

    if (run == NULL) {
        (void)fipc_reply_error(request, ENOMEM);
        return;
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = run;
}

/* For the command, which inherits it. */
static void set_environment(const struct run *run)
{
    const fipc_peer *caller = fipc_peer_of(run->request);
    const struct {
        const char *name;
        long long value;
    } variables[] = {
        {"FIPC_CALLER_UID", caller->uid},
        {"FIPC_CALLER_GID", caller->gid},
        {"FIPC_CALLER_PID", caller->pid},
    };

    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        char text[24];

        (void)snprintf(text, sizeof(text), "%lld", variables[i].value);
        (void)setenv(variables[i].name, text, 1); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
}

static void start_waiting(struct server *server)
{
    for (struct run *run = server->runs; run != NULL && server->n_alive < server->n_alive_max;
         run = run->next) {
        if (run->state != RUN_WAITING)
            continue;
        set_environment(run);
        run_start(run);
        server->n_alive += run_is_alive(run) ? 1 : 0;
    }
}

static void remove_ended(struct server *server)
{
    struct run **link = &server->runs;

    while (*link != NULL) {
        struct run *run = *link;

        if (run->state == RUN_ENDED) {
            *link = run->next;
            run_free(run);
        } else {
            link = &run->next;
        }
    }
}

/* Return: milliseconds until then, rounded up, as poll(2) takes them */
static int timeout_until(uint64_t deadline_ns, uint64_t now_ns)
{
    uint64_t ms;

    if (deadline_ns == FIPC_NEVER)
        return -1;
    if (deadline_ns <= now_ns)
        return 0;
    ms = (deadline_ns - now_ns + FIPC_NS_PER_MS - 1) / FIPC_NS_PER_MS;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Return: the time at which to look again, even if nothing comes */
static uint64_t watch(const struct server *server, struct polled *polled, uint64_t now_ns)
{
    uint64_t deadline_ns = FIPC_NEVER;
    short events = server->is_stopping ? 0 : POLLIN; /* stopping waits for the runs alone */

    *polled = (struct polled){.n_fds = 2};
    polled->fds[POLLED_SIGNALS] = (struct pollfd){.fd = server->signal_fd, .events = events};
    polled->fds[POLLED_CLIENT] = (struct pollfd){.fd = fipc_fd(server->client), .events = events};
    for (struct run *run = server->runs; run != NULL; run = run->next) {
        uint64_t run_deadline_ns = run_check_time(run, now_ns);
        nfds_t n = run_watch(run, &polled->fds[polled->n_fds]);

        deadline_ns = run_deadline_ns < deadline_ns ? run_deadline_ns : deadline_ns;
        while (n-- > 0)
            polled->runs[polled->n_fds++] = run;
    }
    return deadline_ns;
}

/* No run is freed meanwhile. */
static void let_runs_go_on(struct server *server, const struct polled *polled)
{
    for (nfds_t i = 0; i < polled->n_fds; i++) {
        struct run *run = polled->runs[i];

        if (run == NULL || polled->fds[i].revents == 0 || !run_is_alive(run))
            continue;
        run_go_on(run, polled->fds[i].fd);
        server->n_alive -= run_is_alive(run) ? 0 : 1;
    }
}

static void stop_cancelled(struct server *server)
{
    uint64_t now_ns = fipc_now_ns();

    for (struct run *run = server->runs; run != NULL; run = run->next) {
        if (run_is_cancelled(run))
            run_stop(run, ECANCELED, now_ns);
    }
}

/* A command that is cut off may have done its work, or not: ECONNRESET says so to the caller. */
static void stop(struct server *server)
{
    uint64_t now_ns = fipc_now_ns();

    server->is_stopping = true;
    for (struct run *run = server->runs; run != NULL; run = run->next)
        run_stop(run, ECONNRESET, now_ns);
}

/* Return: 0; a negative errno if serving cannot go on. A broker that is away is no such error: the
 * library looks for one. */
static int take_requests(struct server *server)
{
    int r = fipc_dispatch(server->client, 0);

    if (r < 0 && r != -ECONNREFUSED)
        return r;
    stop_cancelled(server);
    start_waiting(server);
    return 0;
}

/* Serves until a signal came and no command runs. Return: 0; a negative errno if serving cannot go
 * on
 */
static int serve_requests(struct server *server)
{
    struct polled polled;
    int r = 0;

    while (!server->is_stopping || server->n_alive > 0) {
        uint64_t now_ns = fipc_now_ns();
        uint64_t deadline_ns = watch(server, &polled, now_ns);

        if (poll(polled.fds, polled.n_fds, timeout_until(deadline_ns, now_ns)) < 0)
            continue; /* EINTR */
        let_runs_go_on(server, &polled);
        if (!server->is_stopping)
            r = take_requests(server);
        if (polled.fds[POLLED_SIGNALS].revents != 0 || r < 0)
            stop(server);
        remove_ended(server);
    }
    return r;
}

static void tell_denied(const char *name)
{
    if (fipc_name_is_reserved(name, strlen(name)))
        failure_print("serve: %s: names that begin with \"fipc.\" are the broker's own; choose "
                      "another one",
                      name);
    else
        failure_print("serve: %s: you may not serve it; only root and the user of the broker may",
                      name);
}

/* Return: the exit status */
static int tell(const struct invocation *invocation, const char *name, int r)
{
    switch (r) {
    case 0:
        return EXIT_SUCCESS;
    case -EACCES:
        tell_denied(name);
        return EXIT_CALL_FAILED;
    case -EDQUOT: /* a session is there */
        failure_print("serve: %s: you serve as many names as one user may; end some of them", name);
        return EXIT_CALL_FAILED;
    case -ECONNREFUSED: /* it cannot come from a service here */
        return failure_of_connect(invocation, r);
    default:
        return broker_tell_error(invocation, name, r);
    }
}

static int serve(const struct invocation *invocation, struct server *server)
{
    int r = open_signals(&server->signal_fd);

    if (r == 0)
        r = fipc_fd(server->client);
    if (r >= 0)
        r = fipc_serve(server->client, server->job.service, server->n_alive_max, take_request,
                       server);
    if (r == 0)
        r = serve_requests(server);
    fd_closep(&server->signal_fd);
    return tell(invocation, server->job.service, r);
}

int serve_run(const struct invocation *invocation)
{
    const char *name = invocation->arguments[0];
    struct server server = {
        .job = {.service = name, .command_line = invocation->arguments + 1},
        .signal_fd = -1,
        .n_alive_max = (unsigned)invocation->settings.serve.parallel,
    };
    int status = options_check_name(invocation, name);

    if (status != OPTIONS_GO_ON)
        return status;
    status = broker_connect(invocation, &server.client);
    if (status != EXIT_SUCCESS)
        return status;
    server.job.reply_max = broker_find_limit(server.client, name, PAYLOAD_BYTES_MAX);
    if (server.job.reply_max == 0) /* the library will refuse what is too large */
        server.job.reply_max = PAYLOAD_BYTES_MAX;
    (void)setenv("FIPC_SERVICE", name, 1); /* NOLINT(concurrency-mt-unsafe): one thread */
    status = serve(invocation, &server);
    fipc_unref(server.client);
    return status;
}

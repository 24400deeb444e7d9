/* SPDX-License-Identifier: MIT */

/*
 * Calls fipc.echo again and again on one session and measures each round trip from before the call
 * until the reply is in hand. It checks the reply outside the measured time. SIGINT and SIGTERM end
 * the run early: the summary is about the pings until then.
 */
#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/duration.h"
#include "client/fipctl/failure.h"
#include "client/fipctl/output.h"
#include "client/fipctl/samples.h"
#include "common/os/os.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "fipc.echo"
#define COUNT_MAX 100000000 /* 800 MB of samples */

const struct option_spec ping_options[] = {
    {"count", 'c', OPTION_NUMBER, "N", "Send N pings (default 10)",
     offsetof(struct settings, ping.count), 1, COUNT_MAX},
    {"size", 's', OPTION_NUMBER, "BYTES", "Carry BYTES bytes in each (default 64)",
     offsetof(struct settings, ping.bytes), 0, PAYLOAD_BYTES_MAX},
    {"verbose", 'v', OPTION_FLAG, NULL, "Print a line for each ping",
     offsetof(struct settings, ping.verbose), 0, 0},
    {0},
};

struct pinger {
    const struct invocation *invocation;
    fipc_client *client;
    unsigned char *payload;
    size_t bytes;
    uint64_t n_sent, n_errors;
    int status; /* to end with */
    struct samples samples;
};

static volatile sig_atomic_t is_interrupted;

static void interrupt(int signal)
{
    (void)signal;
    is_interrupted = 1;
}

/* The second signal ends fipctl at once, for the broker may let a ping wait until its timeout. A
 * signal that was ignored, as of a shell's background jobs, stays ignored. */
static void watch_signal(int signal)
{
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND}, before;

    (void)sigaction(signal, NULL, &before);
    if (before.sa_handler != SIG_IGN)
        (void)sigaction(signal, &action, NULL);
}

static int pinger_init(struct pinger *pinger, const struct invocation *invocation)
{
    *pinger = (struct pinger){.invocation = invocation, .bytes = invocation->settings.ping.bytes};
    pinger->payload = malloc(pinger->bytes + 1);
    if (pinger->payload == NULL ||
        samples_init(&pinger->samples, invocation->settings.ping.count) < 0) {
        failure_print("ping: not enough memory; ask for less with -c and -s");
        return EXIT_CALL_FAILED;
    }
    for (size_t i = 0; i < pinger->bytes; i++)
        pinger->payload[i] = (unsigned char)(i * 31 + i / 256);
    return broker_connect(invocation, &pinger->client);
}

static void pinger_deinit(struct pinger *pinger)
{
    fipc_unref(pinger->client);
    samples_deinit(&pinger->samples);
    free(pinger->payload);
}

/* Return: 0; the error of the call; -EBADMSG if the reply differs from the request */
static int ping_once(struct pinger *pinger, uint64_t *ret_ns)
{
    size_t number_bytes = pinger->bytes < sizeof(uint64_t) ? pinger->bytes : sizeof(uint64_t);
    uint64_t start_ns, end_ns;
    fipc_message *reply;
    bool same;
    int r;

    memcpy(pinger->payload, &pinger->n_sent, number_bytes); /* or an older reply would do as well */
    start_ns = fipc_now_ns();
    r = fipc_call(pinger->client, SERVICE, pinger->payload, pinger->bytes, 0,
                  (int)pinger->invocation->settings.timeout_ms, &reply);
    end_ns = fipc_now_ns();
    if (r < 0)
        return r;
    same = fipc_size(reply) == pinger->bytes &&
           (pinger->bytes == 0 || memcmp(fipc_data(reply), pinger->payload, pinger->bytes) == 0);
    fipc_free(reply);
    *ret_ns = end_ns - start_ns;
    return same ? 0 : -EBADMSG;
}

/* Whether the next ping may do better: a late, missing or wrong reply says nothing about it. */
static bool is_passing(int error)
{
    return error == -ETIMEDOUT || error == -EAGAIN || error == -EBADMSG;
}

/* Return: the exit status to end with */
static int tell_error(const struct pinger *pinger, int error)
{
    if (error == -EBADMSG)
        return failure_of_reply(pinger->invocation, SERVICE, "the reply is not what was sent");
    return broker_tell_call(pinger->invocation, SERVICE, pinger->bytes, error);
}

/* Prints the first error and the one that ends the run, and counts the others. */
static void count_error(struct pinger *pinger, int error)
{
    if (pinger->n_errors++ == 0 || !is_passing(error))
        pinger->status = tell_error(pinger, error);
    if (pinger->invocation->settings.ping.verbose)
        output_print("ping %" PRIu64 ": %s\n", pinger->n_sent,
                     error == -EBADMSG ? "wrong reply" : fipc_strerror(error));
}

static void count_reply(struct pinger *pinger, uint64_t ns)
{
    samples_add(&pinger->samples, ns);
    if (pinger->invocation->settings.ping.verbose)
        output_print("ping %" PRIu64 ": %s\n", pinger->n_sent, duration_format(ns).text);
}

static void ping_all(struct pinger *pinger)
{
    int r = 0;

    watch_signal(SIGINT);
    watch_signal(SIGTERM);
    while (pinger->n_sent < pinger->samples.capacity && (r == 0 || is_passing(r)) &&
           !output_failed() && is_interrupted == 0) {
        uint64_t ns;

        r = ping_once(pinger, &ns);
        pinger->n_sent++;
        if (r < 0)
            count_error(pinger, r);
        else
            count_reply(pinger, ns);
    }
}

static const struct {
    const char *name, *key;
    unsigned per_mille;
} percentiles[] = {
    {"min", "min_ns", 0},   {"p50", "p50_ns", 500},    {"p90", "p90_ns", 900},
    {"p99", "p99_ns", 990}, {"p99.9", "p999_ns", 999}, {"max", "max_ns", 1000},
};

#define N_PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static void print_summary(const struct pinger *pinger)
{
    output_print("%-7s%" PRIu64 " of %zu bytes\n%-7s%" PRIu64 "\n", "pings", pinger->n_sent,
                 pinger->bytes, "errors", pinger->n_errors);
    for (size_t i = 0; i < N_PERCENTILES && pinger->samples.n_values > 0; i++) {
        uint64_t ns = samples_percentile(&pinger->samples, percentiles[i].per_mille);

        output_print("%-7s%s\n", percentiles[i].name, duration_format(ns).text);
    }
}

/* Without a sample there is no time: null. */
static json_t *json_percentile(const struct pinger *pinger, unsigned per_mille)
{
    if (pinger->samples.n_values == 0)
        return json_null();
    return json_integer((json_int_t)samples_percentile(&pinger->samples, per_mille));
}

static json_t *json_summary(const struct pinger *pinger)
{
    json_t *summary = json_pack("{s:I, s:I, s:I}", "count", (json_int_t)pinger->n_sent, "bytes",
                                (json_int_t)pinger->bytes, "errors", (json_int_t)pinger->n_errors);

    for (size_t i = 0; i < N_PERCENTILES; i++)
        (void)json_object_set_new(summary, percentiles[i].key,
                                  json_percentile(pinger, percentiles[i].per_mille));
    return summary;
}

int ping_run(const struct invocation *invocation)
{
    const struct settings *settings = &invocation->settings;
    struct pinger pinger;
    int status;

    if (settings->ping.verbose && settings->json)
        return failure_of_usage(invocation, "--verbose and --json: choose one");

    status = pinger_init(&pinger, invocation);
    if (status == EXIT_SUCCESS) {
        if (settings->ping.verbose)
            output_by_line();
        ping_all(&pinger);
        samples_sort(&pinger.samples);
        if (settings->json)
            output_json(json_summary(&pinger));
        else
            print_summary(&pinger);
        status = pinger.status;
    }
    pinger_deinit(&pinger);
    return status;
}

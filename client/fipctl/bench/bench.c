/* SPDX-License-Identifier: MIT */

/*
 * Machines drift: the same exchange takes twice as long a minute later. So bench measures
 * contenders one right after the other, for a short while, round after round, and another contender
 * begins each round. Only ratios within a round, and medians over rounds, mean anything.
 *
 * Before each measurement bench sets everything up anew and warms up for a tenth of the time. No
 * process of a floor is there while bench measures another contender.
 */
#include "client/fipctl/bench/bench.h"
#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"
#include "client/fipctl/options.h"
#include "client/fipctl/output.h"
#include "client/fipctl/samples.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define DURATION_MS_MAX 60000
#define COUNT_MAX 1000000
#define CLOCK_LOOKS 10001
#define PAYLOAD_BYTES 65536

const struct option_spec bench_options[] = {
    {"rounds", 'r', OPTION_NUMBER, "N", "Measure each N times (default 5)",
     offsetof(struct settings, bench.rounds), 1, BENCH_ROUNDS_MAX},
    {"duration", 'd', OPTION_NUMBER, "MS", "For MS milliseconds each time (default 200)",
     offsetof(struct settings, bench.duration_ms), 1, DURATION_MS_MAX},
    {"count", 'c', OPTION_NUMBER, "N", "But for N exchanges at most (default 1000000)",
     offsetof(struct settings, bench.count), 1, COUNT_MAX},
    {"floors", 'f', OPTION_FLAG, NULL, "Measure the floors too, and compare",
     offsetof(struct settings, bench.floors), 0, 0},
    {"cpu", 0, OPTION_NUMBER, "CPU", "Run on this CPU only", offsetof(struct settings, bench.cpu),
     0, CPU_SETSIZE - 1},
    {"server-cpu", 0, OPTION_NUMBER, "CPU",
     "Run workers and the servers of the floors on this CPU only",
     offsetof(struct settings, bench.server_cpu), 0, CPU_SETSIZE - 1},
    {"save", 0, OPTION_TEXT, "FILE", "Print the table, and write the JSON document to FILE",
     offsetof(struct settings, bench.save), 0, 0},
    {0},
};

static const struct bench_exchange exchanges[] = {
    {.name = "call", .bytes = 64},
    {.name = "call", .bytes = 1024},
    {.name = "call", .bytes = 65536},
    {.name = "call", .bytes = 64, .think_us = 20},
    {.name = "call", .bytes = 64, .think_us = 200},
    {.name = "once", .bytes = 64, .once = true},
    {.name = "relay", .bytes = 64, .relayed = true},
    {.name = "relay", .bytes = 1024, .relayed = true},
};

/* fipc first: bench compares it with the others. */
static const struct bench_contender *const contenders[] = {
    &bench_fipc,
    &bench_socket,
    &bench_spin,
};

#define N_EXCHANGES (sizeof(exchanges) / sizeof(exchanges[0]))
#define N_CONTENDERS (sizeof(contenders) / sizeof(contenders[0]))

struct bench {
    struct bench_place place;
    struct bench_report report;
    struct bench_result results[N_EXCHANGES * N_CONTENDERS];
    struct samples samples;
    unsigned char payload[PAYLOAD_BYTES];
};

/* ---- one measurement ---- */

static void think(uint64_t think_us)
{
    uint64_t end_ns = think_us > 0 ? fipc_now_ns() + think_us * FIPC_NS_PER_US : 0;

    while (end_ns > 0 && fipc_now_ns() < end_ns)
        ;
}

/* Numbers the payload at both ends, or an older reply would pass as this one. */
static void stamp(struct bench *bench, size_t bytes, uint64_t number)
{
    memcpy(bench->payload, &number, sizeof(number));
    memcpy(bench->payload + bytes - sizeof(number), &number, sizeof(number));
}

static bool is_echo(const struct bench *bench, size_t bytes, const struct bench_reply *reply)
{
    size_t end = bytes - sizeof(uint64_t);

    return reply->bytes == bytes && memcmp(reply->data, bench->payload, sizeof(uint64_t)) == 0 &&
           memcmp((const unsigned char *)reply->data + end, bench->payload + end,
                  sizeof(uint64_t)) == 0;
}

/* Does exchanges until @end_ns, one at least, @count at most. Return: 0; a negative errno */
static int exchange_until(struct bench *bench, const struct bench_result *result, void *state,
                          uint64_t end_ns, uint64_t count)
{
    const struct bench_contender *contender = result->contender;
    size_t bytes = result->exchange->bytes;
    uint64_t before_ns, after_ns;

    bench->samples.n_values = 0;
    do {
        struct bench_reply reply;
        bool same;
        int r;

        think(result->exchange->think_us);
        stamp(bench, bytes, bench->samples.n_values);
        before_ns = fipc_now_ns();
        r = contender->exchange(state, bench->payload, bytes, &reply);
        after_ns = fipc_now_ns();
        if (r < 0)
            return r;
        same = is_echo(bench, bytes, &reply);
        if (contender->release != NULL)
            contender->release(state);
        if (!same)
            return -EBADMSG;
        samples_add(&bench->samples, after_ns - before_ns);
    } while (after_ns < end_ns && bench->samples.n_values < count);
    return 0;
}

static uint64_t preemptions(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}

static void summarize(struct samples *samples, struct bench_round *round)
{
    static const unsigned per_mille[BENCH_N_PERCENTILES] = {500, 900, 990, 999};

    samples_sort(samples);
    round->count = samples->n_values;
    round->min_ns = samples_percentile(samples, 0);
    round->max_ns = samples_percentile(samples, 1000);
    for (unsigned i = 0; i < BENCH_N_PERCENTILES; i++)
        round->percentiles_ns[i] = samples_percentile(samples, per_mille[i]);
}

/* Warms up, then measures. Return: 0; a negative errno */
static int measure_started(struct bench *bench, const struct bench_result *result, void *state,
                           struct bench_round *ret_round)
{
    const struct settings *settings = &bench->place.invocation->settings;
    uint64_t duration_ns = settings->bench.duration_ms * FIPC_NS_PER_MS;
    uint64_t start_ns, preempted;
    int r;

    r = exchange_until(bench, result, state, fipc_now_ns() + duration_ns / BENCH_WARM_UP_PART,
                       settings->bench.count);
    if (r < 0)
        return r;
    preempted = preemptions();
    start_ns = fipc_now_ns();
    r = exchange_until(bench, result, state, start_ns + duration_ns, settings->bench.count);
    if (r < 0)
        return r;
    ret_round->elapsed_ns = fipc_now_ns() - start_ns;
    ret_round->preemptions = preemptions() - preempted;
    summarize(&bench->samples, ret_round);
    return 0;
}

/* Return: EXIT_SUCCESS; or the exit status to end with */
static int measure(struct bench *bench, const struct bench_result *result, size_t round)
{
    const struct bench_contender *contender = result->contender;
    void *state;
    int status, r;

    status = contender->start(result->exchange, &bench->place, &state);
    if (status != EXIT_SUCCESS)
        return status;
    r = measure_started(bench, result, state, &result->rounds[round]);
    status = r < 0 ? contender->tell(state, r) : EXIT_SUCCESS;
    contender->stop(state);
    return status;
}

/* ---- all of them ---- */

/* Results of the exchange of @first. */
static size_t n_neighbours(const struct bench_report *report, size_t first)
{
    size_t n = 1;

    while (first + n < report->n_results &&
           report->results[first + n].exchange == report->results[first].exchange)
        n++;
    return n;
}

static int measure_round(struct bench *bench, size_t round)
{
    const struct bench_report *report = &bench->report;
    size_t n;

    for (size_t first = 0; first < report->n_results; first += n) {
        n = n_neighbours(report, first);
        for (size_t i = 0; i < n; i++) {
            int status = measure(bench, &report->results[first + (round + i) % n], round);

            if (status != EXIT_SUCCESS)
                return status;
        }
    }
    return EXIT_SUCCESS;
}

static int measure_all(struct bench *bench)
{
    bool is_watched = isatty(STDERR_FILENO) == 1;
    int status = EXIT_SUCCESS;

    for (size_t round = 0; round < bench->report.n_rounds && status == EXIT_SUCCESS; round++) {
        if (is_watched)
            (void)fprintf(stderr, "\rround %zu of %zu", round + 1, bench->report.n_rounds);
        status = measure_round(bench, round);
    }
    if (is_watched)
        (void)fprintf(stderr, "\r%*s\r", 40, "");
    return status;
}

/* The median of two looks right after each other. */
static uint64_t measure_clock(struct samples *samples)
{
    size_t n = samples->capacity < CLOCK_LOOKS ? samples->capacity : CLOCK_LOOKS;

    samples->n_values = 0;
    while (samples->n_values < n) {
        uint64_t before_ns = fipc_now_ns();

        samples_add(samples, fipc_now_ns() - before_ns);
    }
    samples_sort(samples);
    return samples_percentile(samples, 500);
}

static bool is_wanted(const struct bench_contender *contender,
                      const struct bench_exchange *exchange, const struct bench_place *place)
{
    if (contender != &bench_fipc && !place->invocation->settings.bench.floors)
        return false;
    return contender->can == NULL || contender->can(exchange, place);
}

/* Children do not inherit the samples: or the kernel would copy each page again after each fork,
 * while bench measures. */
static void samples_keep_from_children(const struct samples *samples)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = samples->capacity * sizeof(*samples->values);
    size_t skip = page_bytes - (uintptr_t)samples->values % page_bytes;

    if (bytes > skip + page_bytes)
        (void)madvise((char *)samples->values + skip, (bytes - skip) / page_bytes * page_bytes,
                      MADV_DONTFORK);
}

static int bench_init(struct bench *bench, const struct invocation *invocation)
{
    struct bench_report *report = &bench->report;

    *report = (struct bench_report){.place = &bench->place, .results = bench->results};
    report->n_rounds = invocation->settings.bench.rounds;
    report->machine = bench_machine_json();
    for (size_t i = 0; i < N_EXCHANGES * N_CONTENDERS; i++) {
        const struct bench_exchange *exchange = &exchanges[i / N_CONTENDERS];
        const struct bench_contender *contender = contenders[i % N_CONTENDERS];
        struct bench_result *result = &bench->results[report->n_results];

        if (!is_wanted(contender, exchange, &bench->place))
            continue;
        *result = (struct bench_result){.exchange = exchange, .contender = contender};
        report->n_results++;
        result->rounds = calloc(report->n_rounds, sizeof(*result->rounds));
        if (result->rounds == NULL)
            return -ENOMEM;
    }
    for (size_t i = 0; i < PAYLOAD_BYTES; i++)
        bench->payload[i] = (unsigned char)(i * 31 + i / 256);
    if (samples_init(&bench->samples, invocation->settings.bench.count) < 0)
        return -ENOMEM;
    samples_keep_from_children(&bench->samples);
    while (bench->samples.n_values < bench->samples.capacity)
        samples_add(&bench->samples, 1); /* takes the memory now, not while measuring */
    report->clock_ns = measure_clock(&bench->samples);
    return 0;
}

static void bench_deinit(struct bench *bench)
{
    for (size_t i = 0; i < bench->report.n_results; i++)
        free(bench->results[i].rounds);
    samples_deinit(&bench->samples);
    json_decref(bench->report.machine);
}

/* ---- the command ---- */

/* Runs this process on @cpu only. */
static int run_on(const struct invocation *invocation, const char *option, uint64_t cpu,
                  cpu_set_t *ret_cpus)
{
    if (cpu == CPU_ANY)
        return OPTIONS_GO_ON;
    CPU_ZERO(ret_cpus);
    CPU_SET((size_t)cpu, ret_cpus);
    if (sched_setaffinity(0, sizeof(*ret_cpus), ret_cpus) < 0)
        return failure_of_usage(invocation, "--%s %u: there is no such CPU for us", option,
                                (unsigned)cpu);
    return OPTIONS_GO_ON;
}

/* Finds the CPUs of both sides, and moves this process to the client's. */
static int take_place(struct bench_place *place, const struct invocation *invocation)
{
    const struct settings *settings = &invocation->settings;
    cpu_set_t own;
    int status;

    *place = (struct bench_place){.invocation = invocation};
    if (sched_getaffinity(0, sizeof(own), &own) < 0) {
        failure_print("bench: cannot tell on which CPUs it may run: %m; are there more than %d?",
                      CPU_SETSIZE);
        return EXIT_CALL_FAILED;
    }
    place->client_cpus = place->server_cpus = own;
    status = run_on(invocation, "server-cpu", settings->bench.server_cpu, &place->server_cpus);
    if (status == OPTIONS_GO_ON)
        (void)sched_setaffinity(0, sizeof(own), &own);
    if (status == OPTIONS_GO_ON)
        status = run_on(invocation, "cpu", settings->bench.cpu, &place->client_cpus);
    return status;
}

static int save(const struct bench_report *report, const char *path)
{
    json_t *document = bench_report_json(report);
    FILE *stream = fopen(path, "we");
    int r = stream == NULL || document == NULL ? -1 : json_dumpf(document, stream, JSON_INDENT(1));

    if (stream != NULL && (fputc('\n', stream) == EOF || fclose(stream) != 0))
        r = -1;
    json_decref(document);
    if (r == 0)
        return EXIT_SUCCESS;
    failure_print("bench: %s cannot be written: %m; --save another file",
                  failure_word(path, strlen(path)).text);
    return EXIT_CALL_FAILED;
}

static int present(const struct bench_report *report)
{
    const struct settings *settings = &report->place->invocation->settings;

    if (settings->json)
        output_json(bench_report_json(report));
    else
        bench_report_print(report);
    return settings->bench.save != NULL ? save(report, settings->bench.save) : EXIT_SUCCESS;
}

int bench_run(const struct invocation *invocation)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    int status;

    if (bench == NULL) {
        failure_print("bench: not enough memory; free some");
        return EXIT_CALL_FAILED;
    }
    status = take_place(&bench->place, invocation);
    if (status == OPTIONS_GO_ON && bench_init(bench, invocation) < 0) {
        failure_print("bench: not enough memory; ask for less with --count and --rounds");
        status = EXIT_CALL_FAILED;
    }
    if (status == OPTIONS_GO_ON)
        status = measure_all(bench);
    if (status == EXIT_SUCCESS)
        status = present(&bench->report);
    bench_deinit(bench);
    free(bench);
    return status;
}

/* SPDX-License-Identifier: MIT */
#include "client/fipctl/bench/bench.h"
#include "client/fipctl/duration.h"
#include "client/fipctl/output.h"
#include "client/fipctl/table.h"
#include "common/clock.h"
#include "common/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Version of the JSON document: it changes when a key changes its meaning. */
#define FORMAT 1

static const char *const percentile_keys[BENCH_N_PERCENTILES] = {"p50_ns", "p90_ns", "p99_ns",
                                                                 "p999_ns"};

/* Those in which fipc is compared with the floors. */
static const struct {
    enum bench_percentile percentile;
    const char *key;
} compared[] = {
    {BENCH_P50, "p50"},
    {BENCH_P99, "p99"},
    {BENCH_P999, "p999"},
};

#define N_COMPARED (sizeof(compared) / sizeof(compared[0]))

/* ---- medians over rounds ---- */

static int compare(const void *left, const void *right)
{
    const double *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

/* Sorts @values. Of an even number the lower one in the middle: it was measured. */
static double median(double *values, size_t n_values)
{
    qsort(values, n_values, sizeof(*values), compare);
    return values[(n_values - 1) / 2];
}

static uint64_t median_ns(const struct bench_report *report, const struct bench_result *result,
                          enum bench_percentile percentile)
{
    double values[BENCH_ROUNDS_MAX];

    for (size_t i = 0; i < report->n_rounds; i++)
        values[i] = (double)result->rounds[i].percentiles_ns[percentile];
    return (uint64_t)median(values, report->n_rounds);
}

static uint64_t per_second(const struct bench_round *round)
{
    return round->count * FIPC_NS_PER_S / round->elapsed_ns;
}

static uint64_t median_per_second(const struct bench_report *report,
                                  const struct bench_result *result)
{
    double values[BENCH_ROUNDS_MAX];

    for (size_t i = 0; i < report->n_rounds; i++)
        values[i] = (double)per_second(&result->rounds[i]);
    return (uint64_t)median(values, report->n_rounds);
}

/* fipc's time as a multiple of the floor's in the same round. */
static double median_ratio(const struct bench_report *report, const struct bench_result *fipc,
                           const struct bench_result *floor, enum bench_percentile percentile)
{
    double values[BENCH_ROUNDS_MAX];

    for (size_t i = 0; i < report->n_rounds; i++)
        values[i] = (double)fipc->rounds[i].percentiles_ns[percentile] /
                    (double)floor->rounds[i].percentiles_ns[percentile];
    return median(values, report->n_rounds);
}

/* The result of fipc with which @result is compared. */
static const struct bench_result *fipc_beside(const struct bench_report *report,
                                              const struct bench_result *result)
{
    while (result > report->results && result->contender != &bench_fipc)
        result--;
    return result;
}

/* ---- JSON ---- */

static json_t *integer(uint64_t value) { return json_integer((json_int_t)value); }

static json_t *round_json(const struct bench_round *round)
{
    json_t *object = json_pack("{s:o, s:o, s:o}", "count", integer(round->count), "per_second",
                               integer(per_second(round)), "min_ns", integer(round->min_ns));

    for (unsigned i = 0; i < BENCH_N_PERCENTILES; i++)
        (void)json_object_set_new(object, percentile_keys[i], integer(round->percentiles_ns[i]));
    (void)json_object_set_new(object, "max_ns", integer(round->max_ns));
    (void)json_object_set_new(object, "preemptions", integer(round->preemptions));
    return object;
}

static json_t *median_json(const struct bench_report *report, const struct bench_result *result)
{
    json_t *object = json_pack("{s:o}", "per_second", integer(median_per_second(report, result)));

    for (unsigned i = 0; i < BENCH_N_PERCENTILES; i++)
        (void)json_object_set_new(object, percentile_keys[i],
                                  integer(median_ns(report, result, i)));
    return object;
}

static json_t *ratio_json(const struct bench_report *report, const struct bench_result *result)
{
    const struct bench_result *fipc = fipc_beside(report, result);
    json_t *object = json_object();

    for (size_t i = 0; i < N_COMPARED; i++)
        (void)json_object_set_new(
            object, compared[i].key,
            json_real(median_ratio(report, fipc, result, compared[i].percentile)));
    return object;
}

static json_t *result_json(const struct bench_report *report, const struct bench_result *result)
{
    const struct bench_exchange *exchange = result->exchange;
    json_t *rounds = json_array();
    json_t *object;

    for (size_t i = 0; i < report->n_rounds; i++)
        (void)json_array_append_new(rounds, round_json(&result->rounds[i]));
    object = json_pack("{s:s, s:I, s:I, s:s, s:o, s:o}", "exchange", exchange->name, "bytes",
                       (json_int_t)exchange->bytes, "think_us", (json_int_t)exchange->think_us,
                       "contender", result->contender->name, "median", median_json(report, result),
                       "rounds", rounds);
    if (result->contender != &bench_fipc)
        (void)json_object_set_new(object, "fipc_to_this", ratio_json(report, result));
    return object;
}

static json_t *cpu_json(uint64_t cpu) { return cpu == CPU_ANY ? json_null() : integer(cpu); }

json_t *bench_report_json(const struct bench_report *report)
{
    const struct settings *settings = &report->place->invocation->settings;
    json_t *results = json_array();

    for (size_t i = 0; i < report->n_results; i++)
        (void)json_array_append_new(results, result_json(report, &report->results[i]));
    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "format", FORMAT,
                     "version", FIPC_VERSION, "machine", json_incref(report->machine), "cpu",
                     cpu_json(settings->bench.cpu), "server_cpu",
                     cpu_json(settings->bench.server_cpu), "n_rounds", (json_int_t)report->n_rounds,
                     "duration_ms", integer(settings->bench.duration_ms), "warm_up_ms",
                     json_real((double)settings->bench.duration_ms / BENCH_WARM_UP_PART),
                     "count_max", integer(settings->bench.count), "clock_ns",
                     integer(report->clock_ns), "results", results);
}

/* ---- the table ---- */

/* The last ones are there with the floors only. */
static const struct column columns[] = {
    {"EXCHANGE", "exchange", NULL, COLUMN_TEXT},
    {"BY", "contender", NULL, COLUMN_TEXT},
    {"P50", "p50_ns", NULL, COLUMN_NUMBER},
    {"P90", "p90_ns", NULL, COLUMN_NUMBER},
    {"P99", "p99_ns", NULL, COLUMN_NUMBER},
    {"P99.9", "p999_ns", NULL, COLUMN_NUMBER},
    {"PER SECOND", "per_second", NULL, COLUMN_NUMBER},
    {"FIPC/IT: P50", "p50", NULL, COLUMN_NUMBER},
    {"P99", "p99", NULL, COLUMN_NUMBER},
    {"P99.9", "p999", NULL, COLUMN_NUMBER},
    {0},
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static json_t *exchange_cell(const struct bench_exchange *exchange)
{
    bool kib = exchange->bytes >= 1024;
    json_t *cell = json_sprintf("%s %zu %s", exchange->name,
                                kib ? exchange->bytes / 1024 : exchange->bytes, kib ? "KiB" : "B");

    if (exchange->think_us == 0)
        return cell;
    json_decref(cell);
    return json_sprintf("%s %zu B, after %" PRIu64 " us", exchange->name, exchange->bytes,
                        exchange->think_us);
}

static json_t *ratio_cell(double ratio)
{
    if (ratio < 0.0995)
        return json_sprintf("%.2g", ratio);
    return json_sprintf("%.*f", ratio < 9.995 ? 2 : 1, ratio);
}

static json_t *row_json(const struct bench_report *report, const struct bench_result *result)
{
    const struct bench_result *fipc = fipc_beside(report, result);
    json_t *row = json_pack("{s:o, s:s}", "exchange", exchange_cell(result->exchange), "contender",
                            result->contender->name);

    for (unsigned i = 0; i < BENCH_N_PERCENTILES; i++)
        (void)json_object_set_new(row, percentile_keys[i],
                                  json_string(duration_format(median_ns(report, result, i)).text));
    if (result->exchange->think_us == 0)
        (void)json_object_set_new(row, "per_second", integer(median_per_second(report, result)));
    for (size_t i = 0; i < N_COMPARED && result != fipc; i++)
        (void)json_object_set_new(
            row, compared[i].key,
            ratio_cell(median_ratio(report, fipc, result, compared[i].percentile)));
    return row;
}

static void print_place(const char *who, uint64_t cpu)
{
    if (cpu == CPU_ANY)
        output_print("%s on any CPU", who);
    else
        output_print("%s on CPU %" PRIu64, who, cpu);
}

static void print_how(const struct bench_report *report)
{
    const struct settings *settings = &report->place->invocation->settings;

    print_place("Client", settings->bench.cpu);
    print_place(settings->bench.floors ? ", workers and servers of the floors" : ", workers",
                settings->bench.server_cpu);
    output_print(". Medians over rounds: %zu of %" PRIu64 " ms each, after a warm-up of %g ms.\n",
                 report->n_rounds, settings->bench.duration_ms,
                 (double)settings->bench.duration_ms / BENCH_WARM_UP_PART);
}

static void print_legend(const struct bench_report *report)
{
    output_print("\nonce: connect, call, close. after N us: the client computes so long before "
                 "each call.\nrelay: the call goes on to a worker, another process.\nEach time "
                 "includes one look at the clock, %" PRIu64 " ns.\n",
                 report->clock_ns);
    if (!report->place->invocation->settings.bench.floors)
        return;
    output_print("%s: %s. %s: %s.\nFIPC/IT: fipc's time as a multiple of this one, median of the "
                 "ratios in each round.\n",
                 bench_socket.name, bench_socket.help, bench_spin.name, bench_spin.help);
}

void bench_report_print(const struct bench_report *report)
{
    bool has_floors = report->place->invocation->settings.bench.floors;
    struct column shown[N_COLUMNS];
    json_t *rows = json_array();
    size_t n_shown = 0;

    for (size_t i = 0; i < report->n_results; i++)
        (void)json_array_append_new(rows, row_json(report, &report->results[i]));
    for (size_t i = 0; i < N_COLUMNS - 1 - (has_floors ? 0 : N_COMPARED); i++)
        shown[n_shown++] = columns[i];
    shown[n_shown] = (struct column){0};

    print_how(report);
    output_print("\n");
    table_print(shown, rows);
    print_legend(report);
    json_decref(rows);
}

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_BENCH_H
#define FIPC_FIPCTL_BENCH_H

/*
 * The parts of `fipctl bench`. An exchange is a kind of work, a contender does it: fipc itself, and
 * the floors, which do the same with nothing around it. Each contender carries a request to another
 * process and brings the same bytes back.
 */
#include "client/fipctl/invocation.h"

#include <jansson.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_ROUNDS_MAX 1000
#define BENCH_WARM_UP_PART 10 /* of a measurement's time, before it */

struct bench_exchange {
    const char *name;
    size_t bytes;
    uint64_t think_us; /* the client is busy with something else before each exchange */
    bool once;         /* over a connection of its own: connect, call, close */
    bool relayed; /* the server passes the request to a worker, another process, and its reply back
                   */
};

/* Where an exchange is done. */
struct bench_place {
    const struct invocation *invocation;
    cpu_set_t client_cpus; /* of this process */
    cpu_set_t server_cpus; /* of workers and of the servers of the floors; the broker has its own */
};

struct bench_reply {
    const void *data; /* borrowed until the next exchange */
    size_t bytes;
};

struct bench_contender {
    const char *name;
    const char *help; /* one line */

    /* Whether there is such an exchange at such a place. NULL: always. */
    bool (*can)(const struct bench_exchange *exchange, const struct bench_place *place);

    /**
     * start() - get everything ready for one kind of exchange
     * @ret_state:  for the functions below; returned to the caller, for stop()
     *
     * Each of these functions prints the error line if it fails.
     *
     * Return: 0; or the exit status to end with
     */
    int (*start)(const struct bench_exchange *exchange, const struct bench_place *place,
                 void **ret_state);

    /* Sends and waits for the reply, in the measured time. Return: 0; a negative errno */
    int (*exchange)(void *state, const void *data, size_t bytes, struct bench_reply *ret_reply);

    /* Gives the reply back, outside the measured time. NULL: nothing to do. */
    void (*release)(void *state);

    /* Prints why exchange() failed. Return: the exit status to end with */
    int (*tell)(const void *state, int error);

    void (*stop)(void *state);
};

extern const struct bench_contender bench_fipc;
extern const struct bench_contender bench_socket;
extern const struct bench_contender bench_spin;

/* ---- another process ---- */

/**
 * bench_server_start() - run a server in a child process
 * @serve:    never returns
 * @ret_pid:  for bench_server_stop()
 *
 * The server dies with this process, however that ends.
 *
 * Return: 0; a negative errno
 */
int bench_server_start(const struct bench_place *place, void (*serve)(void *argument),
                       void *argument, pid_t *ret_pid);
void bench_server_stop(pid_t pid);

/* ---- results ---- */

enum bench_percentile {
    BENCH_P50,
    BENCH_P90,
    BENCH_P99,
    BENCH_P999,
    BENCH_N_PERCENTILES,
};

/* One contender doing one exchange for one round. */
struct bench_round {
    uint64_t count;
    uint64_t elapsed_ns; /* of all of them, the client's own work between two of them included */
    uint64_t min_ns, max_ns;
    uint64_t percentiles_ns[BENCH_N_PERCENTILES];
    uint64_t preemptions; /* involuntary context switches */
};

struct bench_result {
    const struct bench_exchange *exchange;
    const struct bench_contender *contender;
    struct bench_round *rounds; /* bench_report.n_rounds of them */
};

/* All results of a run. Results of one exchange are neighbours, the one of fipc first. */
struct bench_report {
    const struct bench_place *place;
    json_t *machine;   /* where and when; see bench_machine_json() */
    uint64_t clock_ns; /* the cost of reading the clock; part of each sample */
    size_t n_rounds;
    struct bench_result *results;
    size_t n_results;
};

void bench_report_print(const struct bench_report *report);
json_t *bench_report_json(const struct bench_report *report);

/* Kernel, CPU, load, date. Call it before the first measurement, or the load is our own. */
json_t *bench_machine_json(void);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_CLIENT_FIXTURE_H
#define FIPC_TESTS_CLIENT_FIXTURE_H

/* What the tests of the client library share: a broker, a session with it, and a look at what the
 * library left behind. */
#include "common/clock.h"
#include "common/os/os.h"
#include "tests/integration/broker.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <fipc/client.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

/* More than any call here takes, on any machine. */
#define PATIENT_MS 20000

static struct test_broker broker;
static fipc_client *client;

static inline fipc_options options_for_broker(void)
{
    return (fipc_options){
        .size = sizeof(fipc_options),
        .socket = broker.socket,
        .connect_timeout_ms = PATIENT_MS,
    };
}

static inline void open_client(void)
{
    const fipc_options options = options_for_broker();

    ck_assert_int_eq(fipc_connect(&client, &options), 0);
}

static inline void close_client(void)
{
    fipc_unref(client);
    client = NULL;
}

/* Checked fixtures. What a test opens it closes, or these do. */
static inline void set_up_folder(void)
{
    note_holdings();
    test_broker_init(&broker);
}

static inline void tear_down_folder(void)
{
    test_broker_deinit(&broker);
    expect_same_holdings();
}

static inline void set_up_broker(void)
{
    set_up_folder();
    test_broker_start(&broker, NULL);
}

static inline void set_up_client(void)
{
    set_up_broker();
    open_client();
}

static inline void tear_down_client(void)
{
    close_client();
    tear_down_folder();
}

/* Starts the broker with a config. */
static inline void start_with_config(const char *config)
{
    char path[160];
    const char *const arguments[] = {"--config", path, NULL};
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/fipcd.json", broker.folder);
    file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(config, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    test_broker_start(&broker, arguments);
}

/* ---- calls ---- */

/* Echoes @size bytes that nobody else sends. Return: as fipc_call() */
static inline int echo(fipc_client *through, size_t size, uint64_t id)
{
    unsigned char data[32 * 1024];
    fipc_message *reply = NULL;
    int r;

    EXPECT(size <= sizeof(data));
    pattern_fill(data, size, id);
    r = fipc_call(through, "fipc.echo", data, size, 0, PATIENT_MS, &reply);
    if (r < 0) {
        EXPECT(reply == NULL);
        return r;
    }
    EXPECT(fipc_size(reply) == size);
    EXPECT(pattern_matches(fipc_data(reply), size, id));
    fipc_free(reply);
    return 0;
}

/* Has the broker answer after @ms. Return: as fipc_call() */
static inline int delay(fipc_client *through, int ms, int timeout_ms)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", ms);
    return fipc_call(through, "fipc.delay", text, strlen(text), 0, timeout_ms, NULL);
}

static inline uint64_t ms_since(uint64_t start_ns)
{
    return (fipc_now_ns() - start_ns) / FIPC_NS_PER_MS;
}

/* ---- threads ---- */

static inline pthread_t thread_start(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

static inline void thread_join(pthread_t thread)
{
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* ---- a call that the broker has ---- */

struct in_flight {
    int error;
    uint64_t told_ns;
};

/* A thread that makes a call which no broker answers in time. */
static inline void *call_in_flight(void *arg)
{
    struct in_flight *call = arg;

    call->error = delay(client, PATIENT_MS, PATIENT_MS);
    call->told_ns = fipc_now_ns();
    return NULL;
}

/* Waits until the broker has this number of calls at once. */
static inline void wait_until_taken(long long n_live)
{
    struct test_witness witness;

    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_number(&witness, "handlers.live") == n_live + 1);
    test_witness_close(&witness);
}

/* ---- signals ---- */

static inline void ignore_it(int signal_number) { (void)signal_number; }

static inline void handle(int signal_number, void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler}; /* no SA_RESTART: EINTR everywhere */

    ck_assert_int_eq(sigaction(signal_number, &action, NULL), 0);
}

/* Has a signal come every so often; 0: no more. */
static inline void set_storm(int interval_us)
{
    const struct itimerval interval = {
        .it_interval = {.tv_usec = interval_us},
        .it_value = {.tv_usec = interval_us},
    };

    handle(SIGALRM, ignore_it);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

#endif

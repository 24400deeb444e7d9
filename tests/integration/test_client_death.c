/* SPDX-License-Identifier: MIT */
/* The broker dies: what a program sees of it. */
#include "tests/integration/client_fixture.h"

#include <signal.h>

/* How soon a client has to learn of a death; a machine that is busy may be late now and then, but
 * not always.
 */
#define TOLD_MS 100
#define ROUNDS 5

GROUP(death, .timeout = 60, .fixtures = {{set_up_client, tear_down_client}});

TEST(death_is_told_within_100_ms)
{
    uint64_t fastest_ns = UINT64_MAX;

    for (int i = 0; i < ROUNDS; i++) {
        struct in_flight call;
        pthread_t thread = thread_start(call_in_flight, &call);
        uint64_t killed_ns;

        wait_until_taken(1);
        killed_ns = fipc_now_ns();
        test_broker_kill(&broker);
        thread_join(thread);
        ck_assert_int_eq(call.error, -ECONNRESET);
        if (call.told_ns - killed_ns < fastest_ns)
            fastest_ns = call.told_ns - killed_ns;
        test_broker_start(&broker, NULL);
        ck_assert_int_eq(echo(client, 100, 1), 0);
    }
    ck_assert_uint_lt(fastest_ns / FIPC_NS_PER_MS, TOLD_MS);
}

TEST(replies_that_a_dead_broker_had_written_still_count)
{
    struct in_flight call;
    pthread_t thread;

    ck_assert_int_eq(delay(client, 0, PATIENT_MS), 0);
    thread = thread_start(call_in_flight, &call);
    wait_until_taken(1);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(echo(client, 100, (uint64_t)i), 0);
    test_broker_kill(&broker);
    thread_join(thread);
    ck_assert_int_eq(call.error, -ECONNRESET);
}

/* Echoes a loan. */
static int echo_loan(size_t size, uint64_t id)
{
    fipc_message *loan, *reply;
    int r;

    EXPECT(fipc_loan(client, "fipc.echo", size, &loan) == 0);
    pattern_fill(fipc_loan_data(loan), size, id);
    r = fipc_send(loan, 0, PATIENT_MS, &reply);
    if (r < 0)
        return r;
    EXPECT(fipc_size(reply) == size && pattern_matches(fipc_data(reply), size, id));
    fipc_free(reply);
    return 0;
}

static void *call_a_deaf_broker(void *arg)
{
    int how = *(const int *)arg;

    EXPECT((how == 0 ? echo(client, 5000, 1) : echo_loan(5000, 1)) == 0);
    return NULL;
}

LOOP_TEST(request_that_a_dead_broker_never_took_goes_to_the_next, 2)
{
    pthread_t threads[4];

    ck_assert_int_eq(echo(client, 1, 1), 0);
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start(call_a_deaf_broker, &_i);
    for (int i = 0; i < 20; i++) /* until they sleep; if one comes later, it is no test of this */
        test_pause();
    test_broker_kill(&broker);
    test_broker_start(&broker, NULL);
    for (int i = 0; i < 4; i++)
        thread_join(threads[i]);
}

/* A client that no broker has heard yet does not know the broker's longest time. */
TEST(oneshot_for_the_longest_does_not_wait_for_a_broker_that_hangs)
{
    const fipc_options options = {
        .size = sizeof(options), .socket = broker.socket, .connect_timeout_ms = 200};
    uint64_t began_ns = fipc_now_ns();

    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    ck_assert_int_eq(fipc_call_once(&options, "fipc.echo", "x", 1, -1, NULL), -ECONNREFUSED);
    ck_assert_uint_ge(fipc_now_ns() - began_ns, 200 * FIPC_NS_PER_MS);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);

    /* one that is heard is waited for */
    ck_assert_int_eq(fipc_call_once(&options, "fipc.delay", "600", 3, -1, NULL), 0);
}

static void kill_broker(void) { test_broker_kill(&broker); }

static void stop_broker(void) { test_broker_stop(&broker); }

static void (*const ends[])(void) = {kill_broker, stop_broker};

LOOP_TEST(next_call_finds_the_next_broker, COUNT_OF(ends))
{
    for (int i = 0; i < ROUNDS; i++) {
        ck_assert_int_eq(echo(client, 100, 1), 0);
        ends[_i]();
        test_broker_start(&broker, NULL);
        ck_assert_int_eq(echo(client, 100, 2), 0);
    }
}

LOOP_TEST(call_without_a_broker_is_refused_at_its_deadline, COUNT_OF(ends))
{
    uint64_t start_ns;

    ends[_i]();
    for (int i = 0; i < 3; i++) {
        start_ns = fipc_now_ns();
        ck_assert_int_eq(delay(client, 1, 60), -ECONNREFUSED);
        ck_assert_uint_ge(ms_since(start_ns), 60);
        ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS / 2);
    }
    test_broker_start(&broker, NULL);
    ck_assert_int_eq(echo(client, 100, 1), 0);
}

static void *start_later(void *arg)
{
    for (int i = 0; i < 30; i++)
        test_pause();
    EXPECT(echo(client, 100, 3) == 0);
    return arg;
}

TEST(call_waits_for_the_next_broker)
{
    pthread_t thread;

    kill_broker();
    thread = thread_start(start_later, NULL);
    for (int i = 0; i < 60; i++)
        test_pause();
    test_broker_start(&broker, NULL);
    thread_join(thread);
}

TEST(nothing_of_a_dead_broker_is_kept)
{
    char before[16384], after[16384];

    ck_assert_int_eq(echo(client, 100, 1), 0);
    list_holdings(before, sizeof(before));
    for (int i = 0; i < ROUNDS; i++) {
        kill_broker();
        test_broker_start(&broker, NULL);
        ck_assert_int_eq(echo(client, 100, 1), 0);
    }
    list_holdings(after, sizeof(after));
    ck_assert_uint_eq(strlen(before), strlen(after)); /* addresses may differ */
}

/* SPDX-License-Identifier: MIT */
/* The broker dies, the process forks, signals rain: what a program sees of it. */
#include "tests/integration/client_fixture.h"

#include <fcntl.h>
#include <signal.h>

/* ---- the broker dies ---- */

/* How soon death has to be told; a machine that is busy may be late now and then, but not always.
 */
#define TOLD_MS 100
#define ROUNDS 5

struct in_flight {
    int error;
    uint64_t told_ns;
};

static void *call_in_flight(void *arg)
{
    struct in_flight *call = arg;

    call->error = delay(client, PATIENT_MS, PATIENT_MS);
    call->told_ns = fipc_now_ns();
    return NULL;
}

static void wait_until_taken(long long n_live)
{
    struct test_witness witness;

    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_number(&witness, "handlers.live") == n_live + 1);
    test_witness_close(&witness);
}

START_TEST(death_is_told_within_100_ms)
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
END_TEST

START_TEST(replies_that_a_dead_broker_had_written_still_count)
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
END_TEST

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

START_TEST(request_that_a_dead_broker_never_took_goes_to_the_next)
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
END_TEST

/* Nobody says how long the broker's longest is, to who was never heard. */
START_TEST(oneshot_for_the_longest_does_not_wait_for_a_broker_that_hangs)
{
    const fipc_options options = {
        .size = sizeof(options), .socket = broker.socket, .connect_timeout_ms = 200};
    uint64_t began_ns = fipc_now_ns();

    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    ck_assert_int_eq(fipc_call_once(&options, "fipc.echo", "x", 1, -1, NULL), -ETIMEDOUT);
    ck_assert_uint_ge(fipc_now_ns() - began_ns, 200 * FIPC_NS_PER_MS);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);

    /* one that is heard is waited for */
    ck_assert_int_eq(fipc_call_once(&options, "fipc.delay", "600", 3, -1, NULL), 0);
}
END_TEST

static void kill_broker(void) { test_broker_kill(&broker); }

static void stop_broker(void) { test_broker_stop(&broker); }

static void (*const ends[])(void) = {kill_broker, stop_broker};

START_TEST(next_call_finds_the_next_broker)
{
    for (int i = 0; i < ROUNDS; i++) {
        ck_assert_int_eq(echo(client, 100, 1), 0);
        ends[_i]();
        test_broker_start(&broker, NULL);
        ck_assert_int_eq(echo(client, 100, 2), 0);
    }
}
END_TEST

START_TEST(call_without_a_broker_is_refused_at_its_deadline)
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
END_TEST

static void *start_later(void *arg)
{
    for (int i = 0; i < 30; i++)
        test_pause();
    EXPECT(echo(client, 100, 3) == 0);
    return arg;
}

START_TEST(call_waits_for_the_next_broker)
{
    pthread_t thread;

    kill_broker();
    thread = thread_start(start_later, NULL);
    for (int i = 0; i < 60; i++)
        test_pause();
    test_broker_start(&broker, NULL);
    thread_join(thread);
}
END_TEST

START_TEST(nothing_of_a_dead_broker_is_kept)
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
END_TEST

/* ---- fork ---- */

/* In a child: every function knows that the handle is its parent's. Return: which one does not */
static int use_inherited(fipc_message *loan, fipc_message *reply)
{
    fipc_message *untouched = NULL;

    if (fipc_call(client, "fipc.echo", "x", 1, 0, 100, &untouched) != -ECHILD)
        return 1;
    if (fipc_loan(client, "fipc.echo", 1, &untouched) != -ECHILD)
        return 2;
    if (fipc_data(loan) != NULL || fipc_loan_data(loan) != NULL || fipc_size(loan) != 0)
        return 3;
    if (fipc_send(loan, 0, 100, &untouched) != -ECHILD)
        return 4;
    if (untouched != NULL)
        return 5;
    if (fipc_size(reply) != 5 || memcmp(fipc_data(reply), "reply", 5) != 0)
        return 6;
    fipc_free(reply);
    if (fipc_ref(client) != client)
        return 7;
    fipc_unref(client);
    fipc_unref(client);
    return 0;
}

START_TEST(child_cannot_use_what_it_inherits)
{
    fipc_message *loan, *reply;
    pid_t pid;

    ck_assert_int_eq(fipc_call(client, "fipc.echo", "reply", 5, 0, PATIENT_MS, &reply), 0);
    ck_assert_int_eq(fipc_loan(client, "fipc.echo", 100, &loan), 0);
    pattern_fill(fipc_loan_data(loan), 100, 1);
    pid = fork();
    if (pid == 0)
        _exit(use_inherited(loan, reply));
    ck_assert_int_eq(wait_for_exit(pid), 0);

    ck_assert(pattern_matches(fipc_data(loan), 100, 1));
    ck_assert_int_eq(fipc_send(loan, 0, PATIENT_MS, NULL), 0);
    ck_assert_int_eq(echo(client, 1000, 2), 0);
    fipc_free(reply);
}
END_TEST

START_TEST(child_releases_all_that_it_inherits)
{
    fipc_message *loan;
    pid_t pid;

    ck_assert_int_eq(fipc_loan(client, "fipc.echo", 100, &loan), 0);
    pid = fork();
    if (pid == 0) {
        char now[16384];

        fipc_free(loan);
        fipc_unref(client);
        list_holdings(now, sizeof(now));
        _exit(strcmp(now, holdings_before()) == 0 ? 0 : 1);
    }
    ck_assert_int_eq(wait_for_exit(pid), 0);
    ck_assert_int_eq(fipc_send(loan, 0, PATIENT_MS, NULL), 0);
}
END_TEST

START_TEST(child_connects_by_itself)
{
    pid_t pid = fork();

    if (pid == 0) {
        fipc_unref(client);
        open_client();
        if (echo(client, 100, 1) < 0)
            _exit(1);
        pid = fork(); /* and so does its own */
        if (pid == 0)
            _exit(fipc_call(client, "fipc.ping", NULL, 0, 0, 100, NULL) == -ECHILD ? 0 : 1);
        _exit(wait_for_exit(pid));
    }
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(echo(client, 100, 2), 0);
    ck_assert_int_eq(wait_for_exit(pid), 0);
}
END_TEST

static void *call_often(void *arg)
{
    for (int i = 0; i < test_scaled(3000); i++)
        EXPECT(echo(client, 200, (uint64_t)i) == 0);
    return arg;
}

START_TEST(fork_in_the_middle_of_calls_harms_nobody)
{
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        threads[i] = thread_start(call_often, NULL);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            int r = fipc_call(client, "fipc.ping", NULL, 0, 0, 100, NULL);

            fipc_unref(client);
            _exit(r == -ECHILD ? 0 : 1);
        }
        ck_assert_int_eq(wait_for_exit(pid), 0);
    }
    for (int i = 0; i < 3; i++)
        thread_join(threads[i]);
}
END_TEST

/* Of the fds that were opened since the beginning. */
static bool is_new(int fd)
{
    char line[32];

    (void)snprintf(line, sizeof(line), "fd %d\n", fd);
    return fcntl(fd, F_GETFD) >= 0 && strstr(holdings_before(), line) == NULL;
}

START_TEST(exec_closes_all_fds)
{
    int n_new = 0;

    for (int fd = 0; fd < 1024; fd++) {
        if (!is_new(fd))
            continue;
        n_new++;
        ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    }
    ck_assert_int_eq(n_new, 2); /* lane and bell */
}
END_TEST

/* ---- signals ---- */

START_TEST(calls_do_not_notice_a_storm_of_signals)
{
    const fipc_options options = options_for_broker();
    uint64_t start_ns = fipc_now_ns();

    set_storm(1000);
    ck_assert_int_eq(delay(client, 300, PATIENT_MS), 0);
    ck_assert_uint_ge(ms_since(start_ns), 300);
    start_ns = fipc_now_ns();
    ck_assert_int_eq(delay(client, PATIENT_MS, 200), -ETIMEDOUT);
    ck_assert_uint_ge(ms_since(start_ns), 200);
    for (int i = 0; i < test_scaled(2000); i++)
        ck_assert_int_eq(echo(client, 1000, (uint64_t)i), 0);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(fipc_call_once(&options, "fipc.delay", "20", 2, PATIENT_MS, NULL), 0);
        close_client();
        open_client();
    }
    set_storm(0);
}
END_TEST

START_TEST(death_is_told_in_a_storm_of_signals)
{
    struct in_flight call;
    pthread_t thread = thread_start(call_in_flight, &call);
    uint64_t killed_ns;

    wait_until_taken(1);
    set_storm(1000);
    killed_ns = fipc_now_ns();
    (void)kill(broker.pid, SIGKILL);
    thread_join(thread);
    set_storm(0);
    (void)test_broker_wait(&broker);
    ck_assert_int_eq(call.error, -ECONNRESET);
    ck_assert_uint_lt((call.told_ns - killed_ns) / FIPC_NS_PER_MS, 2000);
}
END_TEST

START_TEST(refusal_keeps_its_time_in_a_storm_of_signals)
{
    fipc_options options = options_for_broker();
    fipc_client *refused = NULL;
    uint64_t start_ns;

    kill_broker();
    options.connect_timeout_ms = 150;
    set_storm(1000);
    start_ns = fipc_now_ns();
    ck_assert_int_eq(fipc_connect(&refused, &options), -ECONNREFUSED);
    ck_assert_uint_ge(ms_since(start_ns), 150);
    ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS / 2);
    set_storm(0);
}
END_TEST

static volatile sig_atomic_t n_pipe_signals;

static void count_it(int signal_number)
{
    (void)signal_number;
    n_pipe_signals++;
}

START_TEST(no_sigpipe_is_raised)
{
    const fipc_options options = options_for_broker();

    handle(SIGPIPE, count_it);
    kill_broker();
    (void)delay(client, 1, 50);
    test_broker_start(&broker, NULL);
    ck_assert_int_eq(echo(client, 100, 1), 0);
    stop_broker();
    (void)delay(client, 1, 50);
    (void)fipc_call_once(&options, "fipc.ping", NULL, 0, 50, NULL);
    ck_assert_int_eq(n_pipe_signals, 0);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *death = tcase_create("death");
    TCase *forks = tcase_create("fork");
    TCase *signals = tcase_create("signals");

    tcase_set_timeout(death, 60);
    tcase_add_checked_fixture(death, set_up_client, tear_down_client);
    tcase_add_test(death, death_is_told_within_100_ms);
    tcase_add_test(death, replies_that_a_dead_broker_had_written_still_count);
    tcase_add_loop_test(death, request_that_a_dead_broker_never_took_goes_to_the_next, 0, 2);
    tcase_add_test(death, oneshot_for_the_longest_does_not_wait_for_a_broker_that_hangs);
    tcase_add_loop_test(death, next_call_finds_the_next_broker, 0, COUNT_OF(ends));
    tcase_add_loop_test(death, call_without_a_broker_is_refused_at_its_deadline, 0, COUNT_OF(ends));
    tcase_add_test(death, call_waits_for_the_next_broker);
    tcase_add_test(death, nothing_of_a_dead_broker_is_kept);
    suite_add_tcase(suite, death);

    tcase_set_timeout(forks, 60);
    tcase_add_checked_fixture(forks, set_up_client, tear_down_client);
    tcase_add_test(forks, child_cannot_use_what_it_inherits);
    tcase_add_test(forks, child_releases_all_that_it_inherits);
    tcase_add_test(forks, child_connects_by_itself);
    tcase_add_test(forks, fork_in_the_middle_of_calls_harms_nobody);
    tcase_add_test(forks, exec_closes_all_fds);
    suite_add_tcase(suite, forks);

    tcase_set_timeout(signals, 60);
    tcase_add_checked_fixture(signals, set_up_client, tear_down_client);
    tcase_add_test(signals, calls_do_not_notice_a_storm_of_signals);
    tcase_add_test(signals, death_is_told_in_a_storm_of_signals);
    tcase_add_test(signals, refusal_keeps_its_time_in_a_storm_of_signals);
    tcase_add_test(signals, no_sigpipe_is_raised);
    suite_add_tcase(suite, signals);
}

int main(void)
{
    Suite *suite = suite_create("client death");

    add_cases(suite);
    return run_suite(suite);
}

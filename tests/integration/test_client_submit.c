/* SPDX-License-Identifier: MIT */
/* Calls that nobody waits for: each ends once, whatever becomes of the broker. */
#include "tests/integration/submit_fixture.h"
#include "tests/suite.h"

#include <time.h>

/* ---- ends ---- */

GROUP(calls, .timeout = 60, .fixtures = {{set_up_calls, tear_down_calls}});

TEST(thousands_end_once_each)
{
    static const char data[1000];

    server_start_with(&server, SERVICE, 64, handle_echo, &server);
    for (int i = 0; i < CALLS; i++)
        ck_assert_int_eq(
            submit(i, i % 2 == 0 ? SERVICE : "fipc.echo", data, sizeof(data), 0, PATIENT_MS), 0);
    dispatch_until(CALLS);
    expect_each_ended_once(CALLS, 0);
    ck_assert_int_eq(fipc_dispatch(client, 0), 0);
}

TEST(replies_come_in_any_order)
{
    ck_assert_int_eq(submit(0, "fipc.delay", "60", 2, 0, PATIENT_MS), 0);
    ck_assert_int_eq(submit(1, "fipc.delay", "30", 2, 0, PATIENT_MS), 0);
    ck_assert_int_eq(submit(2, "fipc.delay", "1", 1, 0, PATIENT_MS), 0);
    dispatch_until(3);
    expect_each_ended_once(3, 0);
    ck_assert(order[0] == 2 && order[1] == 1 && order[2] == 0);
}

TEST(errors_are_told_to_the_callback)
{
    ck_assert_int_eq(submit(0, "com.example.nobody", NULL, 0, 0, PATIENT_MS), 0);
    ck_assert_int_eq(submit(1, "fipc.delay", "x", 1, 0, PATIENT_MS), 0);
    ck_assert_int_eq(submit(2, "fipc.delay", "10000", 5, 0, 20), 0);
    dispatch_until(3);
    ck_assert_int_eq(errors[0], -ENOENT);
    ck_assert_int_eq(errors[1], -EINVAL);
    ck_assert_int_eq(errors[2], -ETIMEDOUT);
}

TEST(arguments_are_checked)
{
    static const char large[40000];

    ck_assert_int_eq(submit(0, SERVICE, NULL, 0, 0, 0), -EINVAL);
    ck_assert_int_eq(submit(0, SERVICE, NULL, 0, 0, -2), -EINVAL);
    ck_assert_int_eq(submit(0, SERVICE, NULL, 0, 1u << 9, 10), -EINVAL);
    ck_assert_int_eq(submit(0, SERVICE, NULL, 7, 0, 10), -EINVAL);
    ck_assert_int_eq(submit(0, "a..b", NULL, 0, 0, 10), -EINVAL);
    ck_assert_int_eq(submit(0, SERVICE, large, sizeof(large), 0, 10), -EMSGSIZE);
    ck_assert_int_eq(fipc_submit(client, SERVICE, NULL, 0, 0, 10, NULL, NULL, NULL), -EINVAL);
    ck_assert_int_eq(fipc_submit(NULL, SERVICE, NULL, 0, 0, 10, note_end, NULL, NULL), -EINVAL);
    ck_assert_int_eq(fipc_cancel(NULL, 1), -EINVAL);
    ck_assert_int_eq(n_ended, 0);
}

TEST(requests_of_one_service_keep_their_order)
{
    static unsigned char data[800];

    server_start_with(&server, SERVICE, 4096, handle_keep, &keeper);
    for (int i = 0; i < 500; i++) { /* many rings full */
        data[0] = (unsigned char)i;
        data[1] = (unsigned char)(i / 256);
        ck_assert_int_eq(submit(i, SERVICE, data, sizeof(data), 0, PATIENT_MS), 0);
    }
    while (keeper_count(&keeper) < 500)
        ck_assert_int_eq(fipc_dispatch(client, 1), 0);
    for (int i = 0; i < 500; i++) {
        const unsigned char *bytes = fipc_request_data(keeper.kept[i]);

        ck_assert_int_eq(bytes[0] + 256 * bytes[1], i);
        ck_assert_int_eq(fipc_reply(keeper.kept[i], NULL, 0), 0);
    }
    dispatch_until(500);
    expect_each_ended_once(500, 0);
}

/* ---- cancelling ---- */

TEST(cancelled_call_ends_as_such)
{
    uint64_t id, queued;

    server_start_with(&server, SERVICE, 8, handle_keep, &keeper);
    ck_assert_int_eq(
        fipc_submit(client, SERVICE, NULL, 0, 0, PATIENT_MS, note_end, &errors[0], &id), 0);
    while (keeper_count(&keeper) == 0)
        ck_assert_int_eq(fipc_dispatch(client, 1), 0);
    ck_assert_int_eq(fipc_submit(client, "com.example.nobody", NULL, 0, FIPC_WAIT_SERVICE,
                                 PATIENT_MS, note_end, &errors[1], &queued),
                     0);
    ck_assert_int_eq(fipc_cancel(client, id), 0);
    ck_assert_int_eq(fipc_cancel(client, queued), 0);
    ck_assert_int_eq(n_ended, 0); /* not before it is dispatched */
    ck_assert_int_eq(fipc_cancel(client, id), -ENOENT);
    ck_assert_int_eq(fipc_cancel(client, 12345), -ENOENT);
    dispatch_until(2);
    expect_each_ended_once(2, -ECANCELED);
    TEST_WAIT_FOR(fipc_request_is_cancelled(keeper.kept[0]));
    ck_assert_int_eq(fipc_reply(keeper.kept[0], NULL, 0), 0);
    ck_assert_int_eq(echo(client, 10, 1), 0);
    ck_assert_int_eq(fipc_dispatch(client, 0), 0);
}

#define MANY 40000

static void count_cancelled(int error, const fipc_message *reply, void *userdata)
{
    unsigned *count = userdata;

    (void)reply;
    *count += error == -ECANCELED;
}

static uint64_t cpu_ns(void)
{
    struct timespec used;

    ck_assert_int_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
    return (uint64_t)used.tv_sec * FIPC_NS_PER_S + (uint64_t)used.tv_nsec;
}

/* Looked for one after the other, they would take several seconds. */
TEST(each_of_many_queued_calls_is_cancelled_at_once)
{
    static uint64_t ids[MANY];
    unsigned n_cancelled = 0;
    uint64_t before_ns;

    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(fipc_submit(client, "com.example.nobody", NULL, 0, FIPC_WAIT_SERVICE, -1,
                                     count_cancelled, &n_cancelled, &ids[i]),
                         0);
    before_ns = cpu_ns();
    for (int i = MANY - 1; i >= 0; i--)
        ck_assert_int_eq(fipc_cancel(client, ids[i]), 0);
    ck_assert_uint_lt(cpu_ns() - before_ns, FIPC_NS_PER_S);
    ck_assert_int_eq(fipc_cancel(client, ids[0]), -ENOENT);
    while (n_cancelled < MANY)
        ck_assert_int_gt(fipc_dispatch(client, PATIENT_MS), 0);
}

/* ---- the fd ---- */

GROUP(fd, .timeout = 60, .fixtures = {{set_up_calls, tear_down_calls}});

TEST(fd_is_readable_while_there_is_something_to_dispatch)
{
    ck_assert(!is_readable(0));
    ck_assert_int_eq(submit(0, "fipc.delay", "5", 1, 0, PATIENT_MS), 0);
    ck_assert_int_eq(fipc_fd(client), fipc_fd(client));
    while (n_ended == 0) {
        ck_assert(is_readable(PATIENT_MS));
        ck_assert_int_ge(fipc_dispatch(client, 0), 0);
    }
    ck_assert_int_eq(errors[0], 0);
    ck_assert(!is_readable(20));
}

static void *call_slowly(void *arg)
{
    (void)arg;
    EXPECT(delay(client, 200, PATIENT_MS) == 0);
    return NULL;
}

/* A thread in a blocking call reads for all: it wakes the poll loop. */
TEST(fd_becomes_readable_by_what_another_thread_reads)
{
    pthread_t thread;

    ck_assert(!is_readable(0));
    thread = thread_start(call_slowly, NULL);
    ck_assert_int_eq(submit(0, "fipc.delay", "20", 2, 0, PATIENT_MS), 0);
    while (n_ended == 0) {
        ck_assert(is_readable(PATIENT_MS));
        ck_assert_int_ge(fipc_dispatch(client, 0), 0);
    }
    thread_join(thread);
    ck_assert(!is_readable(20));
}

TEST(poll_loop_sleeps_while_nothing_comes)
{
    int turns = 0;

    ck_assert_int_eq(submit(0, "fipc.delay", "300", 3, 0, PATIENT_MS), 0);
    for (; n_ended == 0; turns++) {
        ck_assert(is_readable(PATIENT_MS));
        ck_assert_int_ge(fipc_dispatch(client, 0), 0);
    }
    ck_assert_int_lt(turns, 20);
}

TEST(poll_loop_sends_what_found_no_room)
{
    static const char data[1000];

    server_start_with(&server, SERVICE, 4096, handle_keep, &keeper);
    for (int i = 0; i < 900; i++)
        ck_assert_int_eq(submit(i, SERVICE, data, sizeof(data), 0, PATIENT_MS), 0);
    while (keeper_count(&keeper) < 900) {
        if (is_readable(10)) /* not when all are sent */
            ck_assert_int_eq(fipc_dispatch(client, 0), 0);
    }
    for (int i = 0; i < 900; i++)
        ck_assert_int_eq(fipc_reply(keeper.kept[i], NULL, 0), 0);
    dispatch_until(900);
    expect_each_ended_once(900, 0);
}

TEST(poll_loop_connects_again)
{
    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    ck_assert(!is_readable(0));
    test_broker_kill(&broker);
    ck_assert_int_eq(submit(0, SERVICE, "x", 1, FIPC_WAIT_SERVICE, PATIENT_MS), 0);
    test_broker_start(&broker, NULL);
    while (n_ended == 0) {
        ck_assert(is_readable(PATIENT_MS));
        ck_assert_int_ge(fipc_dispatch(client, 0), 0);
    }
    expect_each_ended_once(1, 0);
}

/* The thread that notices the loss closes the lane, by which the poll loop would have noticed it.
 */
TEST(poll_loop_connects_again_when_another_noticed_the_loss)
{
    struct pollfd fd = {.fd = fipc_fd(client), .events = POLLIN};

    server_start(&server);
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_keep, &keeper), 0);
    ck_assert_int_eq(
        fipc_submit(server.client, SERVICE, "x", 1, 0, PATIENT_MS, note_end, &errors[0], NULL), 0);
    while (keeper_count(&keeper) == 0)
        ck_assert_int_ge(fipc_dispatch(client, PATIENT_MS), 0);
    while (poll(&fd, 1, 0) == 1)
        ck_assert_int_eq(fipc_dispatch(client, 0), 0);
    test_broker_kill(&broker);
    ck_assert_int_eq(fipc_reply(keeper.kept[0], NULL, 0), -ECONNRESET);
    test_broker_start(&broker, NULL);
    while (fipc_wait(server.client, SERVICE, 1) != 0) {
        if (poll(&fd, 1, 10) == 1)
            ck_assert_int_ge(fipc_dispatch(client, 0), 0);
    }
}

/* ---- callbacks ---- */

static void submit_next(int error, const fipc_message *reply, void *userdata)
{
    int *left = userdata;

    (void)reply;
    EXPECT(error == 0);
    n_ended++;
    if (--*left > 0)
        EXPECT(fipc_submit(client, "fipc.echo", NULL, 0, 0, PATIENT_MS, submit_next, left, NULL) ==
               0);
}

GROUP(callbacks, .timeout = 60, .fixtures = {{set_up_calls, tear_down_calls}});

TEST(callback_may_submit_the_next_call)
{
    int left = 100;

    ck_assert_int_eq(
        fipc_submit(client, "fipc.echo", NULL, 0, 0, PATIENT_MS, submit_next, &left, NULL), 0);
    while (left > 0)
        ck_assert_int_eq(fipc_dispatch(client, PATIENT_MS),
                         1); /* the next one has its turn later */
}

static void call_and_drop(int error, const fipc_message *reply, void *userdata)
{
    (void)userdata;
    EXPECT(error == 0 && reply != NULL);
    EXPECT(echo(client, 100, 3) == 0);
    n_ended++;
    if (n_ended == 2)
        close_client();
}

TEST(callback_may_call_and_drop_its_own_client)
{
    fipc_client *dropped = client;

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            fipc_submit(client, "fipc.echo", NULL, 0, 0, PATIENT_MS, call_and_drop, NULL, NULL), 0);
    while (n_ended < 2)
        ck_assert_int_gt(fipc_dispatch(dropped, PATIENT_MS), 0);
}

/* ---- a handler's own calls ---- */

static void answer_with_the_reply(int error, const fipc_message *reply, void *userdata)
{
    fipc_request *request = userdata;

    EXPECT((error == 0 ? fipc_reply(request, fipc_data(reply), fipc_size(reply))
                       : fipc_reply_error(request, error)) == 0);
}

static void submit_and_return(fipc_request *request, void *userdata)
{
    (void)userdata;
    EXPECT(fipc_submit(client, SERVICE ".inner", "x", 1, 0, PATIENT_MS, answer_with_the_reply,
                       request, NULL) == 0);
}

static void note_error(int error, const fipc_message *reply, void *userdata)
{
    int *left = userdata;

    (void)reply;
    *left = error;
}

static void submit_and_dispatch(fipc_request *request, void *userdata)
{
    int error = 1;

    (void)userdata;
    EXPECT(fipc_submit(client, SERVICE ".inner", "x", 1, 0, PATIENT_MS, note_error, &error, NULL) ==
           0);
    while (error > 0)
        EXPECT(fipc_dispatch(client, PATIENT_MS) >= 0);
    EXPECT((error == 0 ? fipc_reply(request, NULL, 0) : fipc_reply_error(request, error)) == 0);
}

static fipc_request_fn *const submitting_handlers[] = {submit_and_return, submit_and_dispatch};

LOOP_TEST(one_thread_is_enough_for_a_handler_that_submits_calls_to_its_own_client,
          COUNT_OF(submitting_handlers))
{
    ck_assert_int_eq(fipc_serve(client, SERVICE ".inner", 1, handle_echo, NULL), 0);
    ck_assert_int_eq(fipc_serve(client, SERVICE ".outer", 1, submitting_handlers[_i], NULL), 0);
    ck_assert_int_eq(submit(0, SERVICE ".outer", NULL, 0, 0, PATIENT_MS), 0);
    dispatch_until(1);
    expect_each_ended_once(1, 0);
}

TEST(client_that_ends_forgets_its_calls)
{
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(submit(i, i % 2 == 0 ? "fipc.delay" : SERVICE, "1000", 4,
                                FIPC_WAIT_SERVICE, PATIENT_MS),
                         0);
    close_client();
    ck_assert_int_eq(n_ended, 0);
}

/* ---- the broker's death, and worse ---- */

GROUP(death, .timeout = 60, .fixtures = {{set_up_calls, tear_down_calls}});

TEST(calls_end_once_when_the_broker_dies)
{
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(
            submit(i, "fipc.delay", "60000", 5, i % 2 == 0 ? FIPC_IDEMPOTENT : 0, PATIENT_MS), 0);
    ck_assert_int_eq(echo(client, 10, 1), 0); /* so that all were taken */
    test_broker_kill(&broker);
    while (n_ended < 25)
        ck_assert_int_ge(fipc_dispatch(client, 10), 0);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(errors[i], i % 2 == 0 ? 0 : -ECONNRESET);
    test_broker_start(&broker, NULL); /* those that may be sent again are */
    ck_assert_int_eq(fipc_dispatch(client, 100), 0);
    ck_assert_int_eq(n_ended, 25);
}

TEST(call_that_finds_no_broker_tells_so)
{
    test_broker_kill(&broker);
    ck_assert_int_eq(submit(0, "fipc.echo", NULL, 0, 0, 200), 0);
    dispatch_until(1);
    ck_assert_int_eq(errors[0], -ECONNREFUSED);
}

LOOP_TEST(calls_end_in_time_when_the_broker_hangs, 2)
{
    ck_assert_int_eq(echo(client, 10, 1), 0);
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(submit(i, i == 0 ? "fipc.echo" : SERVICE, "x", 1, 0, 50 + 10 * i), 0);
    if (_i == 0) {
        dispatch_until(3);
    } else {
        while (n_ended < 3) {
            ck_assert(is_readable(PATIENT_MS));
            ck_assert_int_ge(fipc_dispatch(client, 0), 0);
        }
    }
    expect_each_ended_once(3, -ETIMEDOUT);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
    ck_assert_int_eq(echo(client, 10, 1), 0); /* a late answer is nobody's */
}

TEST(who_does_not_want_to_wait_for_room_is_told)
{
    static const char data[4000];
    int i = 0, r;

    ck_assert_int_eq(echo(client, 10, 1), 0);
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    while ((r = submit(i, "fipc.echo", data, sizeof(data), FIPC_NO_WAIT, PATIENT_MS)) == 0)
        i++;
    ck_assert_int_eq(r, -EAGAIN);
    ck_assert_int_ge(i, 10);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
    dispatch_until(i);
    expect_each_ended_once(i, 0);
}

/* ---- threads ---- */

static _Atomic int n_done;

static void count_end(int error, const fipc_message *reply, void *userdata)
{
    (void)reply;
    (void)userdata;
    EXPECT(error == 0 || error == -ECANCELED);
    atomic_fetch_add(&n_done, 1);
}

static void *submit_and_call(void *arg)
{
    int count = *(const int *)arg;

    for (int i = 0; i < count; i++) {
        uint64_t id;

        EXPECT(fipc_submit(client, i % 2 == 0 ? SERVICE : "fipc.echo", "data", 4, 0, PATIENT_MS,
                           count_end, NULL, &id) == 0);
        if (i % 7 == 0)
            (void)fipc_cancel(client, id);
        if (i % 3 == 0)
            EXPECT(echo(client, (size_t)i % 500, (uint64_t)i) == 0);
        if (i % 5 == 0)
            EXPECT(fipc_dispatch(client, 0) >= 0);
    }
    return NULL;
}

GROUP(threads, .timeout = 60, .fixtures = {{set_up_calls, tear_down_calls}});

LOOP_TEST(threads_submit_call_cancel_and_dispatch_at_once, 2)
{
    pthread_t threads[8];
    int count = test_scaled(2000);

    atomic_store(&n_done, 0);
    server_start_with(&server, SERVICE, 16, handle_echo, &server);
    if (_i == 1)
        ck_assert_int_ge(fipc_fd(client), 0);
    for (int i = 0; i < 8; i++)
        threads[i] = thread_start(submit_and_call, &count);
    for (int i = 0; i < 8; i++)
        thread_join(threads[i]);
    while (atomic_load(&n_done) < 8 * count)
        ck_assert_int_gt(fipc_dispatch(client, PATIENT_MS), 0);
    ck_assert_int_eq(fipc_dispatch(client, 0), 0);
    ck_assert_int_eq(atomic_load(&n_done), 8 * count);
}

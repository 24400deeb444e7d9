/* SPDX-License-Identifier: MIT */
/* What the library cannot send yet: it goes out as soon as it can, in order, and costs nothing
 * meanwhile. */
#include "tests/integration/fake_broker.h"
#include "tests/integration/submit_fixture.h"
#include "tests/suite.h"

#include <unistd.h>

#define SUBMITTED_MAX 960 /* that are open at once: of 1024, some are left to callers who wait */

static const char filling[2000];

static void stop_broker(void) { ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0); }
static void continue_broker(void) { ck_assert_int_eq(kill(broker.pid, SIGCONT), 0); }

/* Submits calls until there is no room for any; the name is known. Return: how many there are */
static int fill_ring(const char *service)
{
    int n = 0;

    for (size_t size = sizeof(filling); size > 0; size /= 2)
        while (submit(n, service, filling, size, FIPC_NO_WAIT, PATIENT_MS) == 0)
            n++;
    ck_assert_int_gt(n, 0);
    return n;
}

static void submit_numbered(int first, int count, unsigned flags)
{
    for (int i = first; i < first + count; i++)
        ck_assert_int_eq(submit(i, SERVICE, &i, sizeof(i), flags, PATIENT_MS), 0);
}

static void expect_kept_in_order(int count)
{
    while (keeper_count(&keeper) < count)
        ck_assert_int_ge(fipc_dispatch(client, 1), 0);
    for (int i = 0; i < count; i++)
        ck_assert_mem_eq(fipc_request_data(keeper.kept[i]), &i, sizeof(i));
}

/* All of them, as soon as they are there. */
static void answer_kept(int count)
{
    TEST_WAIT_FOR(keeper_count(&keeper) == count);
    for (int i = 0; i < count; i++)
        (void)fipc_reply(keeper.kept[i], NULL, 0);
}

/* ---- order ---- */

GROUP(backlog, .timeout = 60, .fixtures = {{set_up_calls, tear_down_calls}});

TEST(calls_that_came_back_keep_their_order)
{
    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    ck_assert_int_eq(fipc_call(client, SERVICE, NULL, 0, 0, PATIENT_MS, NULL), 0);
    server_stop(&server);
    TEST_WAIT_FOR(reported("slots.taken") == 1);
    server_start_with(&server, SERVICE, 100, handle_keep, &keeper);
    submit_numbered(0, 50, 0); /* all with a number of the name that is none any more */
    expect_kept_in_order(50);
    answer_kept(50);
    dispatch_until(50);
}

TEST(calls_that_a_broker_did_not_take_keep_their_order)
{
    server_start_with(&server, SERVICE, 100, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    stop_broker();
    submit_numbered(0, 50, FIPC_WAIT_SERVICE);
    test_broker_kill(&broker);
    test_broker_start(&broker, NULL);
    expect_kept_in_order(50);
    answer_kept(50);
    dispatch_until(50);
}

/* ---- room ---- */

TEST(largest_call_waits_without_a_look)
{
    static const char data[32768];
    size_t largest = sizeof(data);
    int n;

    while (submit(0, "fipc.echo", data, largest, 0, PATIENT_MS) == -EMSGSIZE)
        largest--;
    dispatch_until(1);
    n_ended = 0;
    stop_broker();
    n = fill_ring("fipc.echo");
    ck_assert_int_eq(submit(n, "fipc.echo", data, largest, 0, PATIENT_MS), 0);
    ck_assert_int_eq(fipc_dispatch(client, 0), 0);
    ck_assert(!is_readable(20));
    continue_broker();
    dispatch_until(n + 1);
    ck_assert_int_eq(errors[n], 0);
}

TEST(wish_for_room_ends_with_its_call)
{
    uint64_t id;
    int n;

    ck_assert_int_eq(fipc_wait(client, "fipc.echo", PATIENT_MS), 0);
    stop_broker();
    n = fill_ring("fipc.echo");
    ck_assert_int_eq(fipc_submit(client, "fipc.echo", filling, sizeof(filling), 0, PATIENT_MS,
                                 note_end, &errors[n], &id),
                     0);
    ck_assert_int_eq(fipc_cancel(client, id), 0);
    dispatch_until(1);
    ck_assert_int_eq(errors[n], -ECANCELED);
    continue_broker();
    dispatch_until(n + 1);
    ck_assert_int_eq(fipc_dispatch(client, 0), 0);
    ck_assert(!is_readable(20));
}

LOOP_TEST(question_goes_out_when_there_is_room, 2)
{
    int n;

    server_start_with(&server, SERVICE, 4096, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    stop_broker();
    n = fill_ring(SERVICE);
    ck_assert_int_eq(submit(n, "fipc.echo", "x", 1, 0, PATIENT_MS), 0);
    continue_broker();
    if (_i == 0) {
        dispatch_until(1); /* none of the others is answered */
    } else {
        while (n_ended == 0) {
            ck_assert(is_readable(PATIENT_MS));
            ck_assert_int_ge(fipc_dispatch(client, 0), 0);
        }
    }
    ck_assert_int_eq(order[0], n);
    ck_assert_int_eq(errors[n], 0);
    answer_kept(n);
}

static void *serve_in_background(void *arg)
{
    EXPECT(fipc_serve(client, SERVICE ".other", 1, handle_echo, NULL) == 0);
    return arg;
}

TEST(name_to_be_served_goes_out_when_there_is_room)
{
    pthread_t thread;
    int n;

    server_start_with(&server, SERVICE, 4096, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    stop_broker();
    n = fill_ring(SERVICE);
    thread = thread_start(serve_in_background, NULL);
    ck_assert(!is_readable(20));
    continue_broker();
    thread_join(thread);
    answer_kept(n);
}

TEST(cancels_go_out_when_there_is_room)
{
    uint64_t ids[100];
    int n = 0, r;

    ck_assert_int_eq(fipc_wait(client, "fipc.delay", PATIENT_MS), 0);
    do {
        r = fipc_submit(client, "fipc.delay", "30000", 5, FIPC_NO_WAIT, -1, note_end, &errors[n],
                        &ids[n]);
        ck_assert_int_eq(r, 0);
    } while (++n < 50);
    wait_until_taken(50);
    stop_broker();
    (void)fill_ring("fipc.delay"); /* these are no times: answered by an error */
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(fipc_cancel(client, ids[i]), 0);
    continue_broker();
    while (fipc_dispatch(client, 10) > 0)
        ;
    wait_until_taken(0);
}

/* ---- too many open calls ---- */

static void dispatch_until_taken(int count)
{
    struct test_witness witness;

    test_witness_open(&witness, &broker);
    while (test_witness_number(&witness, "handlers.live") < count + 1)
        ck_assert_int_eq(fipc_dispatch(client, 1), 0);
    test_witness_close(&witness);
}

TEST(client_calls_itself_as_often_as_it_likes)
{
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_echo, NULL), 0);
    submit_numbered(0, CALLS, 0);
    dispatch_until(CALLS);
    expect_each_ended_once(CALLS, 0);
}

TEST(too_many_calls_are_in_nobodys_way)
{
    uint64_t id = 7, first;
    int i;

    ck_assert_int_eq(fipc_wait(client, "fipc.echo", PATIENT_MS), 0);
    ck_assert_int_eq(
        fipc_submit(client, "fipc.delay", "20000", 5, 0, PATIENT_MS, note_end, &errors[0], &first),
        0);
    for (i = 1; i < CALLS / 2; i++)
        ck_assert_int_eq(submit(i, "fipc.delay", "20000", 5, 0, PATIENT_MS), 0);
    dispatch_until_taken(SUBMITTED_MAX);
    ck_assert_int_eq(fipc_submit(client, "fipc.delay", "1", 1, FIPC_NO_WAIT, PATIENT_MS, note_end,
                                 &errors[i], &id),
                     -EAGAIN);
    ck_assert_uint_eq(id, 7);
    ck_assert_int_eq(submit(i, "fipc.echo", NULL, 0, FIPC_NO_WAIT, PATIENT_MS), -EAGAIN);
    ck_assert_int_eq(fipc_call(client, "fipc.delay", "1", 1, FIPC_NO_WAIT, PATIENT_MS, NULL),
                     -EAGAIN);
    ck_assert_int_eq(fipc_dispatch(client, 0), 0);
    ck_assert(!is_readable(20));
    ck_assert_int_eq(fipc_call(client, "fipc.echo", NULL, 0, 0, PATIENT_MS, NULL), 0);
    ck_assert_int_eq(fipc_cancel(client, first), 0);
    ck_assert_int_eq(fipc_dispatch(client, PATIENT_MS), 1);
}

TEST(one_service_is_not_in_the_way_of_others)
{
    int i, answered;

    server_start_with(&server, SERVICE, 4096, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    for (i = 0; i < CALLS / 2; i++)
        ck_assert_int_eq(submit(i, SERVICE, NULL, 0, 0, PATIENT_MS), 0);
    while (keeper_count(&keeper) < SUBMITTED_MAX)
        ck_assert_int_eq(fipc_dispatch(client, 1), 0);
    ck_assert_int_eq(submit(i, "fipc.echo", NULL, 0, 0, PATIENT_MS), 0);
    for (answered = 0; ends[i] == 0 && answered < 20; answered++) {
        ck_assert_int_eq(fipc_reply(keeper.kept[answered], NULL, 0), 0);
        ck_assert_int_ge(fipc_dispatch(client, PATIENT_MS), 1);
    }
    ck_assert_int_eq(ends[i], 1);
    for (int k = answered; k < CALLS / 2; k++) {
        while (keeper_count(&keeper) <= k)
            ck_assert_int_ge(fipc_dispatch(client, 1), 0);
        ck_assert_int_eq(fipc_reply(keeper.kept[k], NULL, 0), 0);
    }
}

TEST(waits_for_services_are_not_in_the_way_of_others)
{
    char service[32];
    int i;

    for (i = 0; i < CALLS / 2; i++) {
        (void)snprintf(service, sizeof(service), "com.example.n%d", i);
        ck_assert_int_eq(submit(i, service, NULL, 0, FIPC_WAIT_SERVICE, -1), 0);
    }
    ck_assert_int_eq(submit(i, "fipc.echo", NULL, 0, 0, PATIENT_MS), 0);
    dispatch_until(1);
    ck_assert(ends[i] == 1 && errors[i] == 0);
    (void)snprintf(service, sizeof(service), "com.example.n%d", 0);
    server_start_with(&server, service, 1, handle_echo, NULL);
    dispatch_until(2);
    ck_assert(ends[0] == 1 && errors[0] == 0);
}

TEST(open_calls_are_not_in_the_way_of_waits_for_services)
{
    const int open = SUBMITTED_MAX - 100;
    uint64_t id;

    for (int i = 0; i < SUBMITTED_MAX; i++) {
        ck_assert_int_eq(fipc_submit(client, "com.example.nobody", NULL, 0, FIPC_WAIT_SERVICE, -1,
                                     note_end, &errors[i], &id),
                         0);
        ck_assert_int_eq(fipc_cancel(client, id), 0);
    }
    dispatch_until(SUBMITTED_MAX);
    n_ended = 0;
    for (int i = 0; i < open; i++)
        ck_assert_int_eq(submit(i, "fipc.delay", "20000", 5, 0, PATIENT_MS), 0);
    dispatch_until_taken(open);
    ck_assert_int_eq(submit(open, "fipc.echo", NULL, 0, FIPC_WAIT_SERVICE, PATIENT_MS), 0);
    ck_assert_int_eq(submit(open + 1, "com.example.nobody", NULL, 0, FIPC_WAIT_SERVICE, -1), 0);
    dispatch_until(1);
    ck_assert(order[0] == open && errors[open] == 0);
    dispatch_until_taken(open + 1);
}

TEST(cancelled_wait_for_a_service_is_told)
{
    uint64_t id;

    ck_assert_int_eq(fipc_submit(client, "com.example.nobody", NULL, 0, FIPC_WAIT_SERVICE, -1,
                                 note_end, &errors[0], &id),
                     0);
    wait_until_taken(1);
    ck_assert_int_eq(fipc_cancel(client, id), 0);
    wait_until_taken(0);
    dispatch_until(1);
    ck_assert_int_eq(errors[0], -ECANCELED);
}

TEST(who_does_not_wait_for_a_service_is_told_at_once)
{
    ck_assert_int_eq(submit(0, SERVICE, NULL, 0, FIPC_WAIT_SERVICE, PATIENT_MS), 0);
    wait_until_taken(1);
    ck_assert_int_eq(submit(1, SERVICE, NULL, 0, 0, PATIENT_MS), 0);
    ck_assert_int_eq(submit(2, SERVICE, NULL, 0, FIPC_NO_WAIT, PATIENT_MS), 0);
    dispatch_until(2);
    ck_assert(errors[1] == -ENOENT && errors[2] == -ENOENT);
    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    dispatch_until(3);
    ck_assert_int_eq(errors[0], 0);
}

/* ---- the fd beside threads that read ---- */

static int readable_polls_in(int ms)
{
    uint64_t start_ns = fipc_now_ns();
    int n = 0;

    while (ms_since(start_ns) < (uint64_t)ms) {
        if (is_readable(ms))
            n++;
        ck_assert_int_ge(fipc_dispatch(client, 0), 0);
    }
    return n;
}

TEST(fd_is_silent_while_another_thread_reads)
{
    struct background_call call;

    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    background_start(&call, SERVICE, 0, PATIENT_MS);
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
    (void)fipc_fd(client);
    ck_assert_int_eq(submit(0, "fipc.echo", NULL, 0, 0, PATIENT_MS), 0);
    dispatch_until(1);
    ck_assert_int_lt(readable_polls_in(100), 10);
    answer_kept(1);
    ck_assert_int_eq(background_join(&call), 0);
}

TEST(fd_is_silent_while_another_thread_connects)
{
    struct background_call call;

    (void)fipc_fd(client);
    ck_assert_int_eq(submit(0, "fipc.delay", "20000", 5, FIPC_IDEMPOTENT, 500), 0);
    test_broker_kill(&broker);
    while (readable_polls_in(50) > 10) /* it notices, and tries itself */
        ;
    background_start(&call, "fipc.echo", 0, 500);
    ck_assert_int_lt(readable_polls_in(200), 50);
    (void)background_join(&call);
}

/* ---- time ---- */

TEST(calls_that_are_over_are_not_worked_on)
{
    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    stop_broker();
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(submit(i, SERVICE, NULL, 0, 0, PATIENT_MS), 0);
    for (int i = 100; i < 200; i++)
        ck_assert_int_eq(submit(i, SERVICE, NULL, 0, 0, 50), 0);
    dispatch_until(100);
    continue_broker();
    wait_until_taken(100);
    for (int i = 0; i < 100; i++) {
        while (keeper_count(&keeper) <= i)
            ck_assert_int_ge(fipc_dispatch(client, 1), 0);
        ck_assert_int_eq(fipc_reply(keeper.kept[i], NULL, 0), 0);
    }
    dispatch_until(200);
    ck_assert_int_eq(keeper_count(&keeper), 100);
}

static _Atomic int n_told;

static void count_told(int error, const fipc_message *reply, void *userdata)
{
    (void)reply;
    *(int *)userdata = error;
    atomic_fetch_add(&n_told, 1);
}

static void *dispatch_long(void *arg)
{
    while (atomic_load(&n_told) < 2)
        EXPECT(fipc_dispatch(client, PATIENT_MS) >= 0);
    return arg;
}

static void submit_counted(const char *ms, int timeout_ms, int *error)
{
    ck_assert_int_eq(
        fipc_submit(client, "fipc.delay", ms, strlen(ms), 0, timeout_ms, count_told, error, NULL),
        0);
}

LOOP_TEST(call_ends_in_time_whoever_reads, 2)
{
    struct background_call call;
    uint64_t start_ns;
    pthread_t thread;
    int first, second;

    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    background_start(&call, SERVICE, 0, PATIENT_MS);
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
    if (_i == 0)
        (void)fipc_fd(client);
    else
        thread = thread_start(dispatch_long, NULL);
    submit_counted("1", PATIENT_MS, &first);
    if (_i == 0)
        while (atomic_load(&n_told) < 1)
            ck_assert_int_ge(fipc_dispatch(client, PATIENT_MS), 0);
    TEST_WAIT_FOR(atomic_load(&n_told) == 1);
    stop_broker(); /* it cannot tell that the time is over */
    start_ns = fipc_now_ns();
    submit_counted("20000", 100, &second);
    while (_i == 0 && atomic_load(&n_told) < 2) {
        ck_assert(is_readable(PATIENT_MS));
        ck_assert_int_ge(fipc_dispatch(client, 0), 0);
    }
    if (_i == 1)
        thread_join(thread);
    ck_assert(first == 0 && second == -ETIMEDOUT);
    ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS / 4);
    continue_broker();
    answer_kept(1);
    ck_assert_int_eq(background_join(&call), 0);
}

/* ---- brokers that do not answer ---- */

TEST(name_is_served_after_an_attempt_that_took_too_long)
{
    fipc_options options = options_for_broker();

    close_client();
    options.connect_timeout_ms = 200;
    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    stop_broker();
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_echo, NULL), -ECONNREFUSED);
    continue_broker();
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_echo, NULL), 0);
    submit_numbered(0, 1, 0);
    dispatch_until(1);
    expect_each_ended_once(1, 0);
}

TEST(reply_that_no_broker_takes_ends_the_connection)
{
    static char large[30000];

    close_client();
    test_broker_stop(&broker);
    start_with_config("{\"timeouts\": {\"handler_ms\": 300}}");
    open_client();
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_keep, &keeper), 0);
    submit_numbered(0, 1, 0);
    while (keeper_count(&keeper) == 0)
        ck_assert_int_ge(fipc_dispatch(client, PATIENT_MS), 0);
    ck_assert_int_eq(fipc_wait(client, "fipc.echo", PATIENT_MS), 0);
    stop_broker();
    while (submit(1, "fipc.echo", large, sizeof(large), FIPC_NO_WAIT, PATIENT_MS) == 0)
        ;
    ck_assert_int_eq(fipc_reply(keeper.kept[0], large, sizeof(large)), -ECONNRESET);
    continue_broker();
    keeper = KEEPER_EMPTY;
    submit_numbered(2, 1, FIPC_WAIT_SERVICE);
    while (keeper_count(&keeper) == 0) /* it may be given the next one */
        ck_assert_int_ge(fipc_dispatch(client, PATIENT_MS), 0);
    answer_kept(1);
}

/* ---- a broker without manners ---- */

static struct fake_broker fake;

static void set_up_fake(void)
{
    note_holdings();
    fake_init(&fake, 2);
}

static void tear_down_fake(void)
{
    close_client();
    fake_deinit(&fake);
    expect_same_holdings();
}

static void answer_serve(int status)
{
    const struct fipc_control served = {.type = FIPC_CONTROL_SERVED};
    struct fipc_header header = {
        .kind = FIPC_KIND_CONTROL, .target = FAKE_TARGET, .status = status};

    EXPECT(fake_receive(&fake));
    header.id = fake.header.id;
    fake_send_control(&fake, &header, &served);
}

static void *answer_second_serve(void *arg)
{
    const struct fipc_header nonsense = {.kind = FIPC_KIND_CONTROL};

    fake_accept(&fake);
    fake_welcome(&fake);
    EXPECT(fake_receive(&fake));
    fake_send(&fake, &nonsense, NULL, 0);
    EXPECT(!fake_receive(&fake));
    fake_drop(&fake);
    fake_accept(&fake);
    fake_welcome(&fake);
    answer_serve(0);
    return arg;
}

/* Room is there again before anybody has seen that there was none. */
static void *refuse_once(void *arg)
{
    const struct fipc_control room = {.type = FIPC_CONTROL_ROOM};
    const struct fipc_header told = {.kind = FIPC_KIND_CONTROL, .target = FAKE_TARGET};
    struct fipc_header full = {
        .kind = FIPC_KIND_REPLY, .flags = FIPC_REPLY_NOT_DELIVERED, .status = -EAGAIN};

    fake_accept(&fake);
    fake_welcome(&fake);
    fake_receive_request(&fake);
    full.id = fake.header.id;
    EXPECT(fipc_producer_send(&fake.channel.out, &full, NULL, 0) == 0);
    fake_send_control(&fake, &told, &room);
    fake_serve(&fake);
    return arg;
}

GROUP(nonsense, .timeout = 60, .fixtures = {{set_up_fake, tear_down_fake}});

TEST(room_that_comes_with_the_refusal_counts)
{
    const fipc_options options = {
        .size = sizeof(options), .socket = fake.address.sun_path, .spin_us = UINT32_MAX};
    pthread_t thread = thread_start(refuse_once, NULL);

    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    ck_assert_int_eq(fipc_call(client, SERVICE, NULL, 0, 0, PATIENT_MS, NULL), 0);
    close_client();
    (void)pthread_join(thread, NULL);
}

TEST(name_is_asked_for_again_after_nonsense)
{
    const fipc_options options = {.size = sizeof(options), .socket = fake.address.sun_path};
    pthread_t thread = thread_start(answer_second_serve, NULL);

    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_echo, NULL), 0);
    thread_join(thread);
}

static void *refuse_second_serve(void *arg)
{
    fake_accept(&fake);
    fake_welcome(&fake);
    answer_serve(0);
    fake_drop(&fake);
    fake_accept(&fake);
    fake_welcome(&fake);
    answer_serve(-EDQUOT);
    answer_serve(0);
    return arg;
}

TEST(name_that_was_lost_can_be_served_again)
{
    const fipc_options options = {.size = sizeof(options), .socket = fake.address.sun_path};
    pthread_t thread = thread_start(refuse_second_serve, NULL);
    int r;

    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_echo, NULL), 0);
    do
        r = fipc_dispatch(client, 10);
    while (r == 0);
    ck_assert_int_eq(r, -EDQUOT);
    ck_assert_int_eq(fipc_dispatch(client, 10), 0);
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_echo, NULL), 0);
    thread_join(thread);
}

static void *answer_name(void *arg)
{
    fake_accept(&fake);
    fake_welcome(&fake);
    fake_receive_request(&fake);
    fake_answer(&fake);
    return arg;
}

TEST(corrupt_ring_and_hang_up_lose_the_connection_once)
{
    const fipc_options options = {.size = sizeof(options), .socket = fake.address.sun_path};
    pthread_t thread = thread_start(answer_name, NULL);
    int n;

    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    ck_assert_int_eq(echo(client, 10, 1), 0);
    thread_join(thread);
    n = fill_ring("fipc.echo");
    ck_assert_int_eq(submit(n, "fipc.echo", filling, sizeof(filling), 0, PATIENT_MS), 0);
    atomic_store(&fake.channel.in.shared->head, 7);
    fake_drop(&fake);
    for (int i = 0; i < 5; i++) /* after a moment of silence it is the hang-up that is seen first */
        test_pause();
    while (n_ended == 0)
        ck_assert_int_ge(fipc_dispatch(client, 100), 0);
}

/* SPDX-License-Identifier: MIT */
/* Calls that wait in the client end in time, also beside a broker that does not answer. */
#include "tests/integration/outgoing_fixture.h"
#include "tests/suite.h"

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

GROUP(ending, .timeout = 60, .fixtures = {{set_up_calls, tear_down_calls}});

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
    test_broker_freeze(&broker);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(submit(i, SERVICE, NULL, 0, 0, PATIENT_MS), 0);
    for (int i = 100; i < 200; i++)
        ck_assert_int_eq(submit(i, SERVICE, NULL, 0, 0, 50), 0);
    dispatch_until(100);
    test_broker_thaw(&broker);
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
    test_broker_freeze(&broker); /* it cannot tell that the time is over */
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
    test_broker_thaw(&broker);
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
    test_broker_freeze(&broker);
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_echo, NULL), -ECONNREFUSED);
    test_broker_thaw(&broker);
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
    test_broker_freeze(&broker);
    while (submit(1, "fipc.echo", large, sizeof(large), FIPC_NO_WAIT, PATIENT_MS) == 0)
        ;
    ck_assert_int_eq(fipc_reply(keeper.kept[0], large, sizeof(large)), -ECONNRESET);
    test_broker_thaw(&broker);
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

/* SPDX-License-Identifier: MIT */
/* A broker that is gone raises no SIGPIPE, at whatever step it goes. */
#include "tests/integration/sigpipe_fixture.h"

static void kill_broker(void) { test_broker_kill(&broker); }

static void stop_broker(void) { test_broker_stop(&broker); }

static void (*const ends[])(void) = {kill_broker, stop_broker};

GROUP(signals, .timeout = 60, .fixtures = {{set_up_client, tear_down_client}});

/* SIGPIPE would end the test. */
LOOP_TEST(broker_that_ends_raises_no_sigpipe, COUNT_OF(ends))
{
    const fipc_options options = options_for_broker();

    handle(SIGPIPE, SIG_DFL);
    ck_assert_int_eq(echo(client, 100, 1), 0);
    ends[_i]();
    ck_assert_int_eq(delay(client, 1, SHORT_MS), -ECONNREFUSED);
    ck_assert_int_eq(fipc_call_once(&options, "fipc.ping", NULL, 0, SHORT_MS, NULL), -ECONNREFUSED);
    test_broker_start(&broker, NULL);
    ck_assert_int_eq(echo(client, 100, 1), 0);
}

static struct fake_broker fake;

/* For good: a later client finds nobody. */
static void be_gone(void)
{
    ck_assert_int_eq(close(fake.listener_fd), 0);
    fake.listener_fd = -1;
    fake_drop(&fake);
}

static void be_gone_once(void)
{
    before_send = NULL;
    be_gone();
}

static void hear_hello(void) { fake_accept(&fake); }

static void welcome(void)
{
    fake_accept(&fake);
    fake_welcome(&fake);
}

static void hear_name(void)
{
    welcome();
    ck_assert(fake_receive(&fake));
}

static void hear_request(void)
{
    welcome();
    fake_receive_request(&fake);
}

static void answer(void)
{
    hear_request();
    fake_answer(&fake);
}

/* The steps of a broker until it is gone; the results of connecting and of the first call. */
static const struct {
    void (*until)(void);
    int connected, first;
} steps[] = {
    {hear_hello, -ECONNREFUSED, 0},
    {welcome, 0, -ECONNREFUSED},
    {hear_name, 0, -ECONNREFUSED},
    {hear_request, 0, -ECONNRESET},
    {answer, 0, 0},
};

static void *run_until_gone(void *arg)
{
    steps[*(const int *)arg].until();
    be_gone();
    return NULL;
}

/* Where the broker is gone, another one is waited for in vain. */
static int timeout_for(int expected) { return expected == -ECONNREFUSED ? 1000 : PATIENT_MS; }

static fipc_options options_for_fake(int connect_timeout_ms)
{
    return (fipc_options){
        .size = sizeof(fipc_options),
        .socket = fake.address.sun_path,
        .connect_timeout_ms = connect_timeout_ms,
    };
}

static int call_fake(int timeout_ms)
{
    return fipc_call(client, "fipc.echo", "x", 1, 0, timeout_ms, NULL);
}

static void set_up_fake(void)
{
    note_holdings();
    handle(SIGPIPE, SIG_DFL);
    fake_init(&fake, 1);
}

static void tear_down_fake(void)
{
    close_client();
    fake_deinit(&fake);
    expect_same_holdings();
}

GROUP(fake, .timeout = 60, .fixtures = {{set_up_fake, tear_down_fake}});

LOOP_TEST(broker_that_is_gone_while_it_is_used_raises_no_sigpipe, COUNT_OF(steps))
{
    const fipc_options options = options_for_fake(timeout_for(steps[_i].connected));
    pthread_t thread = thread_start(run_until_gone, &_i);

    ck_assert_int_eq(fipc_connect(&client, &options), steps[_i].connected);
    if (client != NULL)
        ck_assert_int_eq(call_fake(timeout_for(steps[_i].first)), steps[_i].first);
    thread_join(thread);
    if (client != NULL)
        ck_assert_int_eq(call_fake(SHORT_MS), -ECONNREFUSED);
}

TEST(broker_that_is_gone_before_it_hears_anything_raises_no_sigpipe)
{
    const fipc_options options = options_for_fake(SHORT_MS);

    before_send = be_gone_once;
    ck_assert_int_eq(fipc_connect(&client, &options), -ECONNREFUSED);
    ck_assert_ptr_null(before_send);
}

TEST(broker_that_is_gone_before_a_oneshot_raises_no_sigpipe)
{
    const fipc_options options = options_for_fake(PATIENT_MS);

    before_send = be_gone_once;
    ck_assert_int_eq(fipc_call_once(&options, "fipc.ping", NULL, 0, 200, NULL), -ECONNREFUSED);
    ck_assert_ptr_null(before_send);
}

/* SPDX-License-Identifier: MIT */
/* A broker that breaks the rules of a ring. */
#include "tests/integration/hostile_fixture.h"

static void corrupt_tail(void)
{
    struct fipc_control_block *control = fipc_region_control(&fake.channel.region);

    fipc_ring_positions_init(&control->reply, 12345);
    (void)fipc_channel_ring(&fake.channel, FIPC_NEWS_RECORDS);
}

/* A record of zeros only, as a hole in the memory reads. */
static void corrupt_record(void)
{
    atomic_fetch_add(&fake.channel.out.shared->tail, FIPC_RECORD_ALIGN);
    (void)fipc_channel_ring(&fake.channel, FIPC_NEWS_RECORDS);
}

static void send_kind(uint16_t kind)
{
    const struct fipc_header header = {.kind = kind, .id = fake.header.id};

    fake_send(&fake, &header, "x", 1);
}

static void send_unknown_kind(void) { send_kind(99); }

static void send_request(void) { send_kind(FIPC_KIND_REQUEST); }

static void send_control_that_is_none(void) { send_kind(FIPC_KIND_CONTROL); }

static void send_large_control(void)
{
    static const unsigned char zeros[1000];
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL, .id = fake.header.id};

    fake_send(&fake, &header, zeros, sizeof(zeros));
}

static void send_hello(void)
{
    static const struct fipc_control hello = {.type = FIPC_CONTROL_HELLO};
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL, .id = fake.header.id};

    fake_send_control(&fake, &header, &hello);
}

static void send_positive_status(void)
{
    const struct fipc_header header = {.kind = FIPC_KIND_REPLY, .id = fake.header.id, .status = 1};

    fake_send(&fake, &header, NULL, 0);
}

static void (*const bad_rings[])(void) = {
    corrupt_tail, corrupt_record,       send_unknown_kind,  send_request, send_control_that_is_none,
    send_hello,   send_positive_status, send_large_control,
};

static void *answer_badly(void *arg)
{
    fake_accept(&fake);
    fake_welcome(&fake);
    fake_receive_request(&fake);
    bad_rings[*(const int *)arg]();
    if (!fipc_lane_is_hung_up(fake.lane_fd))
        fake_serve(&fake); /* where the client goes on with us */
    fake_drop(&fake);
    return NULL;
}

GROUP(rings, .timeout = 60, .fixtures = {{set_up, tear_down}});

LOOP_TEST(bad_ring_is_a_violation, COUNT_OF(bad_rings))
{
    pthread_t thread = thread_start(answer_badly, &_i);

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), 0);
    ck_assert_int_eq(echo(client, 10, 1), -EPROTO);
    close_client();
    thread_join(thread);
}

static void *answer_badly_then_serve(void *arg)
{
    fake_accept(&fake);
    fake_welcome(&fake);
    fake_receive_request(&fake);
    send_unknown_kind();
    TEST_WAIT_FOR(fipc_lane_is_hung_up(fake.lane_fd));
    fake_drop(&fake);
    fake_accept(&fake);
    fake_welcome(&fake);
    fake_serve(&fake);
    return arg;
}

TEST(next_call_after_a_violation_connects_anew)
{
    pthread_t thread = thread_start(answer_badly_then_serve, NULL);

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), 0);
    ck_assert_int_eq(echo(client, 10, 1), -EPROTO);
    ck_assert_int_eq(echo(client, 10, 2), 0);
    close_client();
    thread_join(thread);
}

static void *answer_once(void *arg)
{
    fake_accept(&fake);
    fake_welcome(&fake);
    fake_receive_request(&fake);
    fake_answer(&fake);
    TEST_WAIT_FOR(fipc_lane_is_hung_up(fake.lane_fd));
    return arg;
}

static void corrupt_head(struct fipc_control_block *control)
{
    fipc_ring_positions_init(&control->request, 12345);
}

static void corrupt_end(struct fipc_control_block *control) { fipc_end_set(&control->broker, 99); }

static void (*const bad_looks[])(struct fipc_control_block *control) = {corrupt_head, corrupt_end};

LOOP_TEST(corruption_that_the_sender_meets_is_a_violation, COUNT_OF(bad_looks))
{
    static const unsigned char data[2000];
    pthread_t thread = thread_start(answer_once, NULL);
    int r;

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), 0);
    ck_assert_int_eq(echo(client, 2000, 1), 0);
    bad_looks[_i](fipc_region_control(&fake.channel.region));
    do
        r = fipc_call(client, "fipc.echo", data, sizeof(data), 0, 0, NULL);
    while (r == -ETIMEDOUT);
    ck_assert_int_eq(r, -EPROTO);
    thread_join(thread);
}

static void *answer_strangely(void *arg)
{
    struct fipc_header stray = {.kind = FIPC_KIND_REPLY};

    fake_accept(&fake);
    fake_welcome(&fake);
    fake_receive_request(&fake);
    for (uint64_t id = 0; id < 3; id++) {
        stray.id = id;
        fake_send(&fake, &stray, "stray", 5);
    }
    fake_answer(&fake);
    fake_answer(&fake); /* the same once more */
    fake_serve(&fake);
    return arg;
}

TEST(answers_to_nobody_and_second_answers_are_dropped)
{
    pthread_t thread = thread_start(answer_strangely, NULL);

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), 0);
    ck_assert_int_eq(echo(client, 10, 1), 0);
    ck_assert_int_eq(echo(client, 10, 2), 0);
    close_client();
    thread_join(thread);
}

static void *say_goodbye_then_serve(void *arg)
{
    static const struct fipc_control goodbye = {.type = FIPC_CONTROL_GOODBYE};
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL};

    fake_accept(&fake);
    fake_welcome(&fake);
    fake_receive_request(&fake);
    fake_answer(&fake);
    fake_receive_request(&fake);
    fake_answer(&fake);
    fake_send_control(&fake, &header, &goodbye);
    fake_drop(&fake);
    fake_accept(&fake);
    fake_welcome(&fake);
    fake_serve(&fake);
    return arg;
}

TEST(goodbye_between_calls_goes_unnoticed)
{
    pthread_t thread = thread_start(say_goodbye_then_serve, NULL);

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), 0);
    for (uint64_t i = 0; i < 4; i++) {
        test_pause();
        test_pause();
        ck_assert_int_eq(echo(client, 10, i), 0);
    }
    close_client();
    thread_join(thread);
}

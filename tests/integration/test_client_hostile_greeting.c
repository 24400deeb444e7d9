/* SPDX-License-Identifier: MIT */
/* A broker that greets a client badly, or not at all. */
#include "tests/integration/hostile_fixture.h"

#include <poll.h>

/* ---- greetings ---- */

struct refusal {
    enum fipc_reason reason;
    uint32_t retry_ms;
    int error;
};

static const struct refusal refusals[] = {
    {FIPC_REASON_QUOTA, 0, -EDQUOT},
    {FIPC_REASON_VERSION, 0, -EPROTONOSUPPORT},
    {FIPC_REASON_MALFORMED, 0, -EPROTO},
    {FIPC_REASON_UNEXPECTED, 0, -EPROTO},
    {FIPC_REASON_FDS, 0, -EPROTO},
    {FIPC_REASON_RING_BYTES, 0, -EINVAL},
    {FIPC_REASON_NO_SLOT, 0, -EAGAIN},
    {FIPC_REASON_COUNT, 0, -EPROTO},
    {FIPC_REASON_STOPPING, 0, -ECONNREFUSED},
    {FIPC_REASON_NO_REQUEST, 0, -ECONNREFUSED},
};

static void *refuse_once(void *arg)
{
    const struct refusal *refusal = &refusals[*(const int *)arg];

    fake_accept(&fake);
    fake_refuse(&fake, refusal->reason, refusal->retry_ms);
    return NULL;
}

GROUP(greetings, .timeout = 60, .fixtures = {{set_up, tear_down}});

LOOP_TEST(refusal_is_an_error_at_once, COUNT_OF(refusals))
{
    pthread_t thread = thread_start(refuse_once, &_i);
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), refusals[_i].error);
    ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS / 2);
    ck_assert_ptr_null(client);
    thread_join(thread);
}

static const enum fipc_reason passing_reasons[] = {FIPC_REASON_NO_SLOT, FIPC_REASON_SHORT,
                                                   FIPC_REASON_QUOTA, FIPC_REASON_STOPPING,
                                                   FIPC_REASON_RESTARTING};

static void *refuse_then_serve(void *arg)
{
    enum fipc_reason reason = passing_reasons[*(const int *)arg];

    for (int i = 0; i < 3; i++) {
        fake_accept(&fake);
        fake_refuse(&fake, reason, 5);
        fake_drop(&fake);
    }
    fake_accept(&fake);
    fake_welcome(&fake);
    fake_serve(&fake);
    return NULL;
}

static void *refuse_with_patience(void *arg)
{
    fake_accept(&fake);
    fake_refuse(&fake, FIPC_REASON_QUOTA, 1000);
    return arg;
}

TEST(patience_ends_at_the_deadline_with_the_reason)
{
    pthread_t thread = thread_start(refuse_with_patience, NULL);

    /* the last try, at the deadline, finds nobody who answers */
    ck_assert_int_eq(connect_to_fake(300), -EDQUOT);
    ck_assert_ptr_null(client);
    thread_join(thread);
}

LOOP_TEST(broker_that_asks_for_patience_is_asked_again, COUNT_OF(passing_reasons))
{
    pthread_t thread = thread_start(refuse_then_serve, &_i);

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), 0);
    ck_assert_int_eq(echo(client, 100, 1), 0);
    close_client();
    thread_join(thread);
}

static void *drop_then_serve(void *arg)
{
    for (int i = 0; i < 3; i++) {
        fake_accept(&fake);
        fake_drop(&fake);
    }
    fake_accept(&fake);
    fake_welcome(&fake);
    fake_serve(&fake);
    return arg;
}

TEST(broker_that_hangs_up_before_welcome_is_asked_again)
{
    pthread_t thread = thread_start(drop_then_serve, NULL);

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), 0);
    ck_assert_int_eq(echo(client, 100, 1), 0);
    close_client();
    thread_join(thread);
}

TEST(broker_that_says_nothing_is_no_broker)
{
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(connect_to_fake(60), -ECONNREFUSED);
    ck_assert_uint_ge(ms_since(start_ns), 60);
    ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS);
}

static void say_garbage(void)
{
    static const char garbage[100] = "HTTP/1.1 400 Bad Request\r\n";

    fake_send_bytes(&fake, garbage, sizeof(garbage));
}

static void say_one_byte(void) { fake_send_bytes(&fake, "x", 1); }

static void say_too_much(void)
{
    static const unsigned char zeros[60000];

    fake_send_bytes(&fake, zeros, sizeof(zeros));
}

static void say_another_version(void)
{
    struct fipc_control refused = {.type = FIPC_CONTROL_REFUSED};
    unsigned char packet[64];
    size_t size;

    ck_assert_int_eq(fipc_control_encode(&refused, packet, sizeof(packet), &size), 0);
    ((struct fipc_control_header *)(void *)packet)->version = FIPC_CONTROL_VERSION + 1;
    fake_send_bytes(&fake, packet, size);
}

static void say_hello_back(void)
{
    static const struct fipc_control hello = {.type = FIPC_CONTROL_HELLO};

    fake_send_packet(&fake, &hello, NULL, 0);
}

static void answer_as_to_a_oneshot(void)
{
    static const struct fipc_control reply = {.type = FIPC_CONTROL_ONESHOT_REPLY};

    fake_send_packet(&fake, &reply, NULL, 0);
}

static void welcome_with(uint32_t request_ring_bytes, uint32_t reply_ring_bytes, const int *fds,
                         size_t n_fds)
{
    struct fipc_control welcome = {
        .type = FIPC_CONTROL_WELCOME,
        .welcome = {.request_ring_bytes = request_ring_bytes,
                    .reply_ring_bytes = reply_ring_bytes,
                    .handler_ms = 30000,
                    .calls_max = 1024,
                    .n_places = FIPC_PLACES_MAX},
    };

    fake_send_packet(&fake, &welcome, fds, n_fds);
}

static void welcome_without_fds(void) { welcome_with(FAKE_RING_BYTES, FAKE_RING_BYTES, NULL, 0); }

static void welcome_without_bell(void)
{
    fake_make_channel(&fake);
    welcome_with(FAKE_RING_BYTES, FAKE_RING_BYTES, &fake.region_fd, 1);
}

static void welcome_with_three_fds(void)
{
    fake_make_channel(&fake);
    welcome_with(FAKE_RING_BYTES, FAKE_RING_BYTES,
                 (const int[]){fake.region_fd, fake.bell_fd, fake.bell_fd}, 3);
}

static void welcome_with_fds_swapped(void)
{
    fake_make_channel(&fake);
    welcome_with(FAKE_RING_BYTES, FAKE_RING_BYTES, (const int[]){fake.bell_fd, fake.region_fd}, 2);
}

static void welcome_to_larger_rings(void)
{
    fake_make_channel(&fake);
    welcome_with(2 * FAKE_RING_BYTES, FAKE_RING_BYTES, (const int[]){fake.region_fd, fake.bell_fd},
                 2);
}

static void welcome_to_rings_of_no_power_of_two(void)
{
    fake_make_channel(&fake);
    welcome_with(FAKE_RING_BYTES + 4096, FAKE_RING_BYTES - 4096,
                 (const int[]){fake.region_fd, fake.bell_fd}, 2);
}

static void (*const bad_greetings[])(void) = {
    say_garbage,
    say_one_byte,
    say_too_much,
    say_hello_back,
    answer_as_to_a_oneshot,
    welcome_without_fds,
    welcome_without_bell,
    welcome_with_three_fds,
    welcome_with_fds_swapped,
    welcome_to_larger_rings,
    welcome_to_rings_of_no_power_of_two,
};

static void *greet_badly(void *arg)
{
    fake_accept(&fake);
    bad_greetings[*(const int *)arg]();
    return NULL;
}

LOOP_TEST(bad_greeting_is_a_violation, COUNT_OF(bad_greetings))
{
    pthread_t thread = thread_start(greet_badly, &_i);

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), -EPROTO);
    thread_join(thread);
}

static void *speak_another_version(void *arg)
{
    (void)arg;
    fake_accept(&fake);
    say_another_version();
    return NULL;
}

TEST(broker_of_another_version_is_told)
{
    pthread_t thread = thread_start(speak_another_version, NULL);

    ck_assert_int_eq(connect_to_fake(PATIENT_MS), -EPROTONOSUPPORT);
    thread_join(thread);
}

static const struct fipc_control bad_replies[] = {
    {.type = FIPC_CONTROL_ONESHOT_REPLY, .oneshot_reply = {.id = 5}},
    {.type = FIPC_CONTROL_ONESHOT_REPLY, .oneshot_reply = {.status = 5}},
    {.type = FIPC_CONTROL_WELCOME},
};

static void *answer_oneshot_badly(void *arg)
{
    struct fipc_control reply = bad_replies[*(const int *)arg];

    fake_accept(&fake);
    if (reply.type == FIPC_CONTROL_ONESHOT_REPLY && reply.oneshot_reply.id == 0)
        reply.oneshot_reply.id = fake.hello.id;
    fake_send_packet(&fake, &reply, NULL, 0);
    return NULL;
}

static int call_fake_once(int timeout_ms)
{
    const fipc_options options = {.size = sizeof(options), .socket = fake.address.sun_path};

    return fipc_call_once(&options, "fipc.echo", "x", 1, timeout_ms, NULL);
}

LOOP_TEST(bad_reply_to_a_oneshot_is_a_violation, COUNT_OF(bad_replies))
{
    pthread_t thread = thread_start(answer_oneshot_badly, &_i);

    ck_assert_int_eq(call_fake_once(PATIENT_MS), -EPROTO);
    thread_join(thread);
}

static void *accept_and_drop(void *arg)
{
    fake_accept(&fake);
    fake_drop(&fake);
    return arg;
}

TEST(oneshot_is_not_sent_twice)
{
    pthread_t thread = thread_start(accept_and_drop, NULL);

    ck_assert_int_eq(call_fake_once(PATIENT_MS), -ECONNRESET);
    thread_join(thread);
    ck_assert_int_eq(call_fake_once(30), -ECONNREFUSED);
}

/* As a broker that dies with connections in its backlog, or greetings that it has not read. */
static void *answer_the_second(void *arg)
{
    struct fipc_control answer = {.type = FIPC_CONTROL_ONESHOT_REPLY};
    struct pollfd lane = {.fd = accept(fake.listener_fd, NULL, NULL), .events = POLLIN};

    EXPECT(poll(&lane, 1, PATIENT_MS) == 1);
    EXPECT(close(lane.fd) == 0);
    fake_accept(&fake);
    answer.oneshot_reply.id = fake.hello.id;
    fake_send_packet(&fake, &answer, NULL, 0);
    return arg;
}

TEST(oneshot_that_nobody_read_is_sent_again)
{
    pthread_t thread = thread_start(answer_the_second, NULL);

    ck_assert_int_eq(call_fake_once(PATIENT_MS), 0);
    thread_join(thread);
}

TEST(oneshot_that_was_refused_tells_why_in_the_end)
{
    pthread_t thread = thread_start(refuse_with_patience, NULL);

    ck_assert_int_eq(call_fake_once(300), -EDQUOT);
    thread_join(thread);
}

/* ---- a full backlog ---- */

#define CONNECTORS 8

/* Without signals, and with one a millisecond. */
static const int storms_us[] = {0, 1000};

static void *connect_and_call(void *arg)
{
    const fipc_options options = {
        .size = sizeof(options),
        .socket = fake.address.sun_path,
        .connect_timeout_ms = PATIENT_MS,
    };
    fipc_client *own;

    ck_assert_int_eq(fipc_connect(&own, &options), 0);
    ck_assert_int_eq(echo(own, 100, 1), 0);
    fipc_unref(own);
    return arg;
}

LOOP_TEST(full_backlog_is_waited_out, COUNT_OF(storms_us))
{
    pthread_t threads[CONNECTORS];

    ck_assert_int_eq(listen(fake.listener_fd, 0), 0);
    set_storm(storms_us[_i]);
    for (int i = 0; i < CONNECTORS; i++)
        threads[i] = thread_start(connect_and_call, NULL);
    for (int i = 0; i < CONNECTORS; i++) {
        fake_accept(&fake);
        fake_welcome(&fake);
        fake_serve(&fake);
        fake_drop(&fake);
    }
    for (int i = 0; i < CONNECTORS; i++)
        thread_join(threads[i]);
    set_storm(0);
}

LOOP_TEST(full_backlog_is_no_broker_at_the_deadline, COUNT_OF(storms_us))
{
    uint64_t start_ns;

    ck_assert_int_eq(listen(fake.listener_fd, 0), 0);
    ck_assert_int_eq(connect_to_fake(20), -ECONNREFUSED); /* its connection is there still */
    start_ns = fipc_now_ns();
    set_storm(storms_us[_i]);
    ck_assert_int_eq(connect_to_fake(100), -ECONNREFUSED);
    ck_assert_uint_ge(ms_since(start_ns), 100);
    ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS / 2);
    set_storm(0);
}

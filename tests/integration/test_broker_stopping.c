/* SPDX-License-Identifier: MIT */
/* A broker that stops: it answers the calls that are open and takes no others. */
#include "tests/integration/life_fixture.h"

#include <errno.h>
#include <string.h>

static const int stop_signals[] = {SIGTERM, SIGINT};

GROUP(stopping, .timeout = 30, .fixtures = {{make_folder, remove_folder}});

LOOP_TEST(signal_ends_it_with_status_zero, COUNT_OF(stop_signals))
{
    start();
    stop(stop_signals[_i]);
    check_ended();
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": error: "), 0);
}

LOOP_TEST(sessions_are_told_goodbye, COUNT_OF(stop_signals))
{
    enum fipc_reason reason;

    start();
    open_session();
    stop(stop_signals[_i]);

    ck_assert_int_eq(raw_receive_goodbye(&client, &reason), 0);
    ck_assert_uint_eq(reason, FIPC_REASON_STOPPING);
    ck_assert_uint_gt(client.packet.goodbye.retry_ms, 0);
    check_ended();
}

/* Connects, and waits until the broker has taken notice. */
static void connect_only(struct raw_client *late)
{
    struct test_witness witness;

    ck_assert_int_eq(raw_connect(late, broker.socket), 0);
    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.greeting") == 1);
    test_witness_close(&witness);
}

LOOP_TEST(who_has_not_greeted_yet_is_refused, COUNT_OF(stop_signals))
{
    start();
    connect_only(&client);
    stop(stop_signals[_i]);

    ck_assert_int_eq(raw_receive_welcome(&client), -ECONNREFUSED);
    ck_assert_uint_eq(client.packet.refused.reason, FIPC_REASON_STOPPING);
    check_ended();
}

/* A session with one fipc.delay open. Return: the request's id */
static uint64_t open_delay(const char *ms)
{
    struct test_witness witness;
    uint32_t delay;
    uint64_t id;

    open_session();
    ck_assert_int_eq(raw_open_name(&client, "fipc.delay", &delay), 0);
    ck_assert_int_eq(raw_send_request(&client, delay, ms, strlen(ms), &id), 0);
    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_slot_number(&witness, client.welcome.slot, "calls") == 1);
    test_witness_close(&witness);
    return id;
}

static bool has_stopped_listening(void)
{
    struct raw_client probe = RAW_CLIENT_EMPTY;
    int r = raw_connect(&probe, broker.socket);

    raw_close(&probe);
    return r < 0;
}

/* It waits for open calls longer than any test does, but not longer than they take. */
static const char very_patient[] = "{\"timeouts\": {\"drain_ms\": 600000}}";

LOOP_TEST(open_call_is_answered_before_goodbye, COUNT_OF(stop_signals))
{
    enum fipc_reason reason;
    uint64_t id;

    start_with_config(very_patient);
    id = open_delay("300");
    stop(stop_signals[_i]);

    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_int_eq(client.header.kind, FIPC_KIND_REPLY);
    ck_assert_uint_eq(client.header.id, id);
    ck_assert_int_eq(client.header.status, 0);
    ck_assert_int_eq(raw_receive_goodbye(&client, &reason), 0);
    ck_assert_uint_eq(reason, FIPC_REASON_STOPPING);
    check_ended();
}

LOOP_TEST(open_oneshot_is_answered, COUNT_OF(stop_signals))
{
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello = {.flags = FIPC_HELLO_ONESHOT, .id = 7, .name_bytes = 10, .data_bytes = 3},
        .name = "fipc.delay",
        .data = "300",
    };
    struct test_witness witness;

    start_with_config(very_patient);
    test_witness_open(&witness, &broker);
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_packet(&client, &hello), 0);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.oneshot") == 1);
    stop(stop_signals[_i]);

    ck_assert_int_eq(raw_receive_packet(&client), 0);
    ck_assert_int_eq(client.packet.type, FIPC_CONTROL_ONESHOT_REPLY);
    ck_assert_uint_eq(client.packet.oneshot_reply.id, 7);
    ck_assert_int_eq(client.packet.oneshot_reply.status, 0);
    test_witness_close(&witness);
    check_ended();
}

TEST(call_that_takes_too_long_is_not_waited_for)
{
    uint64_t stopped_ns;
    enum fipc_reason reason;

    start_with_config("{\"timeouts\": {\"drain_ms\": 100}}");
    (void)open_delay("20000");
    stopped_ns = fipc_now_ns();
    stop(SIGTERM);

    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_int_eq(client.header.kind,
                     FIPC_KIND_CONTROL); /* no reply: GOODBYE, which is its record */
    ck_assert_uint_ge(fipc_now_ns() - stopped_ns, 100 * FIPC_NS_PER_MS);
    ck_assert_int_eq(raw_receive_goodbye(&client, &reason), -EPIPE); /* and nothing after it */
    check_ended();
}

LOOP_TEST(second_signal_does_not_wait, COUNT_OF(stop_signals))
{
    start_with_config(very_patient);
    (void)open_delay("600000");
    stop(stop_signals[_i]);
    TEST_WAIT_FOR(has_stopped_listening());
    ck_assert(test_broker_is_alive(&broker));

    stop(stop_signals[_i]);
    check_ended();
}

LOOP_TEST(storm_of_signals_does_no_harm, COUNT_OF(stop_signals))
{
    for (int turn = 0; turn < test_scaled(50); turn++) {
        start();
        open_session();
        while (test_broker_is_alive(&broker))
            stop(stop_signals[_i]);
        check_ended();
        raw_close(&client);
    }
}

TEST(nobody_gets_in_while_it_drains)
{
    static const struct fipc_hello hello = {.flags = 0};
    struct raw_client late = RAW_CLIENT_EMPTY;

    start_with_config(very_patient);
    (void)open_delay("20000");
    connect_only(&late);
    stop(SIGTERM);
    TEST_WAIT_FOR(has_stopped_listening());
    ck_assert(!exists(broker.socket));

    ck_assert_int_eq(raw_send_hello(&late, &hello), 0);
    ck_assert_int_eq(raw_receive_welcome(&late), -ECONNREFUSED);
    ck_assert_uint_eq(late.packet.refused.reason, FIPC_REASON_STOPPING);
    raw_close(&late);
    stop(SIGTERM);
    check_ended();
}

TEST(no_oneshot_begins_while_it_drains)
{
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello = {.flags = FIPC_HELLO_ONESHOT, .name_bytes = 9},
        .name = "fipc.ping",
    };
    struct raw_client late = RAW_CLIENT_EMPTY;

    start_with_config(very_patient);
    (void)open_delay("20000");
    connect_only(&late);
    stop(SIGTERM);
    TEST_WAIT_FOR(has_stopped_listening());

    ck_assert_int_eq(raw_send_packet(&late, &hello), 0);
    ck_assert_int_eq(raw_receive_packet(&late), 0);
    ck_assert_int_eq(late.packet.type, FIPC_CONTROL_REFUSED);
    ck_assert_uint_eq(late.packet.refused.reason, FIPC_REASON_STOPPING);
    raw_close(&late);
    stop(SIGTERM);
    check_ended();
}

/* The head says which requests were delivered: the client sends the others again, elsewhere. */
TEST(request_sent_while_it_drains_is_not_taken)
{
    uint64_t id, head;
    uint32_t ping;

    start_with_config(very_patient);
    (void)open_delay("20000");
    ck_assert_int_eq(raw_open_name(&client, "fipc.ping", &ping), 0);
    stop(SIGTERM);
    TEST_WAIT_FOR(has_stopped_listening());
    head = client.channel.out.tail;
    ck_assert_int_eq(raw_send_request(&client, ping, NULL, 0, &id), 0);
    /* it looked, and sleeps again */
    TEST_WAIT_FOR(atomic_load(&client.channel.peer->word) == FIPC_END_ASLEEP_FD);
    stop(SIGTERM);

    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_int_eq(client.header.kind, FIPC_KIND_CONTROL); /* GOODBYE, and no reply before it */
    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    ck_assert_uint_eq(atomic_load(&client.channel.out.shared->head), head);
    check_ended();
}

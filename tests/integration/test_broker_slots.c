/* SPDX-License-Identifier: MIT */
/* How long a slot lives, and what a new config changes for it. */
#include "tests/integration/slots_fixture.h"
#include "tests/suite.h"

#include <string.h>

static void ck_assert_goodbye(struct raw_client *client, enum fipc_reason expected)
{
    enum fipc_reason reason;

    ck_assert_int_eq(raw_receive_goodbye(client, &reason), 0);
    ck_assert_str_eq(fipc_reason_name(reason), fipc_reason_name(expected));
}

/* ---- how long a slot lives ---- */

GROUP(life, .timeout = 30, .fixtures = {{setup, teardown}});

TEST(connection_without_hello_is_refused_after_doorbell_ms)
{
    start_with("{\"timeouts\": {\"doorbell_ms\": 200}}");
    ck_assert_int_eq(raw_connect(&clients[0], broker.socket), 0);
    ck_assert_refused(&clients[0], FIPC_REASON_NO_REQUEST);
}

TEST(session_without_a_request_is_closed_after_doorbell_ms)
{
    start_with("{\"timeouts\": {\"doorbell_ms\": 200}}");
    open_session(&clients[0]);
    ck_assert_goodbye(&clients[0], FIPC_REASON_NO_REQUEST);
}

TEST(idle_session_is_closed_after_idle_ms_without_a_warning)
{
    uint32_t target;

    start_with("{\"timeouts\": {\"idle_ms\": 200}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.echo", &target), 0);
    ck_assert_goodbye(&clients[0], FIPC_REASON_IDLE);
    ck_assert_int_eq(test_broker_log_lines(&broker, "warning"), 0);
}

TEST(session_with_an_open_call_is_never_idle)
{
    uint32_t target;
    uint64_t id;

    start_with("{\"timeouts\": {\"idle_ms\": 100}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.delay", &target), 0);
    ck_assert_int_eq(raw_send_request(&clients[0], target, "500", 3, &id), 0);
    ck_assert_int_eq(raw_receive_record(&clients[0]), 0);
    ck_assert_uint_eq(clients[0].header.kind, FIPC_KIND_REPLY);
    ck_assert_uint_eq(clients[0].header.id, id);
    ck_assert_goodbye(&clients[0], FIPC_REASON_IDLE);
}

TEST(idle_time_begins_when_the_last_call_ends)
{
    uint32_t target;
    uint64_t answered_ns;

    start_with("{\"timeouts\": {\"idle_ms\": 300}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.delay", &target), 0);
    ck_assert_int_eq(raw_call(&clients[0], target, "500", 3), 0);
    answered_ns = fipc_now_ns();
    ck_assert_int_eq(raw_wait_hang_up(&clients[0]), 0);
    ck_assert_uint_ge(fipc_now_ns() - answered_ns, 250 * FIPC_NS_PER_MS);
}

TEST(idle_ms_of_zero_closes_nobody)
{
    uint32_t target;

    start_with("{\"timeouts\": {\"idle_ms\": 0, \"doorbell_ms\": 50, \"handler_ms\": 50}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.echo", &target), 0);
    /* others come and go for longer than any of the times above */
    for (uint64_t end_ns = fipc_now_ns() + 300 * FIPC_NS_PER_MS; fipc_now_ns() < end_ns;)
        ck_assert_int_eq(number("slots.closed.idle for too long"), 0);
    ck_assert_int_eq(raw_call(&clients[0], target, "x", 1), 0);
}

/* Sends echoes until the reply ring and then the broker's patience with it are full. */
static void stop_draining(struct raw_client *client, uint32_t target)
{
    char data[1500] = {0};
    uint64_t id;

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(raw_send_request(client, target, data, sizeof(data), &id), 0);
}

TEST(client_that_does_not_take_its_replies_is_closed_after_handler_ms)
{
    uint32_t target;

    start_with("{\"timeouts\": {\"handler_ms\": 300, \"idle_ms\": 100}}");
    ck_assert_int_eq(raw_open_session(&clients[0], broker.socket, 8192, 4096), 0);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.echo", &target), 0);
    stop_draining(&clients[0], target);
    ck_assert_int_eq(raw_wait_hang_up(&clients[0]), 0);
    ck_assert_int_eq(number("slots.closed.replies not taken in time"), 1);
    ck_assert_int_ge(number("handlers.dropped"), 1);
}

TEST(client_that_drains_slowly_is_kept)
{
    uint32_t target;
    int taken = 0;

    start_with("{\"timeouts\": {\"handler_ms\": 400, \"idle_ms\": 0}}");
    ck_assert_int_eq(raw_open_session(&clients[0], broker.socket, 16384, 4096), 0);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.echo", &target), 0);
    stop_draining(&clients[0], target);
    stop_draining(&clients[0], target);
    for (; taken < 8; taken++) {
        /* less than handler_ms for each, more for all of them */
        for (uint64_t end_ns = fipc_now_ns() + 100 * FIPC_NS_PER_MS; fipc_now_ns() < end_ns;)
            test_pause();
        ck_assert_int_eq(raw_receive_record(&clients[0]), 0);
        ck_assert_uint_eq(clients[0].header.kind, FIPC_KIND_REPLY);
    }
    ck_assert_int_eq(raw_call(&clients[0], target, "x", 1), 0);
}

TEST(death_of_a_client_frees_its_slot_at_once)
{
    start_with("{\"slots\": {\"count\": 1}}");
    for (int i = 0; i < 50; i++) {
        open_session(&clients[0]);
        raw_close(&clients[0]);
    }
}

/* ---- a new config ---- */

GROUP(config, .timeout = 30, .fixtures = {{setup, teardown}});

TEST(reload_below_the_slots_in_use_closes_nobody)
{
    uint32_t target;

    start_with("{\"slots\": {\"count\": 8, \"per_uid\": 8}}");
    for (int i = 0; i < 4; i++) {
        open_session(&clients[i]);
        ck_assert_int_eq(raw_open_name(&clients[i], "fipc.echo", &target), 0);
    }
    reload("{\"slots\": {\"count\": 2, \"per_uid\": 2}}", "config reloaded");
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(raw_call(&clients[i], target, "x", 1), 0);
    knock(&clients[4], 60000);
    raw_close(&clients[0]);
    raw_close(&clients[1]);
    ck_assert_int_eq(raw_call(&clients[2], target, "x", 1), 0);
    ck_assert(!has_answer(&clients[4]));
    raw_close(&clients[2]);
    ck_assert_int_eq(raw_receive_welcome(&clients[4]), 0);
    reload("{\"slots\": {\"count\": 8, \"per_uid\": 8}}", "config reloaded");
    open_session(&clients[5]);
    open_session(&clients[6]);
}

TEST(reload_shortens_the_times_of_sessions_that_are_open)
{
    start_with("{\"timeouts\": {\"idle_ms\": 86400000, \"doorbell_ms\": 86400000,"
               " \"handler_ms\": 86400000}}");
    open_session(&clients[0]);
    reload("{\"timeouts\": {\"doorbell_ms\": 50, \"handler_ms\": 86400000}}", "config reloaded");
    ck_assert_int_eq(raw_wait_hang_up(&clients[0]), 0);
}

TEST(page_of_slots_fits_into_the_smallest_ring)
{
    uint32_t target;

    start_with("{\"slots\": {\"request_ring_bytes\": 4096, \"reply_ring_bytes\": 4096}}");
    for (int i = 0; i < CLIENTS_MAX; i++)
        open_session(&clients[i]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.stats", &target), 0);
    ck_assert_int_eq(raw_call(&clients[0], target, "slots 0", 7), 0);
    ck_assert_ptr_null(memmem(clients[0].payload, clients[0].payload_bytes, "null", 4));
    ck_assert_ptr_nonnull(memmem(clients[0].payload, clients[0].payload_bytes, "\"slot\":0", 8));
    ck_assert_int_eq(raw_call(&clients[0], target, "slots 15", 8), 0);
    ck_assert_ptr_nonnull(memmem(clients[0].payload, clients[0].payload_bytes, "\"slot\":15", 9));
}

TEST(reload_changes_the_time_to_drain)
{
    uint32_t target;
    uint64_t id, began_ns;

    start_with("{\"timeouts\": {\"drain_ms\": 60000}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.delay", &target), 0);
    ck_assert_int_eq(raw_send_request(&clients[0], target, "20000", 5, &id), 0);
    reload("{\"timeouts\": {\"drain_ms\": 100}}", "config reloaded");
    began_ns = fipc_now_ns();
    test_broker_stop(&broker);
    ck_assert_uint_lt(fipc_now_ns() - began_ns, 10 * FIPC_NS_PER_S);
    start_with("{}"); /* for the fixture */
}

TEST(bad_file_changes_nothing_on_reload)
{
    start_with("{\"slots\": {\"count\": 8, \"per_uid\": 8}}");
    reload("{\"slots\": {\"count\": 0}, \"log\": {\"level\": \"debug\"}}", "was not reloaded");
    ck_assert_int_eq(test_broker_log_lines(&broker, "slots.count"), 1);
    ck_assert_int_eq(number("slots.count"), 8);
    ck_assert_int_eq(test_broker_log_lines(&broker, "debug"), 0);
}

TEST(change_of_a_key_that_needs_a_restart_is_warned_of)
{
    start_with("{}");
    reload("{\"control\": {\"backlog\": 7}}", "only at a restart");
    TEST_WAIT_FOR(test_broker_log_lines(&broker, "config reloaded") == 1);
}

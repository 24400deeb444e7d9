/* SPDX-License-Identifier: MIT */
/* The built-in services: their answers, and the deadlines of calls. */
#include "tests/integration/handlers_fixture.h"
#include "tests/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- echo ---- */

GROUP(builtins, .timeout = 30, .fixtures = {{start, stop}});

TEST(echo_gives_back_every_small_size)
{
    for (size_t size = 0; size <= 4 * KIB; size++)
        check_echo(size);
}

TEST(echo_gives_back_every_large_size_around_powers_of_two)
{
    size_t largest = fipc_ring_payload_max(RING_BYTES);

    for (size_t power = 4 * KIB; power <= largest; power *= 2) {
        for (size_t size = power - 40; size <= power + 40; size++)
            check_echo(size);
    }
    for (size_t size = largest - 100; size <= largest; size++)
        check_echo(size);
}

TEST(message_over_half_the_ring_cannot_be_sent)
{
    static const unsigned char data[RING_BYTES];
    uint64_t id;

    ck_assert_int_eq(
        raw_send_request(&client, echo, data, fipc_ring_payload_max(RING_BYTES) + 1, &id),
        -EMSGSIZE);
    check_echo(fipc_ring_payload_max(RING_BYTES));
}

TEST(reply_over_half_the_ring_is_an_error)
{
    static const unsigned char data[RING_BYTES];
    size_t largest = fipc_ring_payload_max(4 * KIB);

    raw_close(&client);
    open_client(RING_BYTES, 4 * KIB);

    check_echo(largest);
    ck_assert_int_eq(raw_call(&client, echo, data, largest + 1), -EMSGSIZE);
    ck_assert_uint_eq(client.payload_bytes, 0);
    ck_assert_int_eq(raw_call(&client, echo, data, largest * 2), -EMSGSIZE);
    check_echo(largest);
}

TEST(ping_is_answered_with_nothing)
{
    ck_assert_int_eq(raw_call(&client, ping, "whatever", 8), 0);
    ck_assert_uint_eq(client.payload_bytes, 0);
}

TEST(list_names_the_services)
{
    static const char *const names[] = {"fipc.delay", "fipc.echo", "fipc.list", "fipc.ping",
                                        "fipc.stats"};
    uint32_t list;

    ck_assert_int_eq(raw_open_name(&client, "fipc.list", &list), 0);
    ck_assert_int_eq(raw_call(&client, list, NULL, 0), 0);
    for (int i = 0; i < COUNT_OF(names); i++)
        ck_assert_ptr_nonnull(
            memmem(client.payload, client.payload_bytes, names[i], strlen(names[i])));
}

/* ---- delay ---- */

TEST(delays_run_in_parallel_and_end_in_their_own_order)
{
    static const char *const delays[] = {"200", "100", "150", "50"};
    static const int order[] = {3, 1, 2, 0};
    uint64_t ids[COUNT_OF(delays)], sent_ns;

    test_broker_freeze(&broker); /* they are taken together */
    for (int i = 0; i < COUNT_OF(delays); i++)
        ck_assert_int_eq(raw_send_request(&client, delay, delays[i], strlen(delays[i]), &ids[i]),
                         0);
    sent_ns = fipc_now_ns();
    test_broker_thaw(&broker);

    for (int i = 0; i < COUNT_OF(delays); i++) {
        uint64_t least_ns = strtoul(delays[order[i]], NULL, 10) * FIPC_NS_PER_MS;

        receive_reply();
        ck_assert_uint_eq(client.header.id, ids[order[i]]);
        ck_assert_int_eq(client.header.status, 0);
        ck_assert_uint_eq(client.payload_bytes, 0);
        ck_assert_uint_ge(fipc_now_ns() - sent_ns, least_ns);
    }
}

TEST(delay_does_not_hold_up_other_calls)
{
    uint64_t late, id;

    test_broker_freeze(&broker);
    ck_assert_int_eq(raw_send_request(&client, delay, "500", 3, &late), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(raw_send_request(&client, ping, NULL, 0, &id), 0);
    test_broker_thaw(&broker);

    for (int i = 0; i < 100; i++) {
        receive_reply();
        ck_assert_uint_eq(client.header.id, late + (uint64_t)i + 1);
    }
    receive_reply();
    ck_assert_uint_eq(client.header.id, late);
    ck_assert_int_eq(client.header.status, 0);
}

static const struct {
    const char *text;
    size_t size;
    int status;
} delays[] = {
    {"0", 1, 0},
    {"1", 1, 0},
    {"000000001", 9, 0},
    {"", 0, -EINVAL},
    {"x", 1, -EINVAL},
    {"1x", 2, -EINVAL},
    {" 1", 2, -EINVAL},
    {"1 ", 2, -EINVAL},
    {"-1", 2, -EINVAL},
    {"+1", 2, -EINVAL},
    {"1.5", 3, -EINVAL},
    {"0x1", 3, -EINVAL},
    {"1", 2, -EINVAL}, /* with its terminating zero */
    {"/", 1, -EINVAL}, /* the characters beside the digits */
    {":", 1, -EINVAL},
    {"0000000001", 10, -EINVAL},
    {"999999999999999999999999999", 27, -EINVAL},
};

LOOP_TEST(delay_takes_decimal_digits_only, COUNT_OF(delays))
{
    ck_assert_int_eq(raw_call(&client, delay, delays[_i].text, delays[_i].size), delays[_i].status);
    ck_assert_uint_eq(client.payload_bytes, 0);
    ck_assert_int_eq(number("handlers.failed"), delays[_i].status < 0);
}

static void send_delay(const char *ms, uint64_t remaining_ns)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_REQUEST,
        .target = delay,
        .id = 4711,
        .remaining_ns = remaining_ns,
    };

    ck_assert_int_eq(raw_send_record(&client, &header, ms, strlen(ms)), 0);
}

TEST(caller_is_told_at_its_deadline)
{
    uint64_t sent_ns = fipc_now_ns();

    send_delay("20000", 50 * FIPC_NS_PER_MS);
    receive_reply();

    ck_assert_int_eq(client.header.status, -ETIMEDOUT);
    ck_assert_uint_eq(client.header.flags, 0);
    ck_assert_uint_ge(fipc_now_ns() - sent_ns, 50 * FIPC_NS_PER_MS);
    ck_assert_int_eq(number("handlers.failed"), 1);
}

TEST(deadline_that_is_over_already_is_over)
{
    send_delay("20000", 1);
    receive_reply();
    ck_assert_int_eq(client.header.status, -ETIMEDOUT);
}

TEST(time_beyond_the_longest_is_capped_and_told)
{
    send_delay("1", UINT64_MAX);
    receive_reply();
    ck_assert_int_eq(client.header.status, 0);
    ck_assert_uint_eq(client.header.flags, FIPC_REPLY_CAPPED);

    send_delay("1", 0); /* the longest is what it gets: nothing was cut */
    receive_reply();
    ck_assert_uint_eq(client.header.flags, 0);
}

GROUP(config, .timeout = 60);

TEST(no_call_lives_longer_than_the_config_says)
{
    start_with("{\"timeouts\": {\"handler_ms\": 60}}");

    ck_assert_uint_eq(client.welcome.handler_ms, 60);
    ck_assert_int_eq(raw_call(&client, delay, "20000", 5), -ETIMEDOUT);
    ck_assert_uint_eq(client.header.flags, 0);
    ck_assert_int_eq(raw_call(&client, delay, "1", 1), 0);
    stop();
}

static bool broker_sleeps(const struct raw_client *beside)
{
    return atomic_load(&beside->channel.peer->word) == FIPC_END_ASLEEP_FD;
}

/* Both have something to say when the broker wakes up, one of them very much; either rings first.
 */
LOOP_TEST(slots_take_turns, 2)
{
    uint64_t id;

    start_with("{\"dispatch\": {\"messages_per_turn\": 10}}");
    TEST_WAIT_FOR(broker_sleeps(&client) && broker_sleeps(&witness.client));
    test_broker_freeze(&broker);
    if (_i == 0)
        send_pings(1000);
    ck_assert_int_eq(raw_send_request(&witness.client, witness.stats, NULL, 0, &id), 0);
    if (_i == 1)
        send_pings(1000);
    test_broker_thaw(&broker);

    ck_assert_int_eq(raw_receive_record(&witness.client), 0);
    ck_assert_int_le(test_report_number(witness.client.payload, witness.client.payload_bytes,
                                        "handlers.started"),
                     2 * 10 + 1);
    for (int i = 0; i < 1000; i++)
        receive_reply();
    stop();
}

GROUP(idle, .timeout = 30, .fixtures = {{start, stop}});

/* However much it was rung before. */
TEST(idle_broker_sleeps)
{
    long long turns;

    check_echo(100);
    ck_assert_int_eq(raw_ring_bell(&client), 0);
    turns = number("loop.turns");
    ck_assert_int_eq(raw_call(&client, delay, "200", 3), 0);
    ck_assert_int_lt(number("loop.turns") - turns, 100);
}

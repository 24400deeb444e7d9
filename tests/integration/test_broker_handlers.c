/* SPDX-License-Identifier: MIT */
/* The life of a message in the broker: answered once, with the right bytes, or counted as what
 * became of it. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB 1024u
#define RING_BYTES (64 * KIB)
#define LIVE_PER_SLOT_MAX 1024

static struct test_broker broker;
static struct test_witness witness;
static struct raw_client client;
static uint32_t echo, ping, delay; /* targets of the client */

static void open_client(uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    client = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_session(&client, broker.socket, request_ring_bytes, reply_ring_bytes),
                     0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.ping", &ping), 0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.delay", &delay), 0);
}

static void start_with(const char *config)
{
    test_broker_init(&broker);
    test_broker_start_with(&broker, config);
    test_witness_open(&witness, &broker);
    open_client(RING_BYTES, RING_BYTES);
}

static void start(void) { start_with("{}"); }

static void stop(void)
{
    raw_close(&client);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.taken") == 1);
    ck_assert_int_eq(test_witness_number(&witness, "handlers.live"), 1); /* the report itself */
    test_witness_check_sum(&witness);
    test_witness_close(&witness);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
    test_broker_deinit(&broker);
}

static long long number(const char *path) { return test_witness_number(&witness, path); }

/* How many handlers of the client are in a state. */
static long long in_state(const char *state)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "handlers.%s", state);
    return test_witness_slot_number(&witness, client.welcome.slot, path);
}

/* Bytes that only this message has. */
static void fill(unsigned char *data, size_t size, uint64_t id)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(id * 131 + i * 7 + i / 256);
}

static void check_payload(uint64_t id, size_t size)
{
    unsigned char expected[RING_BYTES / 2];

    fill(expected, size, id);
    ck_assert_uint_eq(client.payload_bytes, size);
    ck_assert_mem_eq(client.payload, expected, size);
}

/* Receives one record, which must be a reply. */
static void receive_reply(void)
{
    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_int_eq(client.header.kind, FIPC_KIND_REPLY);
}

/* ---- echo ---- */

static void check_echo(size_t size)
{
    unsigned char data[RING_BYTES / 2];

    fill(data, size, client.last_id + 1);
    ck_assert_int_eq(raw_call(&client, echo, data, size), 0);
    check_payload(client.last_id, size);
}

GROUP(handlers_1, .timeout = 30, .fixtures = {{start, stop}});

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

/* Stops the broker's process wherever it is. */
static void freeze(void)
{
    siginfo_t info;

    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)broker.pid, &info, WSTOPPED), 0);
}

static void thaw(void) { ck_assert_int_eq(kill(broker.pid, SIGCONT), 0); }

TEST(delays_run_in_parallel_and_end_in_their_own_order)
{
    static const char *const delays[] = {"200", "100", "150", "50"};
    static const int order[] = {3, 1, 2, 0};
    uint64_t ids[COUNT_OF(delays)], sent_ns;

    freeze(); /* they are taken together */
    for (int i = 0; i < COUNT_OF(delays); i++)
        ck_assert_int_eq(raw_send_request(&client, delay, delays[i], strlen(delays[i]), &ids[i]),
                         0);
    sent_ns = fipc_now_ns();
    thaw();

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

    freeze();
    ck_assert_int_eq(raw_send_request(&client, delay, "500", 3, &late), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(raw_send_request(&client, ping, NULL, 0, &id), 0);
    thaw();

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

static void send_pings(int count)
{
    uint64_t id;

    for (int i = 0; i < count; i++)
        ck_assert_int_eq(raw_send_request(&client, ping, NULL, 0, &id), 0);
}

/* Both have something to say when the broker wakes up, one of them very much; either rings first.
 */
LOOP_TEST(slots_take_turns, 2)
{
    uint64_t id;

    start_with("{\"dispatch\": {\"messages_per_turn\": 10}}");
    TEST_WAIT_FOR(broker_sleeps(&client) && broker_sleeps(&witness.client));
    freeze();
    if (_i == 0)
        send_pings(1000);
    ck_assert_int_eq(raw_send_request(&witness.client, witness.stats, NULL, 0, &id), 0);
    if (_i == 1)
        send_pings(1000);
    thaw();

    ck_assert_int_eq(raw_receive_record(&witness.client), 0);
    ck_assert_int_le(test_report_number(witness.client.payload, witness.client.payload_bytes,
                                        "handlers.started"),
                     2 * 10 + 1);
    for (int i = 0; i < 1000; i++)
        receive_reply();
    stop();
}

GROUP(handlers_2, .timeout = 30, .fixtures = {{start, stop}});

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

/* ---- replies that do not fit ---- */

/* The broker sleeps, and has said that it waits for room in the client's reply ring. */
static bool broker_sleeps_for_room(void)
{
    return atomic_load(&client.channel.peer->word) == (FIPC_END_ASLEEP_FD | FIPC_END_ROOM);
}

/* Sends echoes of this size, without taking replies, until not even the request ring has room. Each
 * reply finds the ring full of those before. */
static int send_all(size_t size)
{
    unsigned char data[RING_BYTES / 2];
    int sent = 0;

    for (;;) {
        uint64_t id;
        int r;

        fill(data, size, client.last_id + 1);
        TEST_WAIT_FOR((r = raw_send_request(&client, echo, data, size, &id)) == 0 ||
                      broker_sleeps_for_room());
        if (r < 0)
            r = raw_send_request(&client, echo, data, size, &id); /* it may have made room before */
        if (r < 0)
            return sent;
        sent++;
    }
}

static void receive_all(uint64_t first_id, int count, size_t size)
{
    for (int i = 0; i < count; i++) {
        receive_reply();
        ck_assert_uint_eq(client.header.id, first_id + (uint64_t)i);
        ck_assert_int_eq(client.header.status, 0);
        check_payload(client.header.id, size);
    }
    ck_assert_int_eq(raw_try_receive_record(&client), -EAGAIN);
}

GROUP(handlers_3, .timeout = 60, .fixtures = {{start, stop}});

TEST(reply_that_does_not_fit_is_seen_replying_and_finishes_when_there_is_room)
{
    uint64_t first_id = client.last_id + 1;
    int sent = send_all(1000);

    ck_assert_int_gt(sent, 100);
    ck_assert_int_eq(in_state("replying"), 1);
    test_witness_check_sum(&witness);
    TEST_WAIT_FOR(broker_sleeps_for_room());

    receive_all(first_id, sent, 1000);

    TEST_WAIT_FOR(in_state("replying") == 0);
    ck_assert_int_eq(number("handlers.live"), 1);
    ck_assert_int_eq(number("handlers.failed"), 0);
}

static const size_t full_sizes[] = {0,    1,     32,    33,    64,    100,  1000,
                                    5000, 16352, 16353, 32000, 32735, 32736};

LOOP_TEST(full_ring_is_drained_whatever_the_size, COUNT_OF(full_sizes))
{
    size_t size = full_sizes[_i];

    for (int turn = 0; turn < test_scaled(8); turn++) {
        uint64_t first_id = client.last_id + 1;
        int sent = send_all(size);

        receive_all(first_id, sent, size);
        if (turn % 3 == 0) /* the next one starts elsewhere in the ring */
            check_echo((size_t)turn * 100);
    }
}

TEST(slot_whose_replies_are_not_taken_is_not_read)
{
    uint64_t head, first_id = client.last_id + 1;
    int sent = send_all(1000);

    head = atomic_load(&client.channel.out.shared->head);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(raw_ring_bell(&client), 0);
        test_witness_check(&witness);
    }
    ck_assert_uint_eq(atomic_load(&client.channel.out.shared->head), head);
    receive_all(first_id, sent, 1000);
}

/* Each waits for its own time, and then for room: all of them at once. */
TEST(many_late_answers_wait_for_room_together)
{
    uint64_t ids = 0, sum = 0;
    bool all_late;
    int sent;

    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(raw_send_request(&client, delay, "200", 3, &ids), 0);
        sum += ids;
    }
    sent = send_all(1000);
    all_late = in_state("running") == 50;
    TEST_WAIT_FOR(in_state("running") == 0);
    /* a small answer does not overtake the large one that waits */
    if (all_late)
        ck_assert_int_eq(in_state("replying"), 51);

    for (int i = 0; i < sent + 50; i++) {
        receive_reply();
        ck_assert_int_eq(client.header.status, 0);
        if (client.payload_bytes == 0)
            sum -= client.header.id;
        else
            check_payload(client.header.id, 1000);
    }
    ck_assert_uint_eq(sum, 0);
    ck_assert_int_eq(raw_try_receive_record(&client), -EAGAIN);
}

/* Takes all replies that are there, unread, and tells once that there is room. Return: how many */
static int take_quickly(void)
{
    struct fipc_consumer *in = &client.channel.in;
    struct fipc_header header;
    const void *payload;
    int taken = 0, r;

    while ((r = fipc_consumer_take(in, &header, &payload)) == 0) {
        taken += header.kind == FIPC_KIND_REPLY;
        fipc_consumer_release(in);
    }
    ck_assert_int_eq(r, -EAGAIN);
    if (taken > 0)
        ck_assert_int_eq(fipc_channel_ring(&client.channel, FIPC_NEWS_ROOM), 0);
    return taken;
}

static void wait_ns(uint64_t span_ns)
{
    uint64_t end_ns = fipc_now_ns() + span_ns;

    while (fipc_now_ns() < end_ns)
        ;
}

/* Of the larger ones two fill the ring, and the next request is not taken; after two of the smaller
 * ones the next is, and its reply waits. */
static const size_t reply_sizes[] = {2016, 1500};

GROUP(config_2, .timeout = 60);

/* All replies are taken while the broker stands still, now and then between its last look at the
 * room and its sleep. Nothing else would wake it. */
LOOP_TEST(room_made_at_any_moment_is_noticed, COUNT_OF(reply_sizes))
{
    static const unsigned char data[4 * KIB];
    size_t size = reply_sizes[_i];
    unsigned random = 1;

    start_with("{\"dispatch\": {\"spin_us\": 0}}");
    raw_close(&client);
    open_client(RING_BYTES, 4 * KIB);
    for (int round = 0; round < test_scaled(300); round++) {
        uint64_t deadline_ns = fipc_now_ns() + 20 * FIPC_NS_PER_S, id;
        int taken = 0;

        for (int i = 0; i < 30; i++)
            ck_assert_int_eq(raw_send_request(&client, echo, data, size, &id), 0);
        for (int i = 0; i < 10; i++) {
            wait_ns((random = random * 1103515245 + 12345) / 65536 % 20000);
            freeze();
            taken += take_quickly();
            thaw();
        }
        while (taken < 30) {
            taken += take_quickly();
            ck_assert_uint_lt(fipc_now_ns(), deadline_ns);
        }
    }
    stop();
}

/* ---- how many at once ---- */

GROUP(handlers_4, .timeout = 60, .fixtures = {{start, stop}});

TEST(more_calls_than_a_slot_may_have_open_wait_in_its_ring)
{
    int sent = 0, most = 0, answered = 0;

    raw_close(&client);
    open_client(1024 * KIB, 1024 * KIB);
    for (uint64_t id; sent < 3 * LIVE_PER_SLOT_MAX; sent++)
        ck_assert_int_eq(raw_send_request(&client, delay, "100", 3, &id), 0);

    while (answered < sent) {
        int live = (int)in_state("running");

        most = live > most ? live : most;
        while (raw_try_receive_record(&client) == 0) {
            ck_assert_int_eq(client.header.status, 0);
            answered++;
        }
    }
    ck_assert_int_gt(most, 1);
    ck_assert_int_le(most, LIVE_PER_SLOT_MAX);
}

/* ---- waking the client ---- */

static const uint32_t sleeps[] = {FIPC_END_ASLEEP_FUTEX, FIPC_END_ASLEEP_FD};

static bool was_rung(void) { return atomic_load(&client.channel.own->word) == FIPC_END_AWAKE; }

/* How many bytes wait on the lane; they are taken. */
static int count_lane_bytes(void)
{
    char byte;
    int count = 0;

    while (recv(client.lane_fd, &byte, 1, MSG_DONTWAIT) == 1)
        count++;
    return count;
}

GROUP(handlers_5, .timeout = 30, .fixtures = {{start, stop}});

LOOP_TEST(sleeper_is_woken_once_by_many_replies, COUNT_OF(sleeps))
{
    freeze();
    send_pings(20);
    fipc_end_arm(client.channel.own, sleeps[_i]);
    thaw();

    if (sleeps[_i] == FIPC_END_ASLEEP_FUTEX)
        ck_assert_int_eq(
            fipc_end_sleep(client.channel.own, sleeps[_i], fipc_now_ns() + 20 * FIPC_NS_PER_S), 0);
    TEST_WAIT_FOR(was_rung());
    TEST_WAIT_FOR(client.channel.in.tail + 20 * sizeof(struct fipc_header) ==
                  atomic_load(&client.channel.in.shared->tail));
    test_witness_check(&witness);
    ck_assert_int_eq(count_lane_bytes(), sleeps[_i] == FIPC_END_ASLEEP_FD);
    for (int i = 0; i < 20; i++)
        receive_reply();
}

TEST(client_that_is_awake_is_not_rung)
{
    for (int i = 0; i < 100; i++) {
        uint64_t id;

        ck_assert_int_eq(raw_send_request(&client, ping, NULL, 0, &id), 0);
        TEST_WAIT_FOR(raw_try_receive_record(&client) == 0);
    }
    ck_assert_int_eq(count_lane_bytes(), 0);
}

/* Fills the request ring with what is not answered soon, while the broker stands still. */
static void fill_requests(void)
{
    uint64_t id;

    freeze();
    while (raw_send_request(&client, delay, "20000", 5, &id) == 0)
        ;
}

LOOP_TEST(client_that_waits_for_room_is_woken_by_it, COUNT_OF(sleeps))
{
    fill_requests();
    fipc_end_arm(client.channel.own, sleeps[_i] | FIPC_END_ROOM);
    thaw();

    TEST_WAIT_FOR(was_rung());
    ck_assert_int_eq(fipc_producer_has_room(&client.channel.out, 1000), 1);
    if (sleeps[_i] == FIPC_END_ASLEEP_FD)
        TEST_WAIT_FOR(count_lane_bytes() == 1);
}

LOOP_TEST(client_that_does_not_wait_for_room_sleeps_on, COUNT_OF(sleeps))
{
    fill_requests();
    fipc_end_arm(client.channel.own, sleeps[_i]);
    thaw();

    TEST_WAIT_FOR(atomic_load(&client.channel.out.shared->head) == client.channel.out.tail);
    test_witness_check(&witness);
    ck_assert(!was_rung());
    ck_assert_int_eq(count_lane_bytes(), 0);
}

/* ---- callers that die ---- */

GROUP(handlers_6, .timeout = 60, .fixtures = {{start, stop}});

TEST(calls_of_the_dead_are_dropped)
{
    uint64_t id;

    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(raw_send_request(&client, delay, "20000", 5, &id), 0);
    TEST_WAIT_FOR(in_state("running") == 10);
    raw_close(&client);

    TEST_WAIT_FOR(number("slots.taken") == 1);
    ck_assert_int_eq(number("handlers.dropped"), 10);
    ck_assert_int_eq(number("handlers.live"), 1);
}

TEST(replies_that_wait_for_the_dead_are_dropped)
{
    (void)send_all(1000);
    ck_assert_int_eq(in_state("replying"), 1);
    raw_close(&client);

    TEST_WAIT_FOR(number("slots.taken") == 1);
    ck_assert_int_eq(number("handlers.dropped"), 1);
    ck_assert_int_eq(number("handlers.live"), 1);
}

TEST(oneshot_of_the_dead_is_dropped)
{
    struct raw_client dead = RAW_CLIENT_EMPTY;
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello = {.flags = FIPC_HELLO_ONESHOT, .name_bytes = 10, .data_bytes = 5},
        .name = "fipc.delay",
        .data = "20000",
    };

    ck_assert_int_eq(raw_connect(&dead, broker.socket), 0);
    ck_assert_int_eq(raw_send_packet(&dead, &hello), 0);
    TEST_WAIT_FOR(number("slots.oneshot") == 1);
    ck_assert_int_eq(number("handlers.live"), 2);
    raw_close(&dead);

    TEST_WAIT_FOR(number("slots.oneshot") == 0);
    ck_assert_int_eq(number("handlers.dropped"), 1);
}

/* One call of a random kind, whose reply is not waited for. */
static void send_anything(struct raw_client *caller, uint64_t random)
{
    static const unsigned char data[8 * KIB];
    const struct fipc_header flagged = {
        .kind = FIPC_KIND_REQUEST, .flags = 0x8000, .target = echo, .id = random};
    char ms[16];
    uint64_t id;

    switch (random % 5) {
    case 0:
        (void)snprintf(ms, sizeof(ms), "%u", (unsigned)(random >> 8) % 30);
        (void)raw_send_request(caller, delay, ms, strlen(ms), &id);
        break;
    case 1:
        (void)raw_send_request(caller, delay, "never", 5, &id);
        break;
    case 2:
        (void)raw_send_request(caller, 999, data, 10, &id);
        break;
    case 3:
        (void)raw_send_record(caller, &flagged, NULL, 0);
        break;
    default:
        (void)raw_send_request(caller, echo, data, (random >> 8) % sizeof(data), &id);
    }
}

/* A process that calls at random and dies at random, again and again. */
static pid_t start_caller(uint64_t seed)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t random = seed;;) {
        struct raw_client caller = RAW_CLIENT_EMPTY;

        if (raw_open_session(&caller, broker.socket, 0, 0) < 0)
            _exit(1);
        for (uint64_t i = random >> 32 & 63; i > 0; i--) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            send_anything(&caller, random >> 16);
            if (random >> 63)
                (void)raw_try_receive_record(&caller);
        }
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        raw_close(&caller);
    }
}

TEST(counters_add_up_at_every_look)
{
    pid_t callers[4];
    siginfo_t info = {.si_pid = 0};

    for (int i = 0; i < COUNT_OF(callers); i++)
        callers[i] = start_caller((uint64_t)i + 1);
    for (int look = 0; look < test_scaled(500); look++)
        test_witness_check_sum(&witness);
    TEST_WAIT_FOR(number("handlers.dropped") > 10);
    for (int i = 0; i < COUNT_OF(callers); i++) {
        ck_assert_int_eq(waitid(P_PID, (id_t)callers[i], &info, WEXITED | WNOHANG), 0);
        ck_assert_int_eq(info.si_pid, 0); /* it has not failed */
        ck_assert_int_eq(kill(callers[i], SIGKILL), 0);
        ck_assert_int_eq(waitpid(callers[i], NULL, 0), callers[i]);
    }
    TEST_WAIT_FOR(number("handlers.live") == 1);
    ck_assert_int_gt(number("handlers.replied"), 0);
    ck_assert_int_gt(number("handlers.failed"), 0);
}

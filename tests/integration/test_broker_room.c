/* SPDX-License-Identifier: MIT */
/* Replies that find no room in the ring of a client, and how the broker wakes one that sleeps. */
#include "tests/integration/handlers_fixture.h"
#include "tests/suite.h"

#include <errno.h>

/* ---- replies that do not fit ---- */

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

GROUP(full, .timeout = 60, .fixtures = {{start, stop}});

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

GROUP(config, .timeout = 60);

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
            test_broker_freeze(&broker);
            taken += take_quickly();
            test_broker_thaw(&broker);
        }
        while (taken < 30) {
            taken += take_quickly();
            ck_assert_uint_lt(fipc_now_ns(), deadline_ns);
        }
    }
    stop();
}

/* ---- how many at once ---- */

GROUP(many, .timeout = 60, .fixtures = {{start, stop}});

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

GROUP(waking, .timeout = 30, .fixtures = {{start, stop}});

LOOP_TEST(sleeper_is_woken_once_by_many_replies, COUNT_OF(sleeps))
{
    test_broker_freeze(&broker);
    send_pings(20);
    fipc_end_arm(client.channel.own, sleeps[_i]);
    test_broker_thaw(&broker);

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

    test_broker_freeze(&broker);
    while (raw_send_request(&client, delay, "20000", 5, &id) == 0)
        ;
}

LOOP_TEST(client_that_waits_for_room_is_woken_by_it, COUNT_OF(sleeps))
{
    fill_requests();
    fipc_end_arm(client.channel.own, sleeps[_i] | FIPC_END_ROOM);
    test_broker_thaw(&broker);

    TEST_WAIT_FOR(was_rung());
    ck_assert_int_eq(fipc_producer_has_room(&client.channel.out, 1000), 1);
    if (sleeps[_i] == FIPC_END_ASLEEP_FD)
        TEST_WAIT_FOR(count_lane_bytes() == 1);
}

LOOP_TEST(client_that_does_not_wait_for_room_sleeps_on, COUNT_OF(sleeps))
{
    fill_requests();
    fipc_end_arm(client.channel.own, sleeps[_i]);
    test_broker_thaw(&broker);

    TEST_WAIT_FOR(atomic_load(&client.channel.out.shared->head) == client.channel.out.tail);
    test_witness_check(&witness);
    ck_assert(!was_rung());
    ck_assert_int_eq(count_lane_bytes(), 0);
}

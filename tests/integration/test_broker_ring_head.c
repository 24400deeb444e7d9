/* SPDX-License-Identifier: MIT */
/* A client that corrupts the head of its reply ring, or leaves no room in it. */
#include "tests/integration/ring_fixture.h"
#include "tests/suite.h"

#include <errno.h>

/* The broker looks at the head of replies only when it needs the room: no reply is taken until it
 * does. */
static void set_reply_head(uint64_t head)
{
    uint64_t id;

    atomic_store(&villain.channel.in.shared->head, head);
    for (int i = 0; i < 1000 && !fipc_lane_is_hung_up(villain.lane_fd); i++) {
        if (raw_send_request(&villain, villains_echo, NULL, 0, &id) == -EAGAIN)
            test_pause();
    }
}

static uint64_t reply_head(void) { return villain.channel.in.head; }

static void head_moves_backward(void) { set_reply_head(reply_head() - RING_BYTES); }
static void head_moves_beyond_the_tail(void) { set_reply_head(reply_head() + 64 * RING_BYTES); }
static void head_is_misaligned(void) { set_reply_head(reply_head() + 1); }
static void head_moves_to_the_end_of_time(void) { set_reply_head(UINT64_C(1) << 63); }

static void (*const head_crimes[])(void) = {
    head_moves_backward,
    head_moves_beyond_the_tail,
    head_is_misaligned,
    head_moves_to_the_end_of_time,
};

GROUP(head, .timeout = 30, .fixtures = {{start, stop}});

LOOP_TEST(who_corrupts_the_head_is_thrown_out, COUNT_OF(head_crimes))
{
    head_crimes[_i]();
    (void)check_thrown_out(FIPC_REASON_CORRUPT_RING); /* there may be room for GOODBYE still */
}

TEST(who_left_no_room_is_thrown_out_without_a_word)
{
    uint32_t delay;
    uint64_t id;

    raw_close(&villain);
    ck_assert_int_eq(raw_open_session(&villain, broker.socket, 16 * RING_BYTES, RING_BYTES), 0);
    ck_assert_int_eq(raw_open_name(&villain, "fipc.delay", &delay), 0);
    test_broker_freeze(&broker);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(raw_send_request(&villain, delay, "300", 3, &id), 0);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(raw_send_request(&villain, villains_echo, NULL, 0, &id), 0);
    test_broker_thaw(&broker);
    TEST_WAIT_FOR(test_witness_slot_number(&victim, villain.welcome.slot, "handlers.replying") > 0);

    byte_on_the_lane();

    ck_assert(!check_thrown_out(FIPC_REASON_UNEXPECTED));
}

TEST(corrupt_slot_drops_what_it_had_asked_for)
{
    uint32_t delay;
    uint64_t id;

    ck_assert_int_eq(raw_open_name(&villain, "fipc.delay", &delay), 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(raw_send_request(&villain, delay, "20000", 5, &id), 0);
    TEST_WAIT_FOR(test_witness_number(&victim, "handlers.live") == 6); /* five, and the report */

    tail_is_misaligned();

    ck_assert(check_thrown_out(FIPC_REASON_CORRUPT_RING));
    ck_assert_int_eq(test_witness_number(&victim, "handlers.dropped"), 5);
    ck_assert_int_eq(test_witness_number(&victim, "handlers.live"), 1);
}

static void (*const undelivered[])(void) = {
    record_of_kind_zero,
    record_that_is_a_reply,
    control_of_an_unknown_type,
    goodbye_from_the_client,
};

LOOP_TEST(head_stays_before_the_record_that_was_not_delivered, COUNT_OF(undelivered))
{
    _Atomic uint64_t *head = &villain.channel.out.shared->head;
    uint64_t before;

    ck_assert_int_eq(raw_call(&villain, villains_echo, NULL, 0), 0);
    before = atomic_load(request_tail());
    undelivered[_i]();
    ck_assert_int_eq(raw_wait_hang_up(&villain), 0);
    ck_assert_uint_eq(atomic_load(head), before);
}

static void (*const unserved[])(void) = {
    tail_moves_beyond_a_ring_of_good_records,
    record_larger_than_published,
    record_larger_than_half_the_ring,
    record_runs_past_the_end,
    waiting_request_is_zeroed,
};

LOOP_TEST(nothing_of_a_corrupt_ring_is_served, COUNT_OF(unserved))
{
    unserved[_i]();
    ck_assert_int_eq(raw_wait_hang_up(&villain), 0);
    ck_assert_int_eq(raw_try_receive_record(&villain), 0);
    ck_assert_int_eq(villain.header.kind, FIPC_KIND_CONTROL); /* GOODBYE, and no reply before it */
}

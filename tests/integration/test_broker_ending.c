/* SPDX-License-Identifier: MIT */
/* Slots that end in the middle of something else: the turn closes them, afterwards. */
#include "tests/integration/relay_fixture.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

GROUP(ending, .timeout = 60, .fixtures = {{relay_set_up, relay_tear_down}});

TEST(one_shot_ends_while_its_workers_replies_are_taken)
{
    struct raw_client oneshot = RAW_CLIENT_EMPTY;
    uint64_t id;

    send_oneshot(&oneshot);
    take(&worker);
    id = send_request(); /* queued: the reply to the one-shot makes room for it */
    test_witness_check(&witness);

    test_broker_freeze(&broker);
    reply(&worker, 0, "done");
    ck_assert_int_eq(raw_send_reply(&worker, 4321, 1, 0, NULL, 0), 0);
    test_broker_thaw(&broker);

    ck_assert_int_eq(raw_receive_packet(&oneshot), 0);
    ck_assert_uint_eq(oneshot.packet.type, FIPC_CONTROL_ONESHOT_REPLY);
    ck_assert_int_eq(oneshot.packet.oneshot_reply.status, 0);
    ck_assert_int_eq(raw_wait_hang_up(&oneshot), 0);
    raw_close(&oneshot);
    TEST_WAIT_FOR(number("slots.taken") == 3);
    ck_assert_int_eq(number("deliveries.unknown_replies"),
                     1); /* the records behind it were taken too */
    test_witness_check_sum(&witness);

    take(&worker);
    reply(&worker, 0, "");
    expect_answer(id, 0, 0);
    test_witness_check_sum(&witness);
}

TEST(malformed_record_ends_its_slot_in_the_middle_of_a_batch)
{
    const struct fipc_header malformed = {.kind = FIPC_KIND_CONTROL, .id = 5};
    long long closed = number("slots.closed.malformed packet");
    enum fipc_reason reason;

    test_broker_freeze(&broker);
    (void)send_request();
    ck_assert_int_eq(raw_send_record(&caller, &malformed, "nonsense", 8), 0);
    (void)send_request();
    test_broker_thaw(&broker);

    ck_assert_int_eq(raw_receive_goodbye(&caller, &reason), 0);
    ck_assert_int_eq((int)reason, FIPC_REASON_MALFORMED);
    ck_assert_int_eq(number("slots.closed.malformed packet"), closed + 1);
    test_witness_check_sum(&witness);

    /* the request before it was delivered, and is void now; the one behind it was not taken */
    take(&worker);
    ck_assert_int_eq(raw_receive_record(&worker), 0);
    ck_assert_int_eq(worker.header.kind, FIPC_KIND_CANCEL);
    expect_nothing(&worker);
    ck_assert_int_eq(number("deliveries.made"), 1);
}

TEST(worker_ends_while_its_service_is_fed)
{
    static char data[30000];
    long long closed = number("slots.closed.corrupt ring");
    uint64_t ids[5];
    uint32_t first;

    serve_with(&other, NAME, 2);
    /* one to the worker, two to the other, whose ring is full then, and two into the queue */
    for (int i = 0; i < 5; i++) {
        ids[i] = send_flagged(0, data, sizeof(data), 0);
        test_witness_check(&witness);
    }
    take(&other);
    first = delivery.number;
    take(&other);
    atomic_store(&other.channel.in.shared->head, 7);
    /* its reply makes it free, and the broker finds its ring corrupt when it is given the next */
    ck_assert_int_eq(raw_send_reply(&other, first, ids[1], 0, NULL, 0), 0);
    ck_assert_int_eq(raw_wait_hang_up(&other), 0);

    expect_answer(ids[1], 0, 0);
    /* what its head says counts no more: it is not known to have taken this one */
    expect_answer(ids[2], -ESTALE, FIPC_REPLY_NOT_DELIVERED);
    ck_assert_int_eq(number("slots.closed.corrupt ring"), closed + 1);
    test_witness_check_sum(&witness);
    for (int i = 0; i < 5; i++) {
        if (i == 1 || i == 2)
            continue;
        take(&worker);
        ck_assert_uint_eq(taken_id, ids[i]);
        reply(&worker, 0, "");
        expect_answer(ids[i], 0, 0);
    }
    test_witness_check_sum(&witness);
}

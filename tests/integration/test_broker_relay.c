/* SPDX-License-Identifier: MIT */
/* Requests and replies on their way through the broker, and the names that they go to. */
#include "tests/integration/relay_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUEUED_PER_UID_MAX 1024
#define NAMES_PER_SLOT_MAX 64

/* ---- the way there and back ---- */

static const size_t sizes[] = {0, 1, 31, 4096, 30000};

GROUP(relay, .timeout = 60, .fixtures = {{relay_set_up, relay_tear_down}});

LOOP_TEST(request_and_reply_are_carried_byte_for_byte, COUNT_OF(sizes))
{
    static char data[30000];
    uint64_t id;

    memset(data, 'd', sizeof(data));
    id = send_flagged(0, data, sizes[_i], FIPC_NS_PER_S);
    take(&worker);
    ck_assert_uint_eq(taken_id, id);
    ck_assert_uint_eq(delivery.uid, geteuid());
    ck_assert_uint_eq(delivery.gid, getegid());
    ck_assert_int_eq(delivery.pid, getpid());
    ck_assert_int_eq((int)delivery.n_groups, getgroups(0, NULL));
    ck_assert_uint_eq(worker.payload_bytes - data_at, sizes[_i]);
    ck_assert_mem_eq(worker.payload + data_at, data, sizes[_i]);
    ck_assert(worker.header.remaining_ns > 0 && worker.header.remaining_ns <= FIPC_NS_PER_S);
    ck_assert_int_eq(raw_send_reply(&worker, delivery.number, id, 0, data, sizes[_i]), 0);
    expect_answer(id, 0, 0);
    ck_assert_uint_eq(caller.payload_bytes, sizes[_i]);
    ck_assert_mem_eq(caller.payload, data, sizes[_i]);
}

TEST(request_that_a_worker_cannot_take_is_too_large)
{
    /* it fits into the caller's ring, and with what is added into no other */
    static char data[32730];
    uint64_t id = send_flagged(0, data, sizeof(data), 0);

    expect_answer(id, -EMSGSIZE, FIPC_REPLY_NOT_DELIVERED);
    expect_nothing(&worker);
}

TEST(least_busy_worker_is_given_the_next_one)
{
    serve_with(&other, NAME, 4);
    for (int i = 0; i < 5; i++)
        (void)send_request();
    test_witness_check(&witness);
    take(&worker); /* one and no more */
    expect_nothing(&worker);
    for (int i = 0; i < 4; i++)
        take(&other);
    expect_nothing(&other);
}

TEST(workers_that_are_equally_busy_take_turns)
{
    serve_with(&other, NAME, 1);
    for (int i = 0; i < 4; i++) {
        struct raw_client *next = i % 2 == 0 ? &worker : &other;
        uint64_t id = send_request();

        take(next);
        reply(next, 0, "");
        expect_answer(id, 0, 0);
    }
}

TEST(worker_is_given_the_next_one_when_it_answers)
{
    uint64_t ids[3];

    for (int i = 0; i < 3; i++)
        ids[i] = send_request();
    for (int i = 0; i < 3; i++) {
        take(&worker);
        ck_assert_uint_eq(taken_id, ids[i]);
        expect_nothing(&worker);
        reply(&worker, -ENOSPC, "");
        expect_answer(ids[i], -ENOSPC, 0);
    }
}

TEST(who_does_not_wait_for_room_waits_for_its_turn)
{
    uint64_t id = send_request(), second;

    take(&worker);
    second = send_flagged(FIPC_REQUEST_NO_WAIT, "data", 4, 0);
    expect_nothing(&caller);
    reply(&worker, 0, "");
    expect_answer(id, 0, 0);
    take(&worker);
    reply(&worker, 0, "");
    expect_answer(second, 0, 0);
}

TEST(one_uid_cannot_fill_all_queues)
{
    int n_sent = 0;
    uint64_t id = 0;

    raw_close(&caller); /* 1024 calls are all that one slot may have open */
    for (int i = 0; i < 2; i++) {
        struct raw_client *client = i == 0 ? &other : &caller;

        open_session(client);
        ck_assert_int_eq(raw_open_name(client, NAME, &target), 0);
        for (int k = 0; k < QUEUED_PER_UID_MAX / 2 + (i == 0 ? 1 : 0); k++, n_sent++)
            ck_assert_int_eq(raw_send_request(client, target, NULL, 0, &id), 0);
        /* all of the first one's are queued before those of the second; the report is one more */
        TEST_WAIT_FOR(number("handlers.live") == n_sent + 1);
    }
    id = send_request();
    expect_answer(id, -EAGAIN, FIPC_REPLY_NOT_DELIVERED);
    for (int i = 0; i < QUEUED_PER_UID_MAX / 2; i++) {
        expect_nothing(&caller);
        take(&worker);
        reply(&worker, 0, "");
        ck_assert_int_eq(raw_receive_record(&other), 0);
    }
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_int_eq(caller.header.kind, FIPC_KIND_CONTROL);
    ck_assert_uint_eq(caller.header.target, target);
}

/* ---- invalid answers ---- */

LOOP_TEST(status_that_is_no_errno_is_a_breach, 4)
{
    const int32_t statuses[] = {1, INT32_MAX, -4096, INT32_MIN};
    uint64_t id = send_request();

    take(&worker);
    reply(&worker, statuses[_i], "");
    expect_answer(id, -EPROTO, 0);
}

TEST(late_reply_is_counted_and_dropped)
{
    uint64_t id = send_flagged(0, "data", 4, 20 * FIPC_NS_PER_MS), next;

    take(&worker);
    expect_answer(id, -ETIMEDOUT, 0);
    ck_assert_int_eq(raw_receive_record(&worker), 0);
    ck_assert_int_eq(worker.header.kind, FIPC_KIND_CANCEL);
    ck_assert_uint_eq(worker.header.target, delivery.number);
    ck_assert_uint_eq(worker.header.id, id);
    next = send_request(); /* the worker that is busy with the first one does not get it */
    expect_nothing(&worker);
    reply(&worker, 0, "late");
    take(&worker);
    ck_assert_uint_eq(taken_id, next);
    ck_assert_int_eq(number("deliveries.late_replies"), 1);
    reply(&worker, 0, "in time");
    expect_answer(next, 0, 0);
    ck_assert_mem_eq(caller.payload, "in time", 7);
}

/* Whatever a worker answers, no call gets it but the one that it was given. */
TEST(reply_to_what_it_was_not_given_is_counted_and_dropped)
{
    uint64_t id = send_request();

    take(&worker);
    ck_assert_int_eq(raw_send_reply(&worker, delivery.number, id + 1, 0, "x", 1), 0);
    ck_assert_int_eq(raw_send_reply(&worker, delivery.number + 1, id, 0, "x", 1), 0);
    ck_assert_int_eq(raw_send_reply(&worker, UINT32_MAX, id, 0, "x", 1), 0);
    serve_with(&other, NAME ".other", 1);
    ck_assert_int_eq(raw_send_reply(&other, delivery.number, id, 0, "stolen", 6), 0);
    TEST_WAIT_FOR(number("deliveries.unknown_replies") == 4);
    expect_nothing(&caller);
    reply(&worker, 0, "mine");
    expect_answer(id, 0, 0);
    ck_assert_mem_eq(caller.payload, "mine", 4);
    reply(&worker, 0, "twice");
    TEST_WAIT_FOR(number("deliveries.unknown_replies") == 5);
    expect_nothing(&caller);
}

TEST(reply_of_who_serves_nothing_closes_it)
{
    enum fipc_reason reason;

    ck_assert_int_eq(raw_send_reply(&caller, 0, 1, 0, NULL, 0), 0);
    ck_assert_int_eq(raw_receive_goodbye(&caller, &reason), 0);
    ck_assert_int_eq((int)reason, FIPC_REASON_UNEXPECTED);
}

/* ---- callers that give up ---- */

static void send_cancel(uint64_t id)
{
    const struct fipc_header cancel = {.kind = FIPC_KIND_CANCEL, .id = id};

    ck_assert_int_eq(raw_send_record(&caller, &cancel, NULL, 0), 0);
}

TEST(cancelled_call_ends_without_a_word)
{
    uint64_t id = send_request(), queued = send_request(), last = send_request();

    take(&worker);
    send_cancel(queued);
    send_cancel(id);
    send_cancel(12345); /* nobody's */
    ck_assert_int_eq(raw_receive_record(&worker), 0);
    ck_assert_int_eq(worker.header.kind, FIPC_KIND_CANCEL);
    TEST_WAIT_FOR(number("handlers.dropped") == 2);
    reply(&worker, 0, "late");
    take(&worker);
    ck_assert_uint_eq(taken_id, last);
    reply(&worker, 0, "");
    expect_answer(last, 0, 0);
}

TEST(worker_is_told_that_its_caller_died)
{
    uint64_t id = send_request();

    (void)send_request(); /* in the queue, and gone with its caller */
    take(&worker);
    raw_close(&caller);
    ck_assert_int_eq(raw_receive_record(&worker), 0);
    ck_assert_int_eq(worker.header.kind, FIPC_KIND_CANCEL);
    ck_assert_uint_eq(worker.header.id, id);
    reply(&worker, 0, "late");
    TEST_WAIT_FOR(number("deliveries.late_replies") == 1);
    expect_nothing(&worker);
}

/* ---- names ---- */

TEST(target_of_a_name_that_is_gone_is_stale_for_ever)
{
    uint32_t next;

    raw_close(&worker);
    TEST_WAIT_FOR(number("slots.taken") == 2);
    expect_answer(send_request(), -ESTALE, FIPC_REPLY_NOT_DELIVERED);
    serve_with(&worker, NAME ".next", 1);
    ck_assert_int_eq(raw_open_name(&caller, NAME ".next", &next), 0);
    ck_assert_uint_ne(next, target);
    expect_answer(send_request(), -ESTALE, FIPC_REPLY_NOT_DELIVERED);
    expect_nothing(&worker);
}

TEST(a_session_serves_so_many_names)
{
    char name[64];
    uint32_t served;

    for (int i = 1; i < NAMES_PER_SLOT_MAX; i++) {
        (void)snprintf(name, sizeof(name), "%s.n%d", NAME, i);
        ck_assert_int_eq(raw_serve(&worker, name, 0, &served), 0);
    }
    ck_assert_int_eq(raw_serve(&worker, NAME ".more", 1, &served), -EDQUOT);
    ck_assert_int_eq(raw_serve(&worker, NAME, 1, &served), -EDQUOT);
    ck_assert_int_eq(raw_open_name(&caller, NAME ".more", &served), -ENOENT);
    ck_assert_int_eq(raw_open_name(&caller, NAME ".n63", &served), 0);
}

TEST(longest_name_is_served)
{
    char name[FIPC_NAME_BYTES_MAX + 1] = "";
    uint32_t served;

    memset(name, 'n', FIPC_NAME_BYTES_MAX);
    ck_assert_int_eq(raw_serve(&worker, name, 1, &served), 0);
    ck_assert_int_eq(raw_open_name(&caller, name, &target), 0);
    ck_assert_uint_eq(target, served);
}

TEST(wait_is_answered_when_the_name_is_served_and_not_before)
{
    uint64_t wait, at_once;
    uint32_t served;

    ck_assert_int_eq(raw_send_wait(&caller, NAME, 0, &at_once), 0);
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_uint_eq(caller.header.id, at_once);
    ck_assert_uint_eq(caller.header.target, target);
    ck_assert_int_eq(raw_send_wait(&caller, NAME ".later", 0, &wait), 0);
    expect_nothing(&caller);
    ck_assert_int_eq(raw_open_name(&worker, NAME ".later", &served), -ENOENT);
    ck_assert_int_eq(raw_serve(&worker, NAME ".later", 1, &served), 0);
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_uint_eq(caller.header.id, wait);
    ck_assert_int_eq(caller.header.status, 0);
    ck_assert_uint_eq(caller.header.target, served);
}

TEST(wait_ends_in_time_or_with_its_client)
{
    uint64_t id;
    uint32_t served;

    ck_assert_int_eq(raw_send_wait(&caller, NAME ".never", 20 * FIPC_NS_PER_MS, &id), 0);
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_uint_eq(caller.header.id, id);
    ck_assert_int_eq(caller.header.status, -ETIMEDOUT);
    ck_assert_int_eq(raw_send_wait(&caller, NAME ".never", 0, &id), 0);
    ck_assert_int_eq(raw_send_wait(&caller, "not a name", 0, &id), 0);
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_int_eq(caller.header.status, -EINVAL);
    raw_close(&caller);
    TEST_WAIT_FOR(number("handlers.live") == 1);
    ck_assert_int_eq(raw_open_name(&worker, NAME ".never", &served), -ENOENT);
}

/* ---- the end of the broker ---- */

TEST(broker_that_stops_waits_for_the_answer)
{
    uint64_t id = send_request();
    int status;

    take(&worker);
    ck_assert_int_eq(kill(broker.pid, SIGTERM), 0);
    TEST_WAIT_FOR(test_broker_log_lines(&broker, "stopping") == 1);
    (void)send_request(); /* not taken any more */
    reply(&worker, 0, "last");
    expect_answer(id, 0, 0);
    ck_assert_mem_eq(caller.payload, "last", 4);
    status = test_broker_wait(&broker);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    while (raw_try_receive_record(&caller) == 0)
        ck_assert_int_eq(caller.header.kind, FIPC_KIND_CONTROL); /* GOODBYE */
}

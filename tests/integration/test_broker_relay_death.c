/* SPDX-License-Identifier: MIT */
/* Requests whose worker dies: those that it had taken, and those that it had not. */
#include "tests/integration/relay_fixture.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

GROUP(dead_workers, .timeout = 60, .fixtures = {{relay_set_up, relay_tear_down}});

TEST(what_a_dead_worker_took_has_an_unknown_outcome)
{
    uint64_t id = send_request(), queued = send_request();
    uint64_t waits = send_flagged(FIPC_REQUEST_WAIT_SERVICE, "wait", 4, 0);

    take(&worker);
    TEST_WAIT_FOR(number("handlers.live") == 4); /* the witness has one */
    raw_close(&worker);
    expect_answer(id, -ECONNRESET, 0);
    expect_answer(queued, -ENOENT, FIPC_REPLY_NOT_DELIVERED);
    serve_with(&worker, NAME, 1);
    take(&worker);
    ck_assert_uint_eq(taken_id, waits);
    reply(&worker, 0, "");
    expect_answer(waits, 0, 0);
}

/* Its head never passed the request: nobody has seen it. The worker may change the bytes in its
 * ring: the broker asks the caller for them again. */
TEST(what_a_dead_worker_had_not_taken_is_its_callers_again)
{
    uint64_t id = send_request();

    test_witness_check(&witness);
    serve_with(&other, NAME, 1);
    raw_close(&worker);
    expect_answer(id, -ESTALE, FIPC_REPLY_NOT_DELIVERED);
    expect_nothing(&other);
}

static void overwrite_ring(struct raw_client *client)
{
    const struct fipc_consumer *ring = &client->channel.in;

    memset((void *)(uintptr_t)ring->memory, 'x', ring->capacity);
}

TEST(what_a_dead_worker_had_not_taken_goes_to_another_with_its_bytes)
{
    uint64_t id = send_flagged(FIPC_REQUEST_IDEMPOTENT, "data", 4, 0);

    test_witness_check(&witness);
    overwrite_ring(&worker);
    serve_with(&other, NAME, 1);
    raw_close(&worker);
    take(&other);
    ck_assert_uint_eq(taken_id, id);
    ck_assert_mem_eq(other.payload + data_at, "data", 4);
    reply(&other, 0, "");
    expect_answer(id, 0, 0);
}

/* It cannot send its request again. */
TEST(one_shot_of_a_dead_worker_goes_to_another_with_its_bytes)
{
    struct raw_client oneshot = RAW_CLIENT_EMPTY;

    send_oneshot(&oneshot);
    TEST_WAIT_FOR(number("deliveries.made") == 1);
    overwrite_ring(&worker);
    serve_with(&other, NAME, 1);
    raw_close(&worker);
    take(&other);
    ck_assert_mem_eq(other.payload + data_at, "data", 4);
    reply(&other, 0, "done");
    ck_assert_int_eq(raw_receive_packet(&oneshot), 0);
    ck_assert_uint_eq(oneshot.packet.type, FIPC_CONTROL_ONESHOT_REPLY);
    ck_assert_int_eq(oneshot.packet.oneshot_reply.status, 0);
    raw_close(&oneshot);
}

TEST(idempotent_request_goes_to_another_with_its_bytes)
{
    uint64_t id = send_flagged(FIPC_REQUEST_IDEMPOTENT, "data", 4, 0);

    take(&worker);
    memset(worker.payload, 'x', worker.payload_bytes);
    serve_with(&other, NAME, 1);
    raw_close(&worker);
    take(&other);
    ck_assert_uint_eq(taken_id, id);
    ck_assert_uint_eq(other.header.flags, FIPC_REQUEST_IDEMPOTENT);
    ck_assert_mem_eq(other.payload + data_at, "data", 4);
    reply(&other, 0, "");
    expect_answer(id, 0, 0);
}

TEST(idempotent_request_without_another_worker_has_an_unknown_outcome)
{
    uint64_t id = send_flagged(FIPC_REQUEST_IDEMPOTENT, "data", 4, 0);

    take(&worker);
    raw_close(&worker);
    expect_answer(id, -ECONNRESET, 0);
}

/* The second one has not seen it, but the first one has. */
TEST(idempotent_request_of_two_dead_workers_has_an_unknown_outcome)
{
    uint64_t id = send_flagged(FIPC_REQUEST_IDEMPOTENT, "data", 4, 0);

    take(&worker);
    serve_with(&other, NAME, 1);
    raw_close(&worker);
    TEST_WAIT_FOR(number("deliveries.made") == 2);
    raw_close(&other);
    expect_answer(id, -ECONNRESET, 0);
}

/* Three who took it; one that had not does not count. */
TEST(idempotent_request_that_three_workers_died_of_is_given_to_no_other)
{
    uint64_t id = send_flagged(FIPC_REQUEST_IDEMPOTENT, "data", 4, 0);
    struct raw_client workers[4];

    take(&worker);
    for (int i = 0; i < 4; i++) {
        serve_with(&workers[i], NAME, 1);
        raw_close(i == 0 ? &worker : &workers[i - 1]);
        if (i == 3)
            break;
        TEST_WAIT_FOR(number("deliveries.made") == i + 2);
        if (i != 1)
            take(&workers[i]);
    }
    expect_answer(id, -ECONNRESET, 0);
    expect_nothing(&workers[3]);
    id = send_request(); /* it serves others */
    take(&workers[3]);
    reply(&workers[3], 0, "");
    expect_answer(id, 0, 0);
    raw_close(&workers[3]);
}

TEST(last_replies_of_a_worker_count)
{
    uint64_t id = send_request(), own;
    uint32_t echo;

    take(&worker);
    ck_assert_int_eq(raw_open_name(&worker, "fipc.echo", &echo), 0);
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(raw_send_request(&worker, echo, NULL, 0, &own), 0);
    reply(&worker, 0, "last");
    raw_close(&worker);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
    expect_answer(id, 0, 0);
    ck_assert_mem_eq(caller.payload, "last", 4);
}

TEST(worker_that_writes_nonsense_is_closed_alone)
{
    uint64_t id = send_request();
    enum fipc_reason reason;

    take(&worker);
    atomic_store(&worker.channel.out.shared->tail, 7);
    ck_assert_int_eq(raw_ring_bell(&worker), 0);
    ck_assert_int_eq(raw_receive_goodbye(&worker, &reason), 0);
    ck_assert_int_eq((int)reason, FIPC_REASON_CORRUPT_RING);
    expect_answer(id, -ECONNRESET, 0);
    ck_assert_int_eq(raw_open_name(&caller, NAME, &target), -ENOENT);
}

TEST(worker_whose_ring_is_full_is_given_the_rest_when_it_reads)
{
    static char data[8000];
    uint64_t ids[20];
    uint32_t numbers[20];

    serve_with(&other, NAME ".many", 100);
    ck_assert_int_eq(raw_open_name(&caller, NAME ".many", &target), 0);
    for (int i = 0; i < 20; i++) {
        ids[i] = send_flagged(0, data, sizeof(data), 0);
        test_witness_check(&witness);
    }
    for (int i = 0; i < 20; i++) { /* without an answer, so that reading alone makes room */
        take(&other);
        ck_assert_uint_eq(taken_id, ids[i]);
        ck_assert_uint_eq(other.payload_bytes - data_at, sizeof(data));
        numbers[i] = delivery.number;
    }
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(raw_send_reply(&other, numbers[i], ids[i], 0, NULL, 0), 0);
    for (int i = 0; i < 20; i++)
        expect_answer(ids[i], 0, 0);
}

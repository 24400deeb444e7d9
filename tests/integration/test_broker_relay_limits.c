/* SPDX-License-Identifier: MIT */
/* Limits of what may be open, and requests that wait for room in a ring. */
#include "tests/integration/relay_fixture.h"

#include <errno.h>
#include <signal.h>

/* ---- too many open calls ---- */

/* Sends it, as soon as there is room. */
static uint64_t send_wait(struct raw_client *client, const char *name)
{
    uint64_t id;
    int r;

    TEST_WAIT_FOR((r = raw_send_wait(client, name, 0, &id)) != -EAGAIN);
    ck_assert_int_eq(r, 0);
    return id;
}

static void send_waits(struct raw_client *client, const char *name, int count)
{
    for (int i = 0; i < count; i++)
        (void)send_wait(client, name);
}

GROUP(limits, .timeout = 60, .fixtures = {{relay_set_up, relay_tear_down}});

TEST(session_is_told_how_many_calls_it_may_have)
{
    ck_assert_uint_eq(caller.welcome.calls_max, CALLS_MAX);
}

TEST(worker_with_too_many_calls_answers_all_the_same)
{
    uint64_t id = send_request();

    take(&worker);
    send_waits(&worker, NAME ".later", CALLS_MAX);
    TEST_WAIT_FOR(number("handlers.live") == CALLS_MAX + 2);
    reply(&worker, 0, "answer");
    expect_answer(id, 0, 0);
}

TEST(call_too_many_is_taken_when_another_one_ends)
{
    uint64_t last;
    bool is_answered = false;

    send_waits(&caller, NAME ".later", CALLS_MAX);
    last = send_wait(&caller, NAME ".later");
    TEST_WAIT_FOR(number("handlers.live") == CALLS_MAX + 1);
    expect_nothing(&caller);
    serve_with(&other, NAME ".later", 1);
    for (int i = 0; i <= CALLS_MAX; i++) {
        ck_assert_int_eq(raw_receive_record(&caller), 0);
        ck_assert_int_eq(caller.header.status, 0);
        is_answered = is_answered || caller.header.id == last;
    }
    ck_assert(is_answered);
}

/* ---- copies of requests that a worker has ---- */

#define COPIES_MAX (8 << 20)
#define LARGE 16000

/* Sends idempotent requests that the worker takes and does not answer, until one is refused.
 * Return: how many the broker keeps a copy of */
static int send_until_refused(void)
{
    static char data[LARGE];
    int n_kept = 0;

    for (;;) {
        uint64_t id = send_flagged(FIPC_REQUEST_IDEMPOTENT | FIPC_REQUEST_NO_WAIT, data, LARGE, 0);

        TEST_WAIT_FOR(raw_try_receive_record(&worker) == 0 || raw_try_receive_record(&caller) == 0);
        if (caller.header.id == id) {
            ck_assert_int_eq(caller.header.status, -EAGAIN);
            return n_kept;
        }
        n_kept++;
    }
}

TEST(copies_of_one_user_have_a_limit)
{
    struct fipc_delivery last;
    uint64_t id;

    serve_with(&other, NAME ".many", 4096);
    raw_close(&worker);
    worker = other;
    other = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_name(&caller, NAME ".many", &target), 0);

    ck_assert_int_eq(send_until_refused(), COPIES_MAX / LARGE);

    /* one that needs no copy is delivered all the same */
    id = send_flagged(FIPC_REQUEST_NO_WAIT, "x", 1, 0);
    ck_assert_int_eq(raw_take_request(&worker, &last, &data_at), 0);
    ck_assert_uint_eq(worker.header.id, id);
}

/* ---- rings that are full ---- */

#define TURNS_MAX 1000

/* How often the loop turns while nothing happens. */
static long long turns_in_peace(void)
{
    long long before = number("loop.turns");
    uint64_t end_ns = fipc_now_ns() + 200 * FIPC_NS_PER_MS;

    while (fipc_now_ns() < end_ns)
        test_pause();
    return number("loop.turns") - before;
}

TEST(request_that_waits_for_room_costs_nothing)
{
    static char data[30000];
    const size_t bytes[] = {sizeof(data), 10000, sizeof(data)};
    uint64_t ids[3];
    uint32_t numbers[3];

    serve_with(&other, NAME ".slow", 3);
    ck_assert_int_eq(raw_open_name(&caller, NAME ".slow", &target), 0);
    for (int i = 0; i < 3;
         i++) { /* the last one finds a third of the ring free, and that is not enough */
        ids[i] = send_flagged(0, data, bytes[i], 0);
        TEST_WAIT_FOR(number("handlers.live") == i + 2);
    }
    ck_assert_int_eq(number("deliveries.made"), 2);
    ck_assert_int_lt(turns_in_peace(), TURNS_MAX);
    for (int i = 0; i < 3; i++) {
        take(&other);
        ck_assert_uint_eq(taken_id, ids[i]);
        numbers[i] = delivery.number;
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(raw_send_reply(&other, numbers[i], ids[i], 0, NULL, 0), 0);
        expect_answer(ids[i], 0, 0);
    }
}

TEST(request_goes_to_a_worker_whose_ring_can_carry_it)
{
    static char data[3000];
    uint64_t ids[2];
    uint32_t served;

    other = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_session(&other, broker.socket, 4096, 4096), 0);
    ck_assert_int_eq(raw_serve(&other, NAME, 100, &served), 0);
    for (int i = 0; i < 2; i++)
        ids[i] = send_flagged(0, data, sizeof(data), 0);
    ck_assert_int_lt(turns_in_peace(), TURNS_MAX);
    for (int i = 0; i < 2; i++) {
        take(&worker);
        ck_assert_uint_eq(taken_id, ids[i]);
        if (i == 0)
            reply(&worker, 0, "");
    }
    expect_answer(ids[0], 0, 0);
    ids[0] = send_request(); /* a smaller one can be carried by the other one too */
    take(&other);
    ck_assert_uint_eq(taken_id, ids[0]);
}

TEST(request_that_no_free_worker_can_carry_is_in_nobodys_way)
{
    static char data[100000];
    struct raw_client large = RAW_CLIENT_EMPTY;
    uint32_t served;
    uint64_t id, ids[2];

    other = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_session(&other, broker.socket, 0, 1 << 20), 0);
    ck_assert_int_eq(raw_serve(&other, NAME, 1, &served), 0);
    ck_assert_int_eq(raw_open_session(&large, broker.socket, 1 << 20, 0), 0);
    for (int i = 0; i < 2; i++) /* one in the hands of the other worker, one that waits for it */
        ck_assert_int_eq(raw_send_request(&large, target, data, sizeof(data), &id), 0);
    TEST_WAIT_FOR(number("handlers.live") == 3);
    for (int i = 0; i < 2; i++)
        ids[i] = send_request();
    for (int i = 0; i < 2; i++) {
        take(&worker);
        ck_assert_uint_eq(taken_id, ids[i]);
        reply(&worker, 0, "");
        expect_answer(ids[i], 0, 0);
    }
    raw_close(&large);
}

/* ---- replies that nobody takes ---- */

TEST(replies_that_wait_for_room_fill_a_uids_share_at_most)
{
    static char data[500000];
    const uint32_t ring_bytes = UINT32_C(1) << 20;
    enum { COUNT = UNSENT_MAX / sizeof(data) + 5 };
    uint32_t numbers[COUNT];
    uint64_t ids[COUNT];
    int n_lost = 0, r;

    ck_assert_int_eq(raw_open_session(&other, broker.socket, ring_bytes, 0), 0);
    ck_assert_int_eq(raw_serve(&other, NAME ".large", COUNT, &target), 0);
    raw_close(&caller);
    ck_assert_int_eq(raw_open_session(&caller, broker.socket, 0, ring_bytes), 0);
    ck_assert_int_eq(raw_open_name(&caller, NAME ".large", &target), 0);
    for (int i = 0; i < COUNT; i++) {
        ids[i] = send_request();
        take(&other);
        numbers[i] = delivery.number;
    }
    for (int i = 0; i < COUNT; i++) {
        TEST_WAIT_FOR((r = raw_send_reply(&other, numbers[i], ids[i], 0, data, sizeof(data))) !=
                      -EAGAIN);
        ck_assert_int_eq(r, 0);
    }
    TEST_WAIT_FOR(atomic_load(&other.channel.out.shared->head) == other.channel.out.tail);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(raw_receive_record(&caller), 0);
        ck_assert_uint_eq(caller.header.id, ids[i]);
        ck_assert(caller.header.status == 0 || caller.header.status == -ENOBUFS);
        n_lost += caller.header.status == -ENOBUFS;
    }
    ck_assert_int_ge(n_lost, 1);
    ck_assert_int_le(n_lost, 4); /* some are in the ring */
}

/* ---- names ---- */

TEST(name_that_was_only_waited_for_uses_up_no_number)
{
    uint32_t first, second, none;

    serve_with(&other, NAME ".first", 1);
    ck_assert_int_eq(raw_open_name(&caller, NAME ".first", &first), 0);
    raw_close(&other);
    TEST_WAIT_FOR(raw_open_name(&caller, NAME ".first", &none) == -ENOENT);
    for (int i = 0; i < 3; i++) {
        const struct fipc_header cancel = {.kind = FIPC_KIND_CANCEL,
                                           .id = send_wait(&caller, NAME ".never")};

        ck_assert_int_eq(raw_send_record(&caller, &cancel, NULL, 0), 0);
    }
    serve_with(&other, NAME ".second", 1);
    ck_assert_int_eq(raw_open_name(&caller, NAME ".second", &second), 0);
    ck_assert_uint_eq(second - first, UINT32_C(1) << 16); /* the next name in the same place */
}

/* ---- a broker that stops ---- */

TEST(broker_that_stops_takes_the_calls_that_an_answer_needs)
{
    uint64_t ids[3], nested;
    uint32_t numbers[3], echo;
    int status;

    serve_with(&other, NAME ".many", 3);
    ck_assert_int_eq(raw_open_name(&other, "fipc.echo", &echo), 0);
    ck_assert_int_eq(raw_open_name(&caller, NAME ".many", &target), 0);
    for (int i = 0; i < 3; i++) {
        ids[i] = send_request();
        take(&other);
        numbers[i] = delivery.number;
    }
    ck_assert_int_eq(kill(broker.pid, SIGTERM), 0);
    TEST_WAIT_FOR(test_broker_log_lines(&broker, "stopping") == 1);
    ck_assert_int_eq(raw_send_request(&other, echo, "nested", 6, &nested), 0);
    ck_assert_int_eq(raw_receive_record(&other), 0);
    ck_assert_uint_eq(other.header.id, nested);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(raw_send_reply(&other, numbers[i], ids[i], 0, NULL, 0), 0);
        expect_answer(ids[i], 0, 0);
    }
    status = test_broker_wait(&broker);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(broker_that_stops_does_not_wait_for_who_waits_for_a_service)
{
    uint64_t start_ns = fipc_now_ns();
    int status;

    (void)send_wait(&caller, NAME ".never");
    raw_close(&worker);
    TEST_WAIT_FOR(number("slots.taken") == 2);
    ck_assert_int_eq(kill(broker.pid, SIGTERM), 0);
    status = test_broker_wait(&broker);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_uint_lt(fipc_now_ns() - start_ns, FIPC_NS_PER_S); /* drain_ms is 2000 */
}

/* SPDX-License-Identifier: MIT */
/* The way of a request: which worker is given it, when it waits, and what becomes of the reply. */
#include "daemon/traffic/relay.h"

#include "common/clock.h"
#include "daemon/model/room_wish.h"
#include "daemon/traffic/reply.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 3
#define CONCURRENCY 4
#define WAITS FIPC_REQUEST_WAIT_SERVICE
#define IDEMPOTENT FIPC_REQUEST_IDEMPOTENT
#define NAME "service"

static struct test_client client, workers[WORKERS];
static struct service *service;

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
    client.slot->has_groups = true; /* none, whatever those of this process are */
}

static void tear_down(void)
{
    for (int i = 0; i < WORKERS; i++)
        client_close(&workers[i]);
    client_close(&client);
    core_tear_down();
}

static void set_up_workers(void)
{
    set_up();
    for (int i = 0; i < WORKERS; i++) {
        client_open(&workers[i], TEST_UID);
        service = client_serve(&workers[i], NAME, CONCURRENCY);
    }
}

static void set_up_worker(void)
{
    set_up();
    client_open(&workers[0], TEST_UID);
    service = client_serve(&workers[0], NAME, 1);
}

static struct worker *worker_of(int i) { return TAILQ_FIRST(&workers[i].slot->workers); }

/* The worker answers the last request that it took. */
static void answer(int i, int status)
{
    client_answer(&workers[i], workers[i].delivery.number, workers[i].header.id, status, "answer");
}

/* ---- which worker ---- */

GROUP(choice, .fixtures = {{set_up_workers, tear_down}});

static const struct {
    uint32_t loads[WORKERS];
    int given; /* -1: to none */
} choices[] = {
    {{0, 0, 0}, 0}, {{1, 0, 0}, 1}, {{1, 1, 0}, 2}, {{2, 1, 1}, 1}, {{1, 2, 2}, 0},  {{0, 1, 2}, 0},
    {{3, 3, 2}, 2}, {{4, 3, 4}, 1}, {{4, 4, 0}, 2}, {{4, 0, 3}, 1}, {{4, 4, 4}, -1},
};

/* Gives @count requests to this worker alone. */
static void load(int worker, uint32_t count)
{
    for (int i = 0; i < WORKERS; i++)
        worker_of(i)->concurrency = i == worker ? CONCURRENCY : 0;
    while (worker_of(worker)->n_deliveries < count)
        (void)client_call(&client, service, 0, "load");
    for (int i = 0; i < WORKERS; i++)
        worker_of(i)->concurrency = CONCURRENCY;
    while (client_take(&workers[worker]))
        ;
}

LOOP_TEST(least_busy_worker_is_given_the_next_request, COUNT_OF(choices))
{
    int given = choices[_i].given;

    for (int i = 0; i < WORKERS; i++)
        load(i, choices[_i].loads[i]);
    (void)client_call(&client, service, 0, "next");
    for (int i = 0; i < WORKERS; i++) {
        ck_assert_uint_eq(worker_of(i)->n_deliveries, choices[_i].loads[i] + (i == given));
        if (i == given)
            (void)client_expect_request(&workers[i], "next");
        ck_assert(!client_take(&workers[i]));
    }
    ck_assert_uint_eq(service->queue.n_items, given < 0);
}

TEST(equally_busy_workers_take_turns)
{
    for (int i = 0; i < 2 * WORKERS; i++) {
        (void)client_call(&client, service, 0, "work");
        (void)client_expect_request(&workers[i % WORKERS], "work");
    }
    for (int i = 0; i < 2 * WORKERS; i++) { /* idle workers as well */
        if (i < WORKERS) {
            while (worker_of(i)->n_deliveries > 0)
                delivery_end(&core.deliveries, TAILQ_FIRST(&worker_of(i)->deliveries));
            continue;
        }
        (void)client_call(&client, service, 0, "more");
        (void)client_expect_request(&workers[i % WORKERS], "more");
        answer(i % WORKERS, 0);
    }
}

TEST(worker_whose_ring_is_full_is_passed_over)
{
    client_fill(&workers[0]);
    (void)client_call(&client, service, 0, "work");
    (void)client_expect_request(&workers[1], "work");
    ck_assert_uint_eq(workers[0].slot->wanted_bytes, sizeof(struct fipc_delivery) + 4);

    client_drain(&workers[0]); /* nothing is given to it before the broker has seen that */
    for (int i = 2; i <= 3; i++)
        (void)client_call(&client, service, 0, "more");
    ck_assert(!client_take(&workers[0]));
    relay_has_room(&core, workers[0].slot);
    (void)client_call(&client, service, 0, "again");
    (void)client_expect_request(&workers[0], "again");
}

TEST(worker_that_corrupts_its_ring_ends_and_another_is_given_the_request)
{
    atomic_store(&workers[0].channel.in.shared->head, 7);
    client_fill(&workers[0]);
    (void)client_call(&client, service, 0, "work");
    ck_assert(workers[0].slot->is_ending);
    ck_assert_int_eq((int)workers[0].slot->end_reason, FIPC_REASON_CORRUPT_RING);
    (void)client_expect_request(&workers[1], "work");
}

TEST(worker_that_ends_is_given_nothing)
{
    slot_end(&core.slots, workers[0].slot, FIPC_REASON_GONE);
    slot_end(&core.slots, workers[1].slot, FIPC_REASON_GONE);
    for (int i = 0; i <= CONCURRENCY; i++)
        (void)client_call(&client, service, 0, "work");
    ck_assert_uint_eq(worker_of(2)->n_deliveries, CONCURRENCY);
    ck_assert_uint_eq(service->queue.n_items, 1);
    ck_assert(!client_take(&workers[0]));
}

/* The rings of the fixture, as if they had been made smaller. */
static void shrink_ring(struct test_client *worker)
{
    worker->slot->channel.out.capacity = TEST_RING_BYTES / 2;
    worker->channel.in.capacity = TEST_RING_BYTES / 2;
}

TEST(request_that_waits_for_a_large_ring_is_in_nobodys_way)
{
    char large[TEST_RING_BYTES / 4] = "";

    memset(large, 'l', sizeof(large) - 1);
    shrink_ring(&workers[0]);
    shrink_ring(&workers[1]);
    load(2, CONCURRENCY);
    load(1, CONCURRENCY);
    load(0, CONCURRENCY - 1);
    (void)client_call(&client, service, 0, large);
    (void)client_call(&client, service, 0, "small");
    (void)client_expect_request(&workers[0], "small");
    (void)client_call(&client, service, 0, "second");
    ck_assert_uint_eq(service->queue.n_items, 2);
    answer(0, 0);
    (void)client_expect_request(&workers[0], "second");
    ck_assert_uint_eq(service->queue.n_items, 1);
    delivery_end(&core.deliveries, TAILQ_FIRST(&worker_of(2)->deliveries));
    relay_served(&core, service);
    (void)client_expect_request(&workers[2], large);
}

/* ---- the request ---- */

GROUP(request, .fixtures = {{set_up_worker, tear_down}});

TEST(worker_is_told_of_its_caller)
{
    static const uint32_t groups[] = {5, 6, 7};
    struct fipc_delivery *about = &workers[0].delivery;
    struct handler *handler;

    client.slot->groups = malloc(sizeof(groups));
    memcpy(client.slot->groups, groups, sizeof(groups));
    client.slot->n_groups = 3;
    handler = client_call(&client, service, IDEMPOTENT, "work");

    (void)client_expect_request(&workers[0], "work");
    ck_assert_uint_eq(workers[0].header.id, client.last_id);
    ck_assert_uint_eq(workers[0].header.flags, IDEMPOTENT);
    ck_assert_uint_eq(workers[0].header.target, service_target(service));
    ck_assert_uint_eq(workers[0].header.remaining_ns, handler->deadline_ns - core.now_ns);
    ck_assert_uint_eq(about->number, handler->delivery->number);
    ck_assert_uint_eq(about->uid, TEST_STRANGER);
    ck_assert_uint_eq(about->gid, client.slot->peer.gid);
    ck_assert_int_eq(about->pid, client.slot->peer.pid);
    ck_assert_uint_eq(about->n_groups, 3);
    ck_assert_uint_eq(about->name_bytes, 0);
    ck_assert_uint_ne(about->token, 0);
    ck_assert_mem_eq(workers[0].payload + sizeof(*about), groups, sizeof(groups));
    ck_assert_int_eq(handler->state, HANDLER_RUNNING);
    ck_assert_uint_eq(workers[0].slot->news, FIPC_NEWS_RECORDS);
}

/* What the caller finds in its place, in its own mapping. */
static void expect_handed(uint32_t number, const struct test_client *worker)
{
    const struct fipc_place *place = fipc_region_place(&client.channel.region, number);

    ck_assert_uint_eq(atomic_load(&place->id), worker->header.id);
    ck_assert_uint_eq(place->token, worker->delivery.token);
    ck_assert_uint_eq(place->handle, TEST_HANDLE);
    ck_assert_int_eq(place->pid, worker->slot->peer.pid);
    ck_assert_uint_eq(place->reserved, 0);
}

TEST(place_says_to_whom_a_request_was_handed)
{
    uint64_t first_token;

    for (uint32_t number = 0; number < FIPC_PLACES_MIN; number++)
        ck_assert_uint_eq(atomic_load(&fipc_region_place(&client.channel.region, number)->id), 0);
    (void)client_call(&client, service, IDEMPOTENT, "one");
    (void)client_expect_request(&workers[0], "one");
    expect_handed(1, &workers[0]);
    first_token = workers[0].delivery.token;

    client_open(&workers[1], TEST_UID);
    (void)client_serve(&workers[1], NAME, 1);
    client_close(&workers[0]); /* a new hand-over has a new token */
    (void)client_expect_request(&workers[1], "one");
    expect_handed(1, &workers[1]);
    ck_assert_uint_ne(workers[1].delivery.token, first_token);
}

TEST(place_of_a_request_that_no_worker_has_seen_is_cleared)
{
    (void)client_call(&client, service, 0, "unread");
    ck_assert_uint_ne(atomic_load(&fipc_region_place(&client.channel.region, 1)->id), 0);
    for (int i = 0; i < WORKERS; i++)
        client_close(&workers[i]);
    ck_assert_uint_eq(atomic_load(&fipc_region_place(&client.channel.region, 1)->id), 0);
}

TEST(time_in_the_queue_counts)
{
    struct handler *handler;

    (void)client_call(&client, service, 0, "first");
    handler = client_call(&client, service, 0, "second");
    (void)client_expect_request(&workers[0], "first");
    test_advance(handler->deadline_ns - core.now_ns - 1);
    answer(0, 0);
    (void)client_expect_request(&workers[0], "second");
    ck_assert_uint_eq(workers[0].header.remaining_ns, 1);
}

static const int beyond_max[] = {-1, 0, 1};

LOOP_TEST(request_that_no_ring_can_take_is_an_error, COUNT_OF(beyond_max))
{
    char text[TEST_RING_BYTES / 2] = "";
    size_t max = fipc_ring_payload_max(TEST_RING_BYTES) - sizeof(struct fipc_delivery);

    memset(text, 't', max + (size_t)beyond_max[_i]);
    (void)client_call(&client, service, 0, text);
    if (beyond_max[_i] <= 0) {
        (void)client_expect_request(&workers[0], text);
        return;
    }
    client_expect_reply(&client, 1, -EMSGSIZE);
    ck_assert_uint_eq(client.header.flags, FIPC_REPLY_NOT_DELIVERED);
}

TEST(built_in_service_answers_at_once)
{
    (void)client_call(&client, service_find(&core.services, "fipc.echo", 9), 0, "text");
    client_expect_reply(&client, 1, 0);
    ck_assert_mem_eq(client.payload, "text", 4);
}

TEST(no_service_is_an_error)
{
    (void)client_call(&client, NULL, WAITS, "text");
    client_expect_reply(&client, 1, -ENOENT);
    ck_assert_uint_eq(client.header.flags, FIPC_REPLY_NOT_DELIVERED);
}

/* ---- the queue ---- */

GROUP(queue, .fixtures = {{set_up_worker, tear_down}});

TEST(requests_beyond_the_concurrency_wait_in_order)
{
    static const char *const texts[] = {"1", "2", "3"};

    for (int i = 0; i < 3; i++)
        (void)client_call(&client, service, 0, texts[i]);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(service->queue.n_items, 2 - i);
        (void)client_expect_request(&workers[0], texts[i]);
        ck_assert(!client_take(&workers[0]));
        answer(0, 0);
        client_expect_reply(&client, i + 1, 0);
    }
}

TEST(copy_of_a_request_stays_only_of_one_that_may_be_delivered_again)
{
    struct handler *once, *again;

    (void)client_call(&client, service, 0, "first");
    again = client_call(&client, service, IDEMPOTENT, "again");
    once = client_call(&client, service, 0, "once");
    ck_assert_ptr_nonnull(once->request);
    (void)client_expect_request(&workers[0], "first");
    answer(0, 0);
    (void)client_expect_request(&workers[0], "again");
    ck_assert_ptr_nonnull(again->request);
    answer(0, 0);
    (void)client_expect_request(&workers[0], "once");
    ck_assert_ptr_null(once->request);
}

TEST(request_waits_for_room_in_the_only_ring)
{
    client_fill(&workers[0]);
    (void)client_call(&client, service, 0, "work");
    ck_assert_uint_eq(service->queue.n_items, 1);
    client_drain(&workers[0]);
    relay_has_room(&core, workers[0].slot);
    ck_assert_uint_eq(workers[0].slot->wanted_bytes, 0);
    (void)client_expect_request(&workers[0], "work");
}

TEST(request_that_waited_too_long_ends)
{
    (void)client_call(&client, service, 0, "first");
    (void)client_expect_request(&workers[0], "first");
    test_advance(1);
    (void)client_call(&client, service, 0, "second");
    test_advance(30 * FIPC_NS_PER_S - 1);
    client_expect_reply(&client, 1, -ETIMEDOUT);
    ck_assert_uint_eq(service->queue.n_items, 1); /* the worker is still at the first one */
    test_advance(1);
    client_expect_reply(&client, 2, -ETIMEDOUT);
    ck_assert_uint_eq(service->queue.n_items, 0);
}

static const struct {
    unsigned flags;
    bool is_notified;
} refusals[] = {{0, true}, {FIPC_REQUEST_NO_WAIT, false}};

LOOP_TEST(request_over_the_share_is_refused, COUNT_OF(refusals))
{
    core.quota.queued = 1;
    (void)client_call(&client, service, 0, "in hands");
    (void)client_call(&client, service, 0, "in the queue");
    (void)client_call(&client, service, refusals[_i].flags, "refused");
    client_expect_reply(&client, 3, -EAGAIN);
    ck_assert_uint_eq(client.header.flags, FIPC_REPLY_NOT_DELIVERED);
    (void)client_expect_request(&workers[0], "in hands");
    answer(0, 0);
    client_expect_reply(&client, 1, 0);
    if (refusals[_i].is_notified)
        client_expect_control(&client, FIPC_CONTROL_ROOM, service_target(service));
    ck_assert(!client_take(&client));
}

TEST(request_does_not_overtake_one_that_was_refused)
{
    ck_assert_int_eq(room_wish_make(&core.quota, service, client.slot, 1), 0);
    (void)client_call(&client, service, 0, "next"); /* though the worker is free */
    client_expect_reply(&client, 1, -EAGAIN);
    relay_served(&core, service);
    client_expect_control(&client, FIPC_CONTROL_ROOM, service_target(service));
    (void)client_call(&client, service, 0, "next");
    (void)client_expect_request(&workers[0], "next");
}

/* ---- the reply ---- */

GROUP(replies, .fixtures = {{set_up_worker, tear_down}});

static const struct {
    int status, seen;
} statuses[] = {
    {0, 0},
    {-1, -1},
    {-FIPC_ERROR_MAX, -FIPC_ERROR_MAX},
    {1, -EPROTO},
    {INT32_MAX, -EPROTO},
    {-FIPC_ERROR_MAX - 1, -EPROTO},
    {INT32_MIN, -EPROTO},
};

LOOP_TEST(caller_sees_the_status_of_the_worker, COUNT_OF(statuses))
{
    (void)client_call(&client, service, 0, "work");
    (void)client_expect_request(&workers[0], "work");
    answer(0, statuses[_i].status);
    client_expect_reply(&client, 1, statuses[_i].seen);
    ck_assert_uint_eq(client.header.flags, 0);
    ck_assert_uint_eq(client.size, statuses[_i].status == 0 ? 6 : 0);
    ck_assert(!relay_is_busy(workers[0].slot));
}

TEST(reply_that_the_caller_cannot_take_is_an_error)
{
    char large[TEST_RING_BYTES] = "";

    memset(large, 'l', sizeof(large) - 1);
    (void)client_call(&client, service, 0, "work");
    client_answer(&workers[0], client_expect_request(&workers[0], "work"), 1, 0, large);
    client_expect_reply(&client, 1, -EMSGSIZE);
}

TEST(reply_to_what_a_worker_was_not_given_is_counted_and_dropped)
{
    uint32_t number;

    client_open(&workers[1], TEST_UID);
    (void)client_call(&client, service, 0, "work");
    number = client_expect_request(&workers[0], "work");
    client_answer(&workers[0], number + 1, 1, 0, "no such number");
    client_answer(&workers[0], UINT32_MAX, 1, 0, "no such number");
    client_answer(&workers[0], number, 2, 0, "no such id");
    client_answer(&workers[1], number, 1, 0, "another's");
    ck_assert_uint_eq(core.deliveries.n_unknown, 4);
    ck_assert(!client_take(&client));

    client_answer(&workers[0], number, 1, 0, "its own");
    client_expect_reply(&client, 1, 0);
    client_answer(&workers[0], number, 1, 0, "twice");
    ck_assert_uint_eq(core.deliveries.n_unknown, 5);
    ck_assert_uint_eq(core.deliveries.n_late, 0);
    ck_assert_uint_eq(core.deliveries.n_made, 1);
    ck_assert(!client_take(&client));
}

TEST(late_reply_frees_the_worker)
{
    uint32_t number;

    (void)client_call(&client, service, 0, "first");
    number = client_expect_request(&workers[0], "first");
    test_advance(30 * FIPC_NS_PER_S);
    client_expect_reply(&client, 1, -ETIMEDOUT);
    ck_assert(client_take(&workers[0]));
    ck_assert_int_eq(workers[0].header.kind, FIPC_KIND_CANCEL);

    (void)client_call(&client, service, 0, "second"); /* the worker is busy until it answers */
    ck_assert(!client_take(&workers[0]));
    client_answer(&workers[0], number, 1, 0, "late");
    ck_assert_uint_eq(core.deliveries.n_late, 1);
    ck_assert_uint_eq(core.deliveries.n_unknown, 0);
    ck_assert(!client_take(&client));
    (void)client_expect_request(&workers[0], "second");
}

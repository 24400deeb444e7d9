/* SPDX-License-Identifier: MIT */
/* What becomes of requests when a worker leaves, and when the broker stops. */
#include "daemon/traffic/leaving.h"
#include "daemon/traffic/relay.h"

#include "common/clock.h"
#include "daemon/traffic/reply.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>
#include <string.h>

#define WAITS FIPC_REQUEST_WAIT_SERVICE
#define IDEMPOTENT FIPC_REQUEST_IDEMPOTENT
#define NAME "service"

static struct test_client client, worker, second;
static struct service *service;

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
    client_open(&worker, TEST_UID);
    client_open(&second, TEST_UID);
    service = client_serve(&worker, NAME, 3);
}

static void tear_down(void)
{
    client_close(&second);
    client_close(&worker);
    client_close(&client);
    core_tear_down();
}

static void take_all(struct test_client *from)
{
    while (client_take(from))
        ;
}

/* ---- in the hands of a worker that dies ---- */

GROUP(dying, .fixtures = {{set_up, tear_down}});

static const struct {
    unsigned flags;
    bool was_taken;
    int status; /* 0: another worker is given the request */
    unsigned reply_flags;
} deaths[] = {
    {0, false, -ESTALE, FIPC_REPLY_NOT_DELIVERED},
    {0, true, -ECONNRESET, 0},
    {WAITS, false, -ESTALE, FIPC_REPLY_NOT_DELIVERED},
    {WAITS, true, -ECONNRESET, 0},
    {IDEMPOTENT, false, 0, 0},
    {IDEMPOTENT, true, 0, 0},
};

LOOP_TEST(request_of_a_dead_worker, COUNT_OF(deaths))
{
    struct handler *handler = client_call(&client, service, deaths[_i].flags, "work");

    if (deaths[_i].was_taken)
        take_all(&worker);
    (void)client_serve(&second, NAME, 1);
    client_close(&worker);
    if (deaths[_i].status == 0) {
        (void)client_expect_request(&second, "work");
        ck_assert_uint_eq(second.header.id, client.last_id);
        ck_assert_uint_eq(handler->n_worker_deaths, deaths[_i].was_taken);
    } else {
        client_expect_reply(&client, client.last_id, deaths[_i].status);
        ck_assert_uint_eq(client.header.flags, deaths[_i].reply_flags);
    }
    ck_assert(!client_take(&client));
    ck_assert(!client_take(&second));
}

static const bool taken[] = {false, true};

LOOP_TEST(request_of_a_oneshot_is_delivered_again_unless_it_was_taken, COUNT_OF(taken))
{
    struct test_client oneshot;

    client_open_oneshot(&oneshot, TEST_STRANGER);
    (void)client_call(&oneshot, service, 0, "work");
    if (taken[_i])
        take_all(&worker);
    (void)client_serve(&second, NAME, 1);
    client_close(&worker);
    ck_assert_int_eq(client_take(&second), !taken[_i]);
    ck_assert_int_eq(oneshot.slot->is_ending, taken[_i]);
    client_close(&oneshot);
}

/* The payload in the ring was the worker's to change. */
TEST(copy_of_the_request_is_delivered)
{
    (void)client_call(&client, service, IDEMPOTENT, "work");
    memset(worker.slot->channel.out.memory, 0xff, TEST_RING_BYTES);
    (void)client_serve(&second, NAME, 1);
    client_close(&worker);
    (void)client_expect_request(&second, "work");
}

TEST(request_that_three_workers_took_and_died_of_is_not_delivered_again)
{
    struct handler *handler = client_call(&client, service, IDEMPOTENT | WAITS, "work");

    for (uint8_t n_deaths = 0; n_deaths < 3; n_deaths++) {
        (void)client_expect_request(&worker, "work");
        ck_assert_uint_eq(handler->n_worker_deaths, n_deaths);
        client_close(&worker);
        client_open(&worker, TEST_UID);
        (void)client_serve(&worker, NAME, 1);
    }
    ck_assert(!client_take(&worker));
    client_expect_reply(&client, client.last_id, -ECONNRESET);
    ck_assert_uint_eq(client.header.flags, 0);
}

TEST(deaths_of_workers_that_did_not_take_it_do_not_count)
{
    (void)client_call(&client, service, IDEMPOTENT | WAITS, "work");
    for (int i = 0; i < 10; i++) {
        client_close(&worker);
        client_open(&worker, TEST_UID);
        (void)client_serve(&worker, NAME, 1);
    }
    (void)client_expect_request(&worker, "work");
    ck_assert(!client_take(&client));
}

TEST(requests_stay_in_order)
{
    static const char *const texts[] = {"1", "2", "3", "4", "5"};
    static const char *const rest[] = {"1", "2", "3", "5"};

    for (int i = 0; i < 5; i++) /* two of them wait */
        (void)client_call(&client, service, IDEMPOTENT, texts[i]);
    (void)client_expect_request(&worker, "1");
    (void)client_expect_request(&worker, "2");
    (void)client_serve(&second, NAME, 0);
    (void)client_expect_request(&second, "4");
    client_close(&worker);
    for (int i = 0; i < 4; i++) {
        client_answer(&second, second.delivery.number, second.header.id, 0, "");
        (void)client_expect_request(&second, rest[i]);
    }
}

TEST(request_whose_caller_has_its_answer_dies_with_the_worker)
{
    (void)client_call(&client, service, IDEMPOTENT, "work");
    test_advance(30 * FIPC_NS_PER_S);
    client_expect_reply(&client, client.last_id, -ETIMEDOUT);
    (void)client_serve(&second, NAME, 1);
    ck_assert(relay_is_busy(worker.slot));
    client_close(&worker);
    ck_assert(!client_take(&client));
    ck_assert(!client_take(&second));
    ck_assert_uint_eq(core.deliveries.n_late, 0);
}

TEST(worker_leaves_all_its_names)
{
    struct service *other = client_serve(&worker, "other", 1);
    uint32_t target = service_target(service);

    (void)client_serve(&second, NAME, 1);
    (void)client_call(&client, other, 0, "work");
    client_close(&worker);
    client_expect_reply(&client, client.last_id, -ESTALE);
    ck_assert_ptr_null(service_find(&core.services, "other", 5));
    ck_assert_ptr_eq(service_of_target(&core.services, target), service);
    client_close(&second);
    ck_assert_ptr_null(service_of_target(&core.services, target));
}

/* ---- the last worker of a name ---- */

GROUP(last_worker, .fixtures = {{set_up, tear_down}});

static const struct {
    unsigned flags;
    bool was_taken, is_stopping;
    int status; /* 0: it waits for the next worker */
} lasts[] = {
    {IDEMPOTENT, false, false, -ENOENT},
    {IDEMPOTENT, true, false, -ECONNRESET},
    {IDEMPOTENT | WAITS, false, false, 0},
    {IDEMPOTENT | WAITS, true, false, 0},
    {IDEMPOTENT, false, true, -ENOENT},
    {IDEMPOTENT, true, true, -ECONNRESET},
    {IDEMPOTENT | WAITS, false, true, -ESTALE}, /* it waits at the next broker */
    {IDEMPOTENT | WAITS, true, true, -ECONNRESET},
};

LOOP_TEST(only_those_stay_in_the_queue_that_wait, COUNT_OF(lasts))
{
    int status = lasts[_i].status;

    core.stopping = lasts[_i].is_stopping;
    (void)client_call(&client, service, lasts[_i].flags, "work");
    if (lasts[_i].was_taken)
        take_all(&worker);
    client_close(&worker);
    if (status != 0) {
        client_expect_reply(&client, client.last_id, status);
        ck_assert_uint_eq(client.header.flags,
                          status == -ECONNRESET ? 0 : FIPC_REPLY_NOT_DELIVERED);
        ck_assert_ptr_null(service_find(&core.services, NAME, 7));
        return;
    }
    ck_assert(!client_take(&client));
    (void)client_serve(&second, NAME, 1);
    (void)client_expect_request(&second, "work");
}

TEST(requests_behind_those_in_its_hands_end_after_them)
{
    for (int i = 0; i < 3; i++)
        (void)client_call(&client, service, 0, "in hands");
    take_all(&worker);
    (void)client_call(&client, service, 0, "queued");
    (void)client_call(&client, service, WAITS, "waits");
    client_close(&worker);
    for (uint64_t id = 3; id >= 1; id--) /* the last one first: it is put back before others */
        client_expect_reply(&client, id, -ECONNRESET);
    client_expect_reply(&client, 4, -ENOENT);
    ck_assert(!client_take(&client));
    ck_assert_uint_eq(service->queue.n_items, 1);
}

/* ---- last replies ---- */

GROUP(last_replies, .fixtures = {{set_up, tear_down}});

static void put_reply(const char *text)
{
    const struct fipc_header reply = {
        .kind = FIPC_KIND_REPLY, .target = worker.delivery.number, .id = worker.header.id};

    client_send(&worker, &reply, text, strlen(text));
}

TEST(replies_before_the_hang_up_count)
{
    for (int i = 0; i < 4; i++)
        (void)client_call(&client, service, 0, "work");
    for (uint64_t id = 1; id <= 2; id++) {
        (void)client_expect_request(&worker, "work");
        (void)client_request(&worker, 0, 0, "not taken", 9);
        put_reply("reply");
    }
    while (!leaving_take_last_replies(&core, worker.slot))
        ;
    ck_assert_uint_eq(service->queue.n_items, 1); /* it is given nothing more */
    for (uint64_t id = 1; id <= 2; id++) {
        client_expect_reply(&client, id, 0);
        ck_assert_mem_eq(client.payload, "reply", 5);
    }
    ck_assert_uint_eq(worker.slot->calls, 0);
    client_close(&worker);
    client_expect_reply(&client, 3, -ESTALE); /* it lies in the ring */
    client_expect_reply(&client, 4, -ENOENT);
}

TEST(corrupt_ring_has_no_more_replies)
{
    (void)client_call(&client, service, 0, "work");
    (void)client_expect_request(&worker, "work");
    atomic_store(&worker.slot->channel.in.shared->tail, 7);
    while (!leaving_take_last_replies(&core, worker.slot))
        ;
    ck_assert(!client_take(&client));
    ck_assert(relay_is_busy(worker.slot));
}

TEST(nothing_is_taken_from_a_slot_with_nothing_in_its_hands)
{
    put_reply("reply");
    while (!leaving_take_last_replies(&core, worker.slot))
        ;
    ck_assert_uint_eq(core.deliveries.n_unknown, 0);
}

/* ---- the broker stops ---- */

GROUP(stopping, .fixtures = {{set_up, tear_down}});

static void wait_for(struct service *name, uint64_t id)
{
    struct handler *handler = reply_begin(&core, client.slot, id, 0);

    handler->is_wait = true;
    reply_set_state(&core, handler, HANDLER_ROUTED);
    relay_wait(&core, handler, name);
}

TEST(those_that_wait_for_a_worker_go_on_with_the_next_broker)
{
    struct service *waited = client_wish_for(&client, "waited"), *queued;

    wait_for(waited, 101);
    wait_for(waited, 102);
    queued = client_wish_for(&client, "queued");
    wait_for(queued, 103);
    (void)client_call(&client, queued, WAITS, "1");
    core.stopping = true;
    leaving_stop(&core);
    client_expect_reply(&client, 1, -ESTALE);
    ck_assert_uint_eq(client.header.flags, FIPC_REPLY_NOT_DELIVERED);
    ck_assert(!client_take(&client)); /* a wait ends without a word: the library asks again */
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_DROPPED], 3);
    ck_assert_uint_eq(core.handlers.n_live, 0);
    ck_assert_uint_eq(client.slot->account->n_names, 0);
}

TEST(what_workers_have_or_will_have_goes_on)
{
    for (int i = 0; i < 4; i++)
        (void)client_call(&client, service, 0, "work");
    core.stopping = true;
    leaving_stop(&core);
    ck_assert_uint_eq(core.handlers.n_live, 4);
    for (uint64_t id = 1; id <= 4; id++) {
        client_answer(&worker, client_expect_request(&worker, "work"), id, 0, "");
        client_expect_reply(&client, id, 0);
    }
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_REPLIED], 4);
}

/* SPDX-License-Identifier: MIT */
/* Which clients are notified when a handler leaves a queue, or a worker's hands. */
#include "daemon/traffic/queueing.h"

#include "common/clock.h"
#include "daemon/model/queue.h"
#include "daemon/model/room_wish.h"
#include "daemon/traffic/reply.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>

#define SHARE 4 /* of one uid, in the queues */
#define WAITS FIPC_REQUEST_WAIT_SERVICE

static struct test_client client, other, worker;
static struct service *service;

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
    client_open(&other, TEST_STRANGER);
    client_open(&worker, TEST_UID);
    core.quota.queued = SHARE;
    service = client_wish_for(&client, "service");
}

static void tear_down(void)
{
    client_close(&worker);
    client_close(&other);
    client_close(&client);
    core_tear_down();
}

/* As many requests as the share holds, from both clients. */
static struct handler *fill_share(struct test_client *one, struct test_client *two)
{
    struct handler *first = client_call(one, service, WAITS, "1");

    (void)client_call(two, service, WAITS, "2");
    for (uint32_t i = 2; i < SHARE; i++)
        (void)client_call(one, service, WAITS, "more");
    ck_assert_uint_eq(service->queue.n_items, SHARE);
    return first;
}

/* A request that finds no room: the client wishes for some. */
static void be_refused(struct test_client *one, struct service *by)
{
    (void)client_call(one, by, WAITS, "refused");
    client_expect_reply(one, one->last_id, -EAGAIN);
    ck_assert_uint_eq(one->header.flags, FIPC_REPLY_NOT_DELIVERED);
}

static void leave(struct handler *handler)
{
    queueing_leave(&core, handler);
    reply_drop(&core, handler);
}

static bool is_forgotten(void)
{
    return service_find(&core.services, "service", sizeof("service") - 1) == NULL;
}

GROUP(leaving, .fixtures = {{set_up, tear_down}});

TEST(client_is_notified_once_when_its_share_is_half_empty)
{
    (void)fill_share(&client, &client);
    be_refused(&client, service);
    be_refused(&client, service);

    leave(queue_first(service));
    ck_assert(!client_take(&client)); /* 3 of 4 */
    leave(queue_first(service));
    client_expect_control(&client, FIPC_CONTROL_ROOM, service_target(service));
    leave(queue_first(service));
    ck_assert(!client_take(&client));
    ck_assert_uint_eq(client.slot->n_room_wishes, 0);
}

TEST(client_is_notified_of_its_services_in_the_order_of_its_wishes)
{
    struct service *second = client_wish_for(&client, "second");
    struct service *third = client_wish_for(&client, "third");

    (void)fill_share(&client, &client);
    be_refused(&client, third);
    be_refused(&client, service);
    be_refused(&client, second);
    leave(queue_first(service));
    leave(queue_first(service));
    client_expect_control(&client, FIPC_CONTROL_ROOM, service_target(third));
    client_expect_control(&client, FIPC_CONTROL_ROOM, service_target(service));
    client_expect_control(&client, FIPC_CONTROL_ROOM, service_target(second));
    queueing_release_if_unused(&core, second);
    queueing_release_if_unused(&core, third);
}

TEST(clients_are_notified_in_the_order_of_their_wishes)
{
    (void)fill_share(&client, &other);
    be_refused(&other, service);
    be_refused(&client, service);
    fipc_hot_set_remove(&core.hot, client.slot->index);
    fipc_hot_set_remove(&core.hot, other.slot->index);

    queueing_grant_all(&core, service);
    ck_assert_uint_eq(core.hot.count, 2); /* to be rung for, in that order */
    ck_assert_uint_eq(core.hot.hot[0], other.slot->index);
    ck_assert_uint_eq(core.hot.hot[1], client.slot->index);
    client_expect_control(&client, FIPC_CONTROL_ROOM, service_target(service));
    client_expect_control(&other, FIPC_CONTROL_ROOM, service_target(service));
}

TEST(notice_to_a_client_that_does_not_read_waits)
{
    (void)fill_share(&client, &client);
    be_refused(&client, service);
    client_fill(&client);
    queueing_grant_all(&core, service);
    client_drain(&client);
    ck_assert(!client_take(&client));
    ck_assert_int_eq(reply_send_waiting(&core, client.slot), 1);
    client_expect_control(&client, FIPC_CONTROL_ROOM, service_target(service));
}

TEST(nobody_is_notified_of_the_end_of_a_wait)
{
    struct handler *wait = reply_begin(&core, other.slot, 1, 0);

    wait->is_wait = true;
    reply_set_state(&core, wait, HANDLER_ROUTED);
    (void)fill_share(&client, &client);
    be_refused(&client, service);
    ck_assert_int_eq(queue_wait(service, other.slot, wait), 0);
    queueing_leave(&core, wait);
    ck_assert(!client_take(&client));
    ck_assert_ptr_null(wait->queued);
}

GROUP(releasing, .fixtures = {{set_up, tear_down}});

TEST(name_that_nobody_serves_or_waits_for_is_forgotten)
{
    queueing_release_if_unused(&core, service);
    ck_assert(is_forgotten());
    ck_assert_uint_eq(client.slot->account->n_names, 0);
}

TEST(name_is_kept_for_a_worker)
{
    (void)client_serve(&worker, "service", 1);
    queueing_release_if_unused(&core, service);
    ck_assert(!is_forgotten());
}

TEST(name_is_kept_for_a_request_and_so_are_the_wishes)
{
    (void)fill_share(&client, &client);
    be_refused(&client, service);
    queueing_release_if_unused(&core, service);
    ck_assert(!is_forgotten());
    ck_assert(!client_take(&client));
    ck_assert_uint_eq(client.slot->n_room_wishes, 1);
}

TEST(name_is_kept_for_a_wait_but_clients_that_want_room_are_notified)
{
    struct handler *wait = reply_begin(&core, other.slot, 1, 0);

    wait->is_wait = true;
    reply_set_state(&core, wait, HANDLER_ROUTED);
    ck_assert_int_eq(queue_wait(service, other.slot, wait), 0);
    ck_assert_int_eq(room_wish_make(&core.quota, service, client.slot, 1), 0);
    queueing_release_if_unused(&core, service);
    client_expect_control(&client, FIPC_CONTROL_ROOM, service_target(service));
    ck_assert(!is_forgotten());
}

TEST(clients_that_want_room_hear_of_the_end_of_a_name)
{
    uint32_t target = service_target(service);

    ck_assert_int_eq(room_wish_make(&core.quota, service, client.slot, 1), 0);
    queueing_release_if_unused(&core, service);
    client_expect_control(&client, FIPC_CONTROL_ROOM, target); /* it opens the name anew */
    ck_assert(is_forgotten());
}

GROUP(forgetting, .fixtures = {{set_up, tear_down}});

TEST(handler_that_ends_leaves_its_queue_and_the_last_one_the_name)
{
    struct handler *first = client_call(&client, service, WAITS, "1");
    struct handler *second = client_call(&other, service, WAITS, "2");

    queueing_forget(&core, first);
    ck_assert_ptr_null(first->queued);
    ck_assert_ptr_eq(queue_first(service), second);
    ck_assert(!is_forgotten());
    queueing_forget(&core, second);
    ck_assert(is_forgotten());
    ck_assert_uint_eq(client.slot->account->n_queued, 0);
}

TEST(worker_hears_that_nobody_waits_for_its_answer)
{
    const struct delivery *delivery;
    struct handler *handler;
    uint32_t number;

    (void)client_serve(&worker, "service", 1);
    handler = client_call(&client, service, 0, "work");
    number = client_expect_request(&worker, "work");
    queueing_forget(&core, handler);
    ck_assert_ptr_null(handler->delivery);
    ck_assert(client_take(&worker));
    ck_assert_int_eq(worker.header.kind, FIPC_KIND_CANCEL);
    ck_assert_uint_eq(worker.header.target, number);
    ck_assert_uint_eq(worker.header.id, client.last_id);
    delivery = delivery_of(&core.deliveries, worker.slot, number);
    ck_assert_ptr_nonnull(delivery); /* until it answers */
    ck_assert_ptr_null(delivery->handler);
}

TEST(handler_in_no_queue_and_in_no_hands_is_none_of_it)
{
    queueing_forget(&core, reply_begin(&core, client.slot, 1, 0));
    ck_assert(!client_take(&client));
    queueing_release_if_unused(&core, service);
}

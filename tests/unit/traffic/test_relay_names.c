/* SPDX-License-Identifier: MIT */
/* The names that a slot may serve and wait for. */
#include "daemon/traffic/relay.h"

#include "daemon/traffic/reply.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>
#include <string.h>

#define WAITS FIPC_REQUEST_WAIT_SERVICE
#define NAME "service"

static struct test_client client, worker, other;
static struct service *service;

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
}

static void tear_down(void)
{
    client_close(&other);
    client_close(&worker);
    client_close(&client);
    core_tear_down();
}

/* ---- names ---- */

GROUP(names, .fixtures = {{set_up, tear_down}});

static const struct {
    const char *name;
    uid_t uid;
    int r;
} serves[] = {
    {"a", TEST_UID, 0},
    {"a.b", 0, 0},
    {"a", TEST_STRANGER, -EACCES},
    {"fipc.a", TEST_UID, -EACCES},
    {"fipc.echo", 0, -EACCES},
    {"", TEST_UID, -EINVAL},
    {"a..b", TEST_UID, -EINVAL},
    {"a b", TEST_STRANGER, -EINVAL},
};

LOOP_TEST(names_are_served_by_those_who_may, COUNT_OF(serves))
{
    struct service *served = NULL;
    const char *name = serves[_i].name;

    client_open(&worker, serves[_i].uid);
    ck_assert_int_eq(relay_serve(&core, worker.slot, name,
                                 &(struct fipc_serve){.name_bytes = (uint32_t)strlen(name)},
                                 &served),
                     serves[_i].r);
    ck_assert_int_eq(served != NULL, serves[_i].r == 0);
    ck_assert_uint_eq(worker.slot->n_workers, serves[_i].r == 0);
    ck_assert_uint_eq(worker.slot->account->n_names, serves[_i].r == 0);
}

static const struct {
    uint32_t asked, given;
} concurrencies[] = {
    {0, 1},
    {1, 1},
    {2, 2},
    {FIPC_CONCURRENCY_MAX, FIPC_CONCURRENCY_MAX},
    {FIPC_CONCURRENCY_MAX + 1, FIPC_CONCURRENCY_MAX},
    {UINT32_MAX, FIPC_CONCURRENCY_MAX},
};

LOOP_TEST(concurrency_has_bounds, COUNT_OF(concurrencies))
{
    client_open(&worker, TEST_UID);
    (void)client_serve(&worker, NAME, concurrencies[_i].asked);
    ck_assert_uint_eq(TAILQ_FIRST(&worker.slot->workers)->concurrency, concurrencies[_i].given);
}

static const struct fipc_serve one_byte = {.name_bytes = 1, .concurrency = 1};

TEST(slot_serves_a_name_once_and_not_too_many)
{
    struct service *served;

    client_open(&worker, TEST_UID);
    client_open(&other, TEST_UID);
    core.quota.names_per_slot = 2;
    (void)client_serve(&worker, "a", 1);
    ck_assert_int_eq(relay_serve(&core, worker.slot, "a", &one_byte, &served), -EEXIST);
    (void)client_serve(&worker, "b", 1);
    ck_assert_int_eq(relay_serve(&core, worker.slot, "c", &one_byte, &served), -EDQUOT);
    (void)client_serve(&other, "a", 1); /* another slot */
    ck_assert_uint_eq(worker.slot->account->n_names, 2);
}

TEST(uid_opens_only_so_many_new_names)
{
    struct service *first = client_wish_for(&client, "a"), *found;

    core.quota.names = share_of(100, 1, 0);
    ck_assert_int_eq(relay_open(&core, client.slot, "b", 1, &found), -EDQUOT);
    ck_assert_int_eq(relay_open(&core, client.slot, "a", 1, &found), 0);
    ck_assert_ptr_eq(found, first);
}

TEST(request_waits_for_the_name_to_be_served)
{
    service = client_wish_for(&client, NAME);
    (void)client_call(&client, service, WAITS, "waits");
    (void)client_call(&client, service, 0, "does not");
    client_expect_reply(&client, 2, -ENOENT);
    ck_assert_uint_eq(client.header.flags, FIPC_REPLY_NOT_DELIVERED);
    client_open(&worker, TEST_UID);
    (void)client_serve(&worker, NAME, 1);
    (void)client_expect_request(&worker, "waits");
}

/* ---- waits ---- */

GROUP(waits, .fixtures = {{set_up, tear_down}});

static void wait_for(const char *name, uint64_t id, uint64_t ns)
{
    struct handler *handler = reply_begin(&core, client.slot, id, ns);

    handler->is_wait = true;
    reply_set_state(&core, handler, HANDLER_ROUTED);
    relay_wait(&core, handler, client_wish_for(&client, name));
}

static void expect_waited(uint64_t id, int status, uint32_t target)
{
    client_expect_control(&client, FIPC_CONTROL_WAITED, target);
    ck_assert_uint_eq(client.header.id, id);
    ck_assert_int_eq(client.header.status, status);
}

TEST(wait_for_a_name_that_is_served_ends_at_once)
{
    client_open(&worker, TEST_UID);
    service = client_serve(&worker, NAME, 1);
    wait_for(NAME, 1, 0);
    expect_waited(1, 0, service_target(service));
    wait_for("fipc.echo", 2, 0);
    expect_waited(2, 0, service_target(service_find(&core.services, "fipc.echo", 9)));
}

TEST(waits_end_in_order_when_the_name_is_served)
{
    for (uint64_t id = 1; id <= 3; id++)
        wait_for(NAME, id, 100 + id);
    wait_for("other", 4, 200);
    test_advance(101);
    expect_waited(1, -ETIMEDOUT, service_target(service_find(&core.services, NAME, 7)));
    client_open(&worker, TEST_UID);
    service = client_serve(&worker, NAME, 1);
    expect_waited(2, 0, service_target(service));
    expect_waited(3, 0, service_target(service));
    ck_assert(!client_take(&client));
}

TEST(name_is_forgotten_with_the_last_wait)
{
    wait_for(NAME, 1, 100);
    wait_for(NAME, 2, 200);
    test_advance(100);
    ck_assert_uint_eq(client.slot->account->n_names, 1);
    test_advance(100);
    ck_assert_uint_eq(client.slot->account->n_names, 0);
    ck_assert_ptr_null(service_find(&core.services, NAME, 7));
}

/* ---- many ---- */

GROUP(many, .fixtures = {{set_up, tear_down}});

#define MANY 500
#define AT_ONCE 32

TEST(many_waits_end_in_steps_and_another_account_is_not_behind_all_of_them)
{
    struct handler *wait;

    for (uint64_t id = 1; id <= MANY; id++)
        wait_for(NAME, id, 0);
    client_open(&other, TEST_STRANGER + 1);
    wait = reply_begin(&core, other.slot, 1, 0);
    wait->is_wait = true;
    reply_set_state(&core, wait, HANDLER_ROUTED);
    relay_wait(&core, wait, service_find(&core.services, NAME, 7));

    client_open(&worker, TEST_UID);
    service = client_serve(&worker, NAME, 1);
    ck_assert_uint_eq(service->waits.n_items, MANY + 1 - AT_ONCE);
    client_expect_control(&other, FIPC_CONTROL_WAITED, service_target(service));
    ck_assert(deadline_is_set(&service->drain));
    test_advance(0);
    ck_assert_uint_eq(service->waits.n_items, 0);
    ck_assert(!deadline_is_set(&service->drain));
}

TEST(many_requests_are_given_out_in_steps_and_a_new_one_comes_behind_them)
{
    client_open(&worker, TEST_UID);
    service = client_wish_for(&client, NAME);
    for (int i = 0; i < AT_ONCE + 8; i++)
        (void)client_call(&client, service, WAITS, "old");
    (void)client_serve(&worker, NAME, 1000);
    ck_assert_uint_eq(service->queue.n_items, 8);
    (void)client_call(&client, service, 0, "new");
    ck_assert_uint_eq(service->queue.n_items, 9);
    test_advance(0);
    ck_assert_uint_eq(service->queue.n_items, 0);
    for (int i = 0; i < AT_ONCE + 8; i++)
        (void)client_expect_request(&worker, "old");
    (void)client_expect_request(&worker, "new");
}

TEST(name_whose_drain_is_not_over_can_lose_its_worker)
{
    for (uint64_t id = 1; id <= MANY; id++)
        wait_for(NAME, id, 100);
    client_open(&worker, TEST_UID);
    service = client_serve(&worker, NAME, 1);
    client_close(&worker);
    test_advance(0);
    ck_assert_uint_eq(service->waits.n_items, MANY - AT_ONCE);
    test_advance(100);
    ck_assert_ptr_null(service_find(&core.services, NAME, 7));
}

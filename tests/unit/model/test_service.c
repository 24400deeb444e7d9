/* SPDX-License-Identifier: MIT */
/* Names and their targets: a target never comes to mean another name. */
#include "daemon/model/service.h"

#include "daemon/model/account.h"
#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

#define N_BUILTINS 2
/* Names at once, and lives of one place, as the 16 bits of a target's halves allow. */
#define PLACES 65534
#define GENERATIONS 65536

static struct service_table table;
static struct account_table accounts;

static void serve_nothing(struct core *core, struct handler *handler, const void *payload,
                          size_t size)
{
    (void)core;
    (void)handler;
    (void)payload;
    (void)size;
}

static const struct builtin builtins[N_BUILTINS] = {
    {"fipc.echo", serve_nothing},
    {"fipc.ping", serve_nothing},
};

static void set_up(void)
{
    ck_assert_int_eq(service_table_init(&table, builtins, N_BUILTINS), 0);
    accounts = (struct account_table){.tree = NULL};
}

static void tear_down(void)
{
    service_table_deinit(&table);
    service_table_deinit(&table); /* safe twice */
    account_table_deinit(&accounts);
}

static struct account *account_of(uid_t uid)
{
    struct account *account = account_open(&accounts, uid);

    REQUIRE(account != NULL);
    account->n_slots = 1; /* it stays */
    return account;
}

static struct service *find(const char *name) { return service_find(&table, name, strlen(name)); }

static struct service *open_for(uid_t uid, const char *name)
{
    struct service *service = service_open(&table, name, strlen(name), account_of(uid));

    REQUIRE(service != NULL);
    return service;
}

static void release(struct service *service)
{
    service_release_if_unused(&table, &accounts, service, 1);
}

/* ---- names ---- */

GROUP(names, .fixtures = {{set_up, tear_down}});

TEST(builtin_services_are_there)
{
    ck_assert_ptr_eq(find("fipc.echo")->serve, serve_nothing);
    ck_assert(service_is_served(find("fipc.ping")));
    ck_assert_uint_ne(service_target(find("fipc.echo")), service_target(find("fipc.ping")));
    release(find("fipc.echo"));
    ck_assert_ptr_nonnull(find("fipc.echo"));
}

static const char *const unknown[] = {"", "fipc", "fipc.ech", "fipc.echoo", "fipc.Echo", "x"};

LOOP_TEST(name_that_was_not_opened_is_not_found, COUNT_OF(unknown))
{
    ck_assert_ptr_null(find(unknown[_i]));
}

TEST(name_is_found_by_its_bytes)
{
    struct service *service = open_for(1000, "a.b");

    ck_assert_ptr_eq(find("a.b"), service);
    ck_assert_ptr_eq(service_find(&table, "a.bc", 3), service); /* not terminated */
    ck_assert_ptr_null(service_find(&table, "a.b", 2));
    ck_assert_ptr_eq(open_for(1001, "a.b"), service);
    ck_assert(!service_is_served(service));
}

TEST(name_is_a_copy_of_what_was_given)
{
    char name[] = "a.b";
    struct service *service = open_for(1000, name);

    memset(name, 'x', 3);
    ck_assert_int_eq(memcmp(service->name, "a.b", 3), 0);
    ck_assert_ptr_eq(find("a.b"), service);
}

TEST(name_counts_for_the_uid_that_opened_it_first)
{
    struct service *service = open_for(1000, "a.b");

    ck_assert_ptr_eq(open_for(1001, "a.b"), service);
    ck_assert_uint_eq(account_of(1000)->n_names, 1);
    ck_assert_uint_eq(account_of(1001)->n_names, 0);
    release(service);
    ck_assert_uint_eq(account_of(1000)->n_names, 0);
}

TEST(account_ends_with_its_last_name)
{
    struct service *service = open_for(1000, "a.b");

    account_of(1000)->region_bytes = 77; /* a mark */
    account_of(1000)->n_slots = 0;
    release(service);
    ck_assert_uint_eq(account_of(1000)->region_bytes, 0); /* a new one */
}

TEST(name_stays_while_it_is_served_or_waited_for)
{
    struct service *service = open_for(1000, "a.b");

    service->n_workers = 1;
    release(service);
    ck_assert(service_is_served(service));
    service->n_workers = 0;
    service->queue.n_items = 1;
    release(service);
    service->queue.n_items = 0;
    service->waits.n_items = 1;
    release(service);
    ck_assert_ptr_eq(find("a.b"), service);
    service->waits.n_items = 0;
    release(service);
    ck_assert_ptr_null(find("a.b"));
}

/* ---- targets ---- */

GROUP(targets, .timeout = 30, .fixtures = {{set_up, tear_down}});

TEST(target_finds_its_name)
{
    struct service *service = open_for(1000, "a.b");

    ck_assert_uint_ne(service_target(service), SERVICE_NONE);
    ck_assert_ptr_eq(service_of_target(&table, service_target(service)), service);
}

static const uint32_t no_targets[] = {
    SERVICE_NONE,      N_BUILTINS + 1,          PLACES,     UINT16_MAX,
    UINT32_C(1) << 16, (UINT32_C(1) << 16) + 1, UINT32_MAX,
};

LOOP_TEST(number_that_no_client_was_given_finds_nothing, COUNT_OF(no_targets))
{
    ck_assert_ptr_null(service_of_target(&table, no_targets[_i]));
}

TEST(target_that_was_served_never_means_another_name)
{
    struct service *service = open_for(1000, "a.b");
    uint32_t target = service_target(service);

    service->was_served = true;
    release(service);
    ck_assert_ptr_null(service_of_target(&table, target));
    ck_assert_ptr_eq(open_for(1000, "c.d"), service); /* the same place */
    ck_assert_ptr_null(service_of_target(&table, target));
    ck_assert_uint_ne(service_target(service), target);
}

TEST(target_that_no_client_knows_is_used_again)
{
    struct service *service = open_for(1000, "a.b");
    uint32_t target = service_target(service);

    release(service);
    ck_assert_uint_eq(service_target(open_for(1000, "c.d")), target);
}

TEST(place_is_given_up_when_its_targets_are_used_up)
{
    uint32_t place = open_for(1000, "a.b")->index, target = 0;

    for (uint32_t i = 0; i < GENERATIONS; i++) {
        struct service *service = open_for(1000, "a.b");

        REQUIRE(service->index == place);
        REQUIRE(i == 0 || service_target(service) > target);
        target = service_target(service);
        service->was_served = true;
        release(service);
    }
    ck_assert_uint_eq(open_for(1000, "a.b")->index, place + 1);
    ck_assert_ptr_null(service_of_target(&table, target));
}

TEST(as_many_names_as_places)
{
    struct account *account = account_of(1000);
    char name[16];

    for (uint32_t i = N_BUILTINS; i < PLACES; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        REQUIRE(service_open(&table, name, strlen(name), account) != NULL);
    }
    ck_assert_ptr_null(service_open(&table, "one.more", 8, account));
    ck_assert_uint_eq(account->n_names, PLACES - N_BUILTINS);

    release(find("n77"));
    ck_assert_ptr_nonnull(service_open(&table, "one.more", 8, account));
}

/* SPDX-License-Identifier: MIT */
/* One account for each uid, or for all uids of one owner, as long as that uid holds or owes
 * anything. */
#include "daemon/model/account.h"

#include "common/clock.h"
#include "tests/suite.h"

#include <errno.h>

#define NOW_NS (1000 * FIPC_NS_PER_S)

static struct account_table table;
#define OWN_UID 990

static bool is_memory_short;

/* NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return is_memory_short ? NULL : __real_calloc(count, size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void set_up(void)
{
    table = (struct account_table){.own_uid = OWN_UID};
    is_memory_short = false;
}

static void tear_down(void)
{
    account_table_deinit(&table);
    account_table_deinit(&table); /* safe twice */
}

static struct account *account_of(uid_t uid)
{
    struct account *account = account_open(&table, uid);

    REQUIRE(account != NULL);
    return account;
}

GROUP(accounts, .fixtures = {{set_up, tear_down}});

TEST(new_account_holds_nothing)
{
    const struct account *account = account_of(1000);

    ck_assert_uint_eq(account->uid, 1000);
    ck_assert_uint_eq(account->n_slots, 0);
    ck_assert_uint_eq(account->region_bytes, 0);
    ck_assert(TAILQ_EMPTY(&account->room_wishes));
    ck_assert_uint_eq(account->hot.count, 0);
}

TEST(uid_has_one_account)
{
    struct account *account = account_of(1000);

    ck_assert_ptr_eq(account_of(1000), account);
    ck_assert_ptr_ne(account_of(1001), account);
    ck_assert_ptr_eq(account_of(1000), account);
}

static const uid_t edges[] = {0, 1, 65534, 65535, 65536, UINT32_MAX - 1, UINT32_MAX};

TEST(uids_of_all_sizes_are_told_apart)
{
    struct account *accounts[COUNT_OF(edges)];

    for (int i = 0; i < COUNT_OF(edges); i++)
        accounts[i] = account_of(edges[i]);
    for (int i = 0; i < COUNT_OF(edges); i++) {
        ck_assert_ptr_eq(account_of(edges[i]), accounts[i]);
        ck_assert_uint_eq(accounts[i]->uid, edges[i]);
    }
}

/* ---- owners ---- */

struct owned {
    uid_t first;
    uint64_t count;
    uid_t owner;
};

static const struct {
    struct owned ranges[3]; /* until one with count 0 */
    struct {
        uid_t uid, account;
    } wanted[5]; /* until one with uid 0 */
} maps[] = {
    {{{100000, 65536, 1000}},
     {{99999, 99999}, {100000, 1000}, {165535, 1000}, {165536, 165536}, {1000, 1000}}},
    /* an owner has an owner in turn */
    {{{100000, 10, 1000}, {1000, 100, 5000}}, {{100000, 5000}, {1000, 5000}, {5000, 5000}}},
    {{{1000, 100, 1000}}, {{1000, 1000}, {1099, 1000}}},
    {{{1000, 1, 2000}, {2000, 1, 1000}}, {{1000, 1000}, {2000, 2000}}}, /* a circle ends */
    /* a uid of root or of the broker is not trusted as its owner is */
    {{{100000, 10, 0}}, {{100000, 100000}, {100005, 100000}, {100009, 100000}}},
    {{{100001, 10, OWN_UID}}, {{100001, 100001}, {100005, 100001}}},
    {{{300000, 9, 100005}, {100000, 10, 0}}, {{300000, 100000}, {100009, 100000}}},
    /* nor do they belong to anybody */
    {{{0, UINT64_C(1) << 32, 1000}}, {{OWN_UID, OWN_UID}, {1, 1000}, {UINT32_MAX, 1000}}},
};

static void set_owners(const struct owned *ranges)
{
    struct owners owners = {.n_ranges = 0};

    for (int i = 0; i < 3 && ranges[i].count > 0; i++)
        ck_assert_int_eq(owners_add(&owners, ranges[i].first, ranges[i].count, ranges[i].owner), 0);
    account_table_set_owners(&table, &owners);
    ck_assert_ptr_null(owners.ranges);
}

LOOP_TEST(uid_has_the_account_of_its_owner, COUNT_OF(maps))
{
    set_owners(maps[_i].ranges);
    for (int i = 0; i < COUNT_OF(maps[_i].wanted) && maps[_i].wanted[i].uid != 0; i++)
        ck_assert_uint_eq(account_of(maps[_i].wanted[i].uid)->uid, maps[_i].wanted[i].account);
    ck_assert_uint_eq(account_of(0)->uid, 0);
}

TEST(root_and_the_brokers_user_are_trusted_and_nobody_else)
{
    static const struct owned ranges[3] = {{100000, 10, 0}, {200000, 10, OWN_UID}};

    set_owners(ranges);
    ck_assert(account_of(0)->is_trusted);
    ck_assert(account_of(OWN_UID)->is_trusted);
    ck_assert(!account_of(1)->is_trusted);
    ck_assert(!account_of(100000)->is_trusted);
    ck_assert(!account_of(200009)->is_trusted);
}

TEST(new_owners_are_for_what_comes_later)
{
    static const struct owned ranges[3] = {{100000, 10, 1000}}, others[3] = {{100000, 10, 2000}};
    struct account *before = account_of(100000), *between;

    before->n_slots = 1;
    set_owners(ranges);
    between = account_of(100000);
    ck_assert_uint_eq(between->uid, 1000);
    between->n_slots = 1;
    set_owners(others);
    ck_assert_uint_eq(account_of(100000)->uid, 2000);
    ck_assert_ptr_eq(account_of(1000), between);

    before->n_slots = 0; /* the session of before ends */
    account_release_if_unused(&table, before, NOW_NS);
    ck_assert_ptr_eq(account_of(1000), between);
}

/* ---- life ---- */

TEST(account_needs_memory_once)
{
    struct account *account = account_of(1000);

    is_memory_short = true;
    ck_assert_ptr_null(account_open(&table, 1001));
    ck_assert_ptr_eq(account_open(&table, 1000), account);
    is_memory_short = false;
    (void)account_of(1001);
}

/* Which of its numbers keep an account. */
static const struct account held[] = {
    {.n_slots = 1}, {.n_waiting = 1}, {.n_closing = 1}, {.n_names = 1}, {.n_slots = UINT32_MAX},
};

LOOP_TEST(account_stays_while_its_uid_holds_something, COUNT_OF(held))
{
    struct account *account = account_of(1000);

    account->n_slots = held[_i].n_slots;
    account->n_waiting = held[_i].n_waiting;
    account->n_closing = held[_i].n_closing;
    account->n_names = held[_i].n_names;
    account_release_if_unused(&table, account, NOW_NS);

    ck_assert_ptr_eq(account_of(1000), account);
}

TEST(unused_account_is_forgotten)
{
    struct account *other = account_of(1001);

    other->n_slots = 1;
    account_of(1000)->region_bytes = 77; /* a mark */
    account_release_if_unused(&table, account_of(1000), NOW_NS);

    ck_assert_uint_eq(account_of(1000)->region_bytes, 0);
    ck_assert_ptr_eq(account_of(1001), other);
}

/* A uid whose clients were slow to wake is not rid of its debt by leaving. */
TEST(account_that_owes_stays_until_all_is_paid)
{
    struct account *account = account_of(1000);
    struct toll toll;

    toll_init(&toll, 0, 0);
    account->region_bytes = 77; /* a mark */
    toll_charge(&toll, &account->toll, toll.usual_ns + FIPC_NS_PER_MS, NOW_NS);
    account_release_if_unused(&table, account, NOW_NS + 100 * FIPC_NS_PER_MS - 1);
    ck_assert_uint_eq(account_of(1000)->region_bytes, 77);

    account_release_if_unused(&table, account, NOW_NS + 100 * FIPC_NS_PER_MS);
    ck_assert_uint_eq(account_of(1000)->region_bytes, 0);
}

TEST(many_uids_come_and_go)
{
    for (uid_t uid = 0; uid < 10000; uid++) {
        account_of(uid)->n_slots = uid % 3;
        account_release_if_unused(&table, account_of(uid), NOW_NS);
    }
    for (uid_t uid = 0; uid < 10000; uid++)
        REQUIRE(account_of(uid)->n_slots == uid % 3);
}

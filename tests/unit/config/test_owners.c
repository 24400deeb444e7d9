/* SPDX-License-Identifier: MIT */
/* Which owner a uid has, by ranges that overlap and come in any order. */
#include "daemon/config/owners.h"

#include "tests/suite.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define ADDS_MAX 4

static struct owners owners;

static bool is_memory_short;

/* NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return is_memory_short ? NULL : __real_reallocarray(memory, count, size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void make_owners(void)
{
    owners = (struct owners){.n_ranges = 0};
    is_memory_short = false;
}

static void drop_owners(void)
{
    owners_deinit(&owners);
    owners_deinit(&owners); /* safe twice */
}

GROUP(owners, .fixtures = {{make_owners, drop_owners}});

static uid_t owner_of(uid_t uid)
{
    const struct owner_range *range = owners_find(&owners, uid);

    return range != NULL ? range->owner : uid;
}

TEST(uid_that_no_range_names_belongs_to_itself)
{
    static const uid_t uids[] = {0, 1, 1000, 61184, 65534, 100000, UINT32_MAX};

    for (int i = 0; i < COUNT_OF(uids); i++)
        ck_assert_uint_eq(owner_of(uids[i]), uids[i]);
}

struct add {
    uid_t first;
    uint64_t count;
    uid_t owner;
};

static const struct {
    struct add adds[ADDS_MAX]; /* until one with count 0 */
    struct {
        uid_t uid, owner;
    } wanted[6]; /* until one with uid 0 */
} maps[] = {
    {{{100000, 65536, 1000}},
     {{99999, 99999}, {100000, 1000}, {165535, 1000}, {165536, 165536}, {1000, 1000}}},
    /* the first one wins, on each side and in the middle */
    {{{200, 10, 1}, {195, 20, 2}}, {{194, 194}, {195, 2}, {199, 2}, {200, 1}, {209, 1}, {214, 2}}},
    {{{200, 10, 1}, {205, 10, 2}}, {{204, 1}, {209, 1}, {210, 2}, {214, 2}, {215, 215}}},
    {{{200, 10, 1}, {195, 10, 2}}, {{195, 2}, {199, 2}, {200, 1}, {209, 1}, {210, 210}}},
    {{{200, 10, 1}, {200, 10, 2}, {203, 1, 3}}, {{200, 1}, {203, 1}, {209, 1}}},
    {{{300, 1, 3}, {200, 1, 1}, {250, 1, 2}, {199, 103, 4}},
     {{199, 4}, {200, 1}, {250, 2}, {251, 4}, {300, 3}, {301, 4}}},
    /* counts that reach beyond the last uid */
    {{{4294967290, 6, 1}}, {{4294967289, 4294967289}, {4294967290, 1}, {4294967295, 1}}},
    {{{4294967290, UINT64_MAX, 1}}, {{4294967289, 4294967289}, {4294967295, 1}}},
    {{{1, UINT64_C(1) << 32, 1}}, {{1, 1}, {2, 1}, {4294967295, 1}}},
    {{{UINT32_MAX, 1, 1}}, {{UINT32_MAX, 1}, {UINT32_MAX - 1, UINT32_MAX - 1}}},
    {{{100, 1, 1}, {100, 5, 2}}, {{100, 1}, {101, 2}, {104, 2}, {105, 105}}},
};

LOOP_TEST(uid_belongs_to_the_first_range_that_names_it, COUNT_OF(maps))
{
    for (int i = 0; i < ADDS_MAX && maps[_i].adds[i].count > 0; i++) {
        const struct add *add = &maps[_i].adds[i];

        ck_assert_int_eq(owners_add(&owners, add->first, add->count, add->owner), 0);
    }
    for (int i = 0; i < COUNT_OF(maps[_i].wanted) && maps[_i].wanted[i].uid != 0; i++)
        ck_assert_uint_eq(owner_of(maps[_i].wanted[i].uid), maps[_i].wanted[i].owner);
}

TEST(range_is_not_added_without_memory)
{
    is_memory_short = true;
    ck_assert_int_eq(owners_add(&owners, 100, 1, 1), -ENOMEM);
    ck_assert_uint_eq(owner_of(100), 100);
    is_memory_short = false;
    ck_assert_int_eq(owners_add(&owners, 100, 1, 1), 0);
    ck_assert_uint_eq(owner_of(100), 1);
}

TEST(range_without_uids_changes_nothing)
{
    ck_assert_int_eq(owners_add(&owners, 100, 0, 1), 0);
    ck_assert_uint_eq(owners.n_ranges, 0);
    ck_assert_uint_eq(owner_of(100), 100);
}

TEST(each_of_thousands_of_ranges_is_found_whatever_their_order)
{
    const uid_t n = 4096;

    for (uid_t i = 0; i < n; i++) {
        uid_t number = i % 2 == 0 ? i : n - i; /* some before, some behind the others */

        REQUIRE(owners_add(&owners, 1000000 + number * 10, 7, 2000 + number) == 0);
    }
    for (uid_t i = 0; i < n; i++) {
        REQUIRE(owner_of(1000000 + i * 10) == 2000 + i);
        REQUIRE(owner_of(1000006 + i * 10) == 2000 + i);
        REQUIRE(owner_of(1000007 + i * 10) == 1000007 + i * 10);
    }
}

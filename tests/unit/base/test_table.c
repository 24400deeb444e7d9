/* SPDX-License-Identifier: MIT */
/* Which places of a table are taken, and what their elements keep. */
#include "daemon/base/table.h"
#include "tests/suite.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define CAPACITY 4

struct element {
    uint32_t generation;
    char bytes[100];
};

static struct table table;

static void make_table(void)
{
    ck_assert_int_eq(table_init(&table, CAPACITY, sizeof(struct element)), 0);
}

static void drop_table(void)
{
    table_deinit(&table);
    table_deinit(&table); /* safe twice */
    ck_assert_ptr_null(table.elements);
}

static struct element *element(uint32_t place) { return (struct element *)table.elements + place; }

/* ---- taking and giving back ---- */

/* A letter takes a place, a digit gives that place back; the places taken then stand below it. */
static const struct {
    const char *steps;
    const char *taken; /* by each letter */
    uint32_t n_used;
} courses[] = {
    {"", "", 0},
    {"a", "0", 1},
    {"abcd", "0123", 4},
    {"abcde", "0123-", 4},
    {"abcdefg", "0123---", 4},
    {"a0b", "00", 1},
    {"ab0c", "010", 2},
    {"ab01cd", "0110", 2},   /* last in, first out */
    {"ab10cde", "01012", 3}, /* those before memory that was never touched */
    {"abcd3210efghi", "01230123-", 4},
    {"abcd2e0f3gh", "0123203-", 4},
};

GROUP(places, .fixtures = {{make_table, drop_table}});

LOOP_TEST(places_are_taken_in_this_order, COUNT_OF(courses))
{
    const char *taken = courses[_i].taken;

    for (const char *step = courses[_i].steps; *step != '\0'; step++) {
        uint32_t place = (uint32_t)((*step < 'a' ? *step : *taken) - '0');

        if (*step < 'a') {
            table_give_back(&table, place);
            continue;
        }
        ck_assert_uint_eq(table_take(&table), *taken == '-' ? TABLE_NONE : place);
        taken++;
    }
    ck_assert_int_eq(*taken, '\0');
    ck_assert_uint_eq(table.n_used, courses[_i].n_used);
}

TEST(place_is_taken_from_take_to_give_back)
{
    static const uint32_t never[] = {0, 1, CAPACITY, CAPACITY + 1, TABLE_TAKEN, TABLE_NONE};
    uint32_t place;

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        ck_assert(!table_is_taken(&table, never[i]));
    place = table_take(&table);
    ck_assert(table_is_taken(&table, place));
    for (size_t i = 1; i < sizeof(never) / sizeof(never[0]); i++)
        ck_assert(!table_is_taken(&table, never[i]));
    table_give_back(&table, place);
    ck_assert(!table_is_taken(&table, place));
}

TEST(elements_begin_zeroed_and_keep_what_they_hold)
{
    uint32_t place = table_take(&table);

    ck_assert_uint_eq(element(place)->generation, 0);
    element(place)->generation = 7;
    table_give_back(&table, place);
    ck_assert_uint_eq(table_take(&table), place);
    ck_assert_uint_eq(element(place)->generation, 7);
}

TEST(elements_reach_to_the_last_byte_and_no_further)
{
    for (uint32_t i = 0; i < CAPACITY; i++)
        memset(element(table_take(&table)), 1 + (int)i, sizeof(struct element));
    for (uint32_t i = 0; i < CAPACITY; i++) {
        ck_assert_int_eq(element(i)->bytes[sizeof(element(i)->bytes) - 1], 1 + (int)i);
        ck_assert(table_is_taken(&table, i));
    }
}

/* ---- what only a bug can do ---- */

#ifndef NDEBUG

ABORT_TEST(place_that_is_free_is_not_given_back, 2)
{
    static const struct rlimit no_core = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)close(STDERR_FILENO); /* what assert() prints is expected */
    (void)table_take(&table);
    if (_i == 0)
        table_give_back(&table, 0);
    table_give_back(&table, (uint32_t)_i); /* again; or one that was never taken */
}

#endif

/* ---- memory ---- */

GROUP(memory);

TEST(table_of_one_place_has_one)
{
    ck_assert_int_eq(table_init(&table, 1, 1), 0);
    ck_assert_uint_eq(table_take(&table), 0);
    ck_assert_uint_eq(table_take(&table), TABLE_NONE);
    drop_table();
}

static size_t resident_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long size, resident;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu %lu", &size, &resident), 2);
    (void)fclose(file);
    return resident;
}

TEST(large_table_costs_what_is_taken)
{
    size_t before = resident_pages();

    ck_assert_int_eq(table_init(&table, UINT32_C(1) << 20, 1 << 10), 0); /* 1 GiB */
    for (int i = 0; i < 1000; i++)
        table_give_back(&table, table_take(&table));
    ck_assert_uint_lt(resident_pages() - before, 1024); /* the kernel counts in batches */
    drop_table();
}

static int maps_left = -1; /* mmap(2) fails once it is 0; -1: never */

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names them */
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (maps_left == 0)
        return MAP_FAILED;
    maps_left -= maps_left > 0;
    return __real_mmap(at, size, protection, flags, fd, offset);
}

/* NOLINTEND(bugprone-reserved-identifier) */

LOOP_TEST(without_memory_there_is_an_empty_table, 3)
{
    int r;

    maps_left = _i;
    r = table_init(&table, CAPACITY, sizeof(struct element));
    maps_left = -1;
    ck_assert_int_eq(r, _i < 2 ? -ENOMEM : 0);
    if (r < 0)
        ck_assert(table.elements == NULL && table.next == NULL);
    drop_table();
}

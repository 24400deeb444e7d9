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
    {"a0", "0", 0},
    {"a0b", "00", 1},
    {"ab0", "01", 2},
    {"ab1", "01", 1},
    {"ab0c", "010", 2},
    {"ab01", "01", 0},
    {"ab01cd", "0101", 2}, /* the lowest first, whichever was given back last */
    {"ab10cde", "01012", 3},
    {"abc01", "012", 3}, /* the table is as short as its last taken place lets it be */
    {"abc012", "012", 0},
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
    static const uint32_t never[] = {0, 1, CAPACITY, CAPACITY + 1, TABLE_NONE - 1, TABLE_NONE};
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

/* ---- large tables ---- */

#define LARGE 300000u /* of four levels, the last words of which are not full */

static void make_large_table(void)
{
    ck_assert_int_eq(table_init(&table, LARGE, 1), 0);
    for (uint32_t i = 0; i < LARGE; i++) {
        if (table_take(&table) != i)
            ck_abort_msg("place %u", i);
    }
    ck_assert_uint_eq(table_take(&table), TABLE_NONE);
}

GROUP(large, .fixtures = {{make_large_table, drop_table}});

static const uint32_t holes[] = {0, 1, 63, 64, 4095, 4096, 262143, 262144, LARGE - 1};

LOOP_TEST(only_free_place_is_found, COUNT_OF(holes))
{
    table_give_back(&table, holes[_i]);
    ck_assert_uint_eq(table.n_used, holes[_i] == LARGE - 1 ? LARGE - 1 : LARGE);
    ck_assert_uint_eq(table_take(&table), holes[_i]);
    ck_assert_uint_eq(table.n_used, LARGE);
    ck_assert_uint_eq(table_take(&table), TABLE_NONE);
}

TEST(free_places_are_found_from_the_lowest_on)
{
    for (size_t i = COUNT_OF(holes); i > 0; i--)
        table_give_back(&table, holes[i - 1]);
    for (size_t i = 0; i < COUNT_OF(holes); i++)
        ck_assert_uint_eq(table_take(&table), holes[i]);
    ck_assert_uint_eq(table_take(&table), TABLE_NONE);
}

LOOP_TEST(table_is_as_long_as_its_last_taken_place, COUNT_OF(holes))
{
    for (uint32_t i = LARGE; i-- > 0;) {
        if (i != holes[_i])
            table_give_back(&table, i);
    }
    ck_assert_uint_eq(table.n_used, holes[_i] + 1);
    table_give_back(&table, holes[_i]);
    ck_assert_uint_eq(table.n_used, 0);
}

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

/* Fills @n elements of a new table, and gives the places from @n_kept on back. */
static void have_burst(uint32_t n, uint32_t n_kept, size_t element_size)
{
    ck_assert_int_eq(table_init(&table, UINT32_C(1) << 20, element_size), 0);
    for (uint32_t i = 0; i < n; i++)
        memset((char *)table.elements + table_take(&table) * element_size, 1, element_size);
    for (uint32_t i = n_kept; i < n; i++)
        table_give_back(&table, i);
}

static void expect_bytes(size_t count, char value)
{
    for (size_t i = 0; i < count; i++) {
        if (((const char *)table.elements)[i] != value)
            ck_abort_msg("byte %zu", i);
    }
}

TEST(pages_of_a_burst_are_given_back_in_bounded_steps)
{
    size_t before = resident_pages(), peak;
    unsigned n_steps = 0;

    have_burst(16 << 10, 0, 1 << 10);
    peak = resident_pages();
    ck_assert_uint_gt(peak, before + 3 * 1024);
    ck_assert(table_trim(&table));
    ck_assert_uint_gt(resident_pages(), peak - 512); /* not all at once */
    while (table_trim(&table))
        n_steps++;
    ck_assert_uint_gt(n_steps, 10);
    ck_assert_uint_lt(resident_pages(), before + (peak - before) / 4); /* a sanitizer keeps some */
    ck_assert(!table_trim(&table));
    drop_table();
}

TEST(pages_of_taken_places_stay)
{
    have_burst(1000, 100, 1000);
    while (table_trim(&table))
        ;
    expect_bytes(100 * 1000, 1);
    ck_assert_int_eq(((const char *)table.elements)[999 * 1000], 0);
    ck_assert_uint_eq(table_take(&table), 100);
    drop_table();
}

TEST(table_that_grew_again_meanwhile_keeps_all)
{
    have_burst(1000, 0, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        memset((char *)table.elements + table_take(&table) * 1000, 2, 1000);
    ck_assert(!table_trim(&table));
    expect_bytes(1000 * 1000, 2);
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
        ck_assert(table.elements == NULL && table.full[0] == NULL);
    drop_table();
}

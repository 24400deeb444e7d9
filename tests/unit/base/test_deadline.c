/* SPDX-License-Identifier: MIT */
/* Deadlines of a group are over in time order, in whatever order they were set and moved; groups
 * take turns. */
#include "common/clock.h"
#include "daemon/base/deadline.h"
#include "tests/suite.h"

#include <string.h>

#define CAPACITY 1000
#define GROUPS 7
#define STEPS 100000

static struct deadline_heap heap;
static struct deadline_group groups[GROUPS];
static struct deadline deadlines[CAPACITY];
static uint64_t due[CAPACITY]; /* 0: not set */

static void over(void *context, struct deadline *deadline)
{
    (void)context;
    (void)deadline;
}

static void set_up(void)
{
    memset(groups, 0, sizeof(groups));
    memset(deadlines, 0, sizeof(deadlines));
    memset(due, 0, sizeof(due));
    deadline_heap_init(&heap);
}

static void set(size_t group, size_t i, uint64_t due_ns)
{
    deadline_set(&heap, &groups[group], &deadlines[i], due_ns, over);
    due[i] = due_ns;
}

/* Return: the index of the one that is taken */
static size_t take(uint64_t now_ns)
{
    const struct deadline *taken = deadline_take(&heap, now_ns);

    ck_assert_ptr_nonnull(taken);
    due[taken - deadlines] = 0;
    return (size_t)(taken - deadlines);
}

/* The least of what is set, looked for the simple way; of a group, or of all. */
static uint64_t least_due(const struct deadline_group *group)
{
    uint64_t least = FIPC_NEVER;

    for (size_t i = 0; i < CAPACITY; i++) {
        if (due[i] != 0 && due[i] < least && (group == NULL || deadlines[i].group == group))
            least = due[i];
    }
    return least;
}

GROUP(order, .timeout = 30, .fixtures = {{set_up, NULL}});

TEST(empty_heap_is_never_due)
{
    ck_assert_uint_eq(deadline_next_ns(&heap), FIPC_NEVER);
    ck_assert_ptr_null(deadline_take(&heap, 0));
    ck_assert_ptr_null(deadline_take(&heap, FIPC_NEVER));
}

TEST(deadline_is_due_at_its_time_and_not_before)
{
    set(0, 0, 100);
    ck_assert(deadline_is_set(&deadlines[0]));
    ck_assert_ptr_null(deadline_take(&heap, 99));
    ck_assert_uint_eq(take(100), 0);
    ck_assert(!deadline_is_set(&deadlines[0]));
    ck_assert(deadlines[0].over == over);
    ck_assert_ptr_null(deadline_take(&heap, 100));
}

TEST(deadline_that_is_moved_is_due_once_at_its_new_time)
{
    set(0, 0, 100);
    set(0, 1, 150);
    set(0, 0, 200);
    ck_assert_uint_eq(deadline_next_ns(&heap), 150);
    set(0, 0, 50);
    ck_assert_uint_eq(take(1000), 0);
    ck_assert_uint_eq(take(1000), 1);
    ck_assert_ptr_null(deadline_take(&heap, 1000));
}

TEST(deadline_that_was_cleared_is_never_due)
{
    set(0, 0, 100);
    deadline_clear(&heap, &deadlines[0]);
    deadline_clear(&heap, &deadlines[0]); /* safe twice */
    ck_assert_ptr_null(deadline_take(&heap, 1000));
    ck_assert_uint_eq(deadline_next_ns(&heap), FIPC_NEVER);
}

TEST(deadline_may_change_its_group)
{
    set(0, 0, 100);
    set(1, 0, 120);
    ck_assert_uint_eq(deadline_next_ns(&heap), 120);
    ck_assert_uint_eq(take(120), 0);
    ck_assert_ptr_null(deadline_take(&heap, 1000));
}

TEST(all_come_back_in_order)
{
    uint64_t last = 0;

    for (size_t i = 0; i < CAPACITY; i++)
        set(0, i, (i * 7919) % 1009);
    for (size_t i = 0; i < CAPACITY; i++) {
        uint64_t next = deadline_next_ns(&heap);

        ck_assert_uint_ge(next, last);
        last = next;
        ck_assert_ptr_nonnull(deadline_take(&heap, next));
    }
    ck_assert_uint_eq(deadline_next_ns(&heap), FIPC_NEVER);
}

TEST(random_moves_keep_the_order_of_each_group)
{
    uint64_t random = 88172645463325252u, now_ns = 1;

    for (int step = 0; step < STEPS; step++) {
        size_t i;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        i = random % CAPACITY;
        if (random >> 60 < 4) {
            deadline_clear(&heap, &deadlines[i]);
            due[i] = 0;
        } else {
            set(i % GROUPS, i, now_ns + (random >> 20) % 5000);
        }
        if (step % 16 != 0)
            continue;
        now_ns += 10;
        ck_assert(deadline_next_ns(&heap) == least_due(NULL) ||
                  (deadline_next_ns(&heap) <= now_ns && least_due(NULL) <= now_ns));
        while (step % 64 == 0 && least_due(NULL) <= now_ns) {
            struct deadline *taken = deadline_take(&heap, now_ns);

            ck_assert_ptr_nonnull(taken);
            ck_assert_uint_eq(due[taken - deadlines], least_due(taken->group));
            due[taken - deadlines] = 0;
        }
        if (step % 64 == 0)
            ck_assert_ptr_null(deadline_take(&heap, now_ns));
    }
}

GROUP(turns, .fixtures = {{set_up, NULL}});

TEST(groups_take_turns_however_many_of_one_are_due)
{
    for (size_t i = 0; i < 900; i++)
        set(0, i, 100);
    for (size_t i = 900; i < 903; i++)
        set(1, i, 200); /* later, too */
    (void)take(200);    /* the earliest group was alone */
    for (int n = 0; n < 3; n++) {
        ck_assert_uint_lt(take(200), 900);
        ck_assert_uint_ge(take(200), 900);
    }
    ck_assert_uint_lt(take(200), 900);
}

TEST(group_that_falls_due_later_has_its_turn_at_once)
{
    for (size_t i = 0; i < 900; i++)
        set(0, i, 100);
    for (int n = 0; n < 50; n++)
        (void)take(100);
    set(1, 900, 100);
    (void)take(100);
    ck_assert_uint_eq(take(100), 900);
}

TEST(work_that_sets_itself_again_keeps_nobody_out)
{
    set(0, 0, 100);
    set(1, 1, 100);
    for (int n = 0; n < 10; n++) {
        size_t first = take(100 + (uint64_t)n), second;

        set(first, first, 100 + (uint64_t)n);
        second = take(100 + (uint64_t)n);
        ck_assert_uint_ne(first, second);
        set(second, second, 100 + (uint64_t)n);
    }
}

TEST(group_whose_next_one_is_later_does_not_hide_another_that_is_due)
{
    set(0, 0, 100);
    set(0, 1, 110);
    set(0, 2, 115);
    set(1, 3, 120);
    (void)take(150);
    (void)take(150); /* both groups wait for their turns now */
    set(0, 2, 900);
    ck_assert_uint_eq(deadline_next_ns(&heap), 120);
    ck_assert_uint_eq(take(150), 3);
    ck_assert_ptr_null(deadline_take(&heap, 150));
    ck_assert_uint_eq(deadline_next_ns(&heap), 900);
}

TEST(group_may_be_asked_out_of_its_turn)
{
    set(0, 0, 100);
    set(1, 1, 110);
    set(1, 2, 120);
    ck_assert_ptr_null(deadline_take_of(&heap, &groups[1], 109));
    ck_assert_ptr_eq(deadline_take_of(&heap, &groups[1], 110), &deadlines[1]);
    ck_assert_ptr_null(deadline_take_of(&heap, &groups[1], 119));
    ck_assert_ptr_null(deadline_take_of(&heap, &groups[2], 1000)); /* it has none */
    ck_assert_uint_eq(deadline_next_ns(&heap), 100);
    due[1] = 0;
    ck_assert_uint_eq(take(200), 0);
    ck_assert_uint_eq(take(200), 2);
}

TEST(group_is_forgotten_with_its_last_deadline)
{
    set(0, 0, 100);
    set(0, 1, 100);
    (void)take(100);
    deadline_clear(&heap, &deadlines[1]);
    memset(&groups[0], 0xff, sizeof(groups[0])); /* freed */
    set(1, 2, 100);
    ck_assert_uint_eq(take(100), 2);
    ck_assert_ptr_null(deadline_take(&heap, 1000));
}

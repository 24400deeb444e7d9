/* SPDX-License-Identifier: MIT */
/* The heap of deadlines gives them back in time order, in whatever order they were set and moved.
 */
#include "common/clock.h"
#include "daemon/base/deadline.h"
#include "tests/suite.h"

#include <string.h>

#define CAPACITY 1000
#define STEPS 200000

static struct deadline_heap heap;
static struct deadline deadlines[CAPACITY];
static uint64_t due[CAPACITY]; /* 0: not set */

static void over(void *context, struct deadline *deadline)
{
    (void)context;
    (void)deadline;
}

static void set_up(void)
{
    memset(deadlines, 0, sizeof(deadlines));
    memset(due, 0, sizeof(due));
    ck_assert_int_eq(deadline_heap_init(&heap, CAPACITY), 0);
}

static void tear_down(void)
{
    deadline_heap_deinit(&heap);
    deadline_heap_deinit(&heap); /* safe twice */
}

/* The least of what is set, looked for the simple way. */
static uint64_t least_due(void)
{
    uint64_t least = FIPC_NEVER;

    for (size_t i = 0; i < CAPACITY; i++) {
        if (due[i] != 0 && due[i] < least)
            least = due[i];
    }
    return least;
}

GROUP(order, .timeout = 30, .fixtures = {{set_up, tear_down}});

TEST(empty_heap_is_never_due)
{
    ck_assert_uint_eq(deadline_next_ns(&heap), FIPC_NEVER);
    ck_assert_ptr_null(deadline_take(&heap, 0));
    ck_assert_ptr_null(deadline_take(&heap, FIPC_NEVER));
}

TEST(deadline_is_due_at_its_time_and_not_before)
{
    deadline_set(&heap, &deadlines[0], 100, over);
    ck_assert(deadline_is_set(&deadlines[0]));
    ck_assert_ptr_null(deadline_take(&heap, 99));
    ck_assert_ptr_eq(deadline_take(&heap, 100), &deadlines[0]);
    ck_assert(!deadline_is_set(&deadlines[0]));
    ck_assert(deadlines[0].over == over);
    ck_assert_ptr_null(deadline_take(&heap, 100));
}

TEST(deadline_that_is_moved_is_due_once_at_its_new_time)
{
    deadline_set(&heap, &deadlines[0], 100, over);
    deadline_set(&heap, &deadlines[1], 150, over);
    deadline_set(&heap, &deadlines[0], 200, over);
    ck_assert_uint_eq(deadline_next_ns(&heap), 150);
    deadline_set(&heap, &deadlines[0], 50, over);
    ck_assert_ptr_eq(deadline_take(&heap, 1000), &deadlines[0]);
    ck_assert_ptr_eq(deadline_take(&heap, 1000), &deadlines[1]);
    ck_assert_ptr_null(deadline_take(&heap, 1000));
}

TEST(deadline_that_was_cleared_is_never_due)
{
    deadline_set(&heap, &deadlines[0], 100, over);
    deadline_clear(&heap, &deadlines[0]);
    deadline_clear(&heap, &deadlines[0]); /* safe twice */
    ck_assert_ptr_null(deadline_take(&heap, 1000));
}

TEST(full_heap_gives_all_back_in_order)
{
    uint64_t last = 0;

    for (size_t i = 0; i < CAPACITY; i++)
        deadline_set(&heap, &deadlines[i], (i * 7919) % 1009, over);
    for (size_t i = 0; i < CAPACITY; i++) {
        uint64_t next = deadline_next_ns(&heap);

        ck_assert_uint_ge(next, last);
        last = next;
        ck_assert_ptr_nonnull(deadline_take(&heap, next));
    }
    ck_assert_uint_eq(deadline_next_ns(&heap), FIPC_NEVER);
}

TEST(random_moves_keep_the_order)
{
    uint64_t random = 88172645463325252u;

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
            due[i] = 1 + (random >> 20) % 5000;
            deadline_set(&heap, &deadlines[i], due[i], over);
        }
        if (step % 64 == 0)
            ck_assert_uint_eq(deadline_next_ns(&heap), least_due());
        if (step % 16 == 0 && heap.count > 0) {
            uint64_t least = deadline_next_ns(&heap);
            const struct deadline *taken = deadline_take(&heap, least);

            ck_assert_uint_eq(due[taken - deadlines], least);
            due[taken - deadlines] = 0;
        }
    }
}

/* SPDX-License-Identifier: MIT */
#include "common/clock.h"
#include "tests/unit/fixture.h"

static const struct {
    uint64_t now_ns, span_ns, deadline_ns;
} deadlines[] = {
    {0, 0, 0},
    {0, 1, 1},
    {5, 7, 12},
    {5, FIPC_NEVER, FIPC_NEVER},
    {FIPC_NEVER - 10, 9, FIPC_NEVER - 1},
    {FIPC_NEVER - 10, 10, FIPC_NEVER},
    {FIPC_NEVER - 10, 11, FIPC_NEVER},
    {FIPC_NEVER, 0, FIPC_NEVER},
    {FIPC_NEVER, FIPC_NEVER, FIPC_NEVER},
};

LOOP_TEST(deadline_never_wraps, COUNT_OF(deadlines))
{
    ck_assert_uint_eq(fipc_deadline_after(deadlines[_i].now_ns, deadlines[_i].span_ns),
                      deadlines[_i].deadline_ns);
}

TEST(units_are_a_thousand_of_the_one_below)
{
    ck_assert_uint_eq(FIPC_NS_PER_US, 1000);
    ck_assert_uint_eq(FIPC_NS_PER_MS, 1000 * FIPC_NS_PER_US);
    ck_assert_uint_eq(FIPC_NS_PER_S, 1000 * FIPC_NS_PER_MS);
}

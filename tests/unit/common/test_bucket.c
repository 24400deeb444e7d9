/* SPDX-License-Identifier: MIT */
/* A budget and its bucket, with a clock of the tests' own. */
#include "common/bucket.h"

#include "tests/unit/fixture.h"

#define LONG_NS UINT64_C(100000000)

/* Ten tokens, and ten more on credit; one comes back every 100 ns. */
static const struct fipc_budget budget = {.tokens_max = 10, .spent_max = 20, .ns_per_token = 100};

static void expect_bucket(const struct fipc_bucket *bucket, uint64_t spent, uint64_t refilled_ns)
{
    ck_assert_uint_eq(bucket->spent, spent);
    ck_assert_uint_eq(bucket->refilled_ns, refilled_ns);
}

/* ---- time ---- */

static const struct {
    uint64_t spent, now_ns; /* the last refill was at 1000 */
    uint64_t ret_spent, ret_refilled_ns;
} refills[] = {
    {0, 1000, 0, 1000}, /* a full one saves nothing for later */
    {0, 1199, 0, 1199}, /* nor a part of a token */
    {5, 999, 5, 1000},  /* time that goes back */
    {5, 0, 5, 1000},
    {5, 1000, 5, 1000},
    {5, 1099, 5, 1000}, /* a part of a token is kept */
    {5, 1100, 4, 1100},
    {5, 1199, 4, 1100},
    {5, 1499, 1, 1400},
    {5, 1500, 0, 1500},
    {5, 1501, 0, 1501},
    {20, 1999, 11, 1900}, /* a debt is paid off likewise */
    {20, UINT64_MAX, 0, UINT64_MAX},
    {UINT64_MAX, 1100, UINT64_MAX - 1, 1100},
};

GROUP(bucket, .fixtures = {HOLDINGS_KEPT});

LOOP_TEST(time_refills, COUNT_OF(refills))
{
    struct fipc_bucket bucket = {.spent = refills[_i].spent, .refilled_ns = 1000};

    fipc_bucket_refill(&bucket, &budget, refills[_i].now_ns);
    expect_bucket(&bucket, refills[_i].ret_spent, refills[_i].ret_refilled_ns);
}

TEST(many_small_refills_are_one_large)
{
    struct fipc_bucket bucket = {.spent = 20};

    for (uint64_t now_ns = 0; now_ns <= 1234; now_ns += 7)
        fipc_bucket_refill(&bucket, &budget, now_ns);
    expect_bucket(&bucket, 8, 1200);
}

TEST(bucket_of_zeros_is_full)
{
    struct fipc_bucket bucket = {0};

    ck_assert(fipc_bucket_holds(&bucket, &budget, 10));
    ck_assert(!fipc_bucket_holds(&bucket, &budget, 11));
}

/* ---- tokens ---- */

static const struct {
    uint64_t spent, tokens;
    bool holds;           /* before they are taken */
    uint64_t taken_spent; /* after it */
    uint64_t given_spent; /* if they are given instead */
} moves[] = {
    {0, 0, true, 0, 0},
    {0, 1, true, 1, 0},
    {0, 10, true, 10, 0},
    {0, 11, false, 11, 0},
    {0, 20, false, 20, 0},
    {0, 21, false, 20, 0},
    {9, 1, true, 10, 8},
    {9, 2, false, 11, 7},
    {10, 0, true, 10, 10}, /* empty, without a debt */
    {11, 0, false, 11, 11},
    {20, 1, false, 20, 19},
    {1, UINT64_MAX, false, 20, 0},
    {31, 0, false, 20, 31}, /* its owner set a larger debt */
    {31, 1, false, 20, 30},
};

LOOP_TEST(tokens_are_taken_and_given, COUNT_OF(moves))
{
    struct fipc_bucket taken = {.spent = moves[_i].spent}, given = taken;

    ck_assert_int_eq(fipc_bucket_holds(&taken, &budget, moves[_i].tokens), moves[_i].holds);
    fipc_bucket_take(&taken, &budget, moves[_i].tokens);
    ck_assert_uint_eq(taken.spent, moves[_i].taken_spent);
    fipc_bucket_give(&given, moves[_i].tokens);
    ck_assert_uint_eq(given.spent, moves[_i].given_spent);
}

static const struct {
    uint64_t spent, debt_ns;
} debts[] = {{0, 0}, {9, 0}, {10, 0}, {11, 100}, {20, 1000}, {31, 2100}};

LOOP_TEST(debt_is_paid_after_its_time, COUNT_OF(debts))
{
    struct fipc_bucket bucket = {.spent = debts[_i].spent, .refilled_ns = 5};
    uint64_t debt_ns = debts[_i].debt_ns;

    ck_assert_uint_eq(fipc_bucket_debt_ns(&bucket, &budget), debt_ns);
    if (debt_ns == 0)
        return;
    fipc_bucket_refill(&bucket, &budget, 5 + debt_ns - 1);
    ck_assert(!fipc_bucket_holds(&bucket, &budget, 0));
    fipc_bucket_refill(&bucket, &budget, 5 + debt_ns);
    ck_assert(fipc_bucket_holds(&bucket, &budget, 0));
}

/* ---- over a long time ---- */

/* Somebody takes a token whenever there is one: a burst, and then one each 100 ns. */
TEST(greedy_owner_gets_a_burst_and_the_rate)
{
    struct fipc_bucket bucket = {0};
    uint64_t n_taken = 0;

    for (uint64_t now_ns = 0; now_ns < LONG_NS; now_ns += 300 + now_ns % 501) {
        fipc_bucket_refill(&bucket, &budget, now_ns);
        while (fipc_bucket_holds(&bucket, &budget, 1)) {
            fipc_bucket_take(&bucket, &budget, 1);
            n_taken++;
        }
    }
    ck_assert_uint_ge(n_taken, LONG_NS / 100);
    ck_assert_uint_le(n_taken, LONG_NS / 100 + 10);
}

/* SPDX-License-Identifier: MIT */
/* How many of a thing an account gets, alone and beside others. */
#include "daemon/model/share.h"

#include "tests/suite.h"

#include <stdbool.h>
#include <stdint.h>

GROUP(shares);

/* Gives an account as many as it may have, at most @wanted. */
static uint32_t take(const struct share *share, uint32_t wanted, uint32_t *taken, bool is_trusted)
{
    uint32_t held = 0;

    while (held < wanted && share_allows(share, held, *taken, is_trusted)) {
        held++;
        (*taken)++;
    }
    return held;
}

static const struct {
    uint32_t count, limit, few;
    uint32_t held[4]; /* of accounts that each take what they can, one after the other */
} in_turn[] = {
    {4096, 0, 4, {1024, 1024, 888, 444}},               /* slots */
    {4096, 1024, 64, {1024, 1024, 888, 444}},           /* a queue */
    {65530, 4096, 8, {4096, 4096, 4096, 4096}},         /* names */
    {1 << 20, 0, 64, {262144, 262144, 229368, 114684}}, /* open calls */
    {4096, 4096, 4, {1912, 956, 478, 239}},             /* no account has all */
    {4096, 10000, 4, {1912, 956, 478, 239}},            /* nor if its limit is larger */
    {100, 15, 4, {15, 15, 15, 15}},
    {16, 0, 4, {4, 4, 4, 0}},
    {64, 0, 4, {16, 14, 7, 4}},
    {8, 0, 4, {2, 2, 2, 0}},
    {4, 0, 4, {1, 1, 1, 0}},
    {3, 0, 4, {1, 1, 1, 0}},
    {2, 0, 4, {1, 1, 0, 0}},
    {2, 2, 4, {2, 0, 0, 0}},
    {1, 0, 4, {1, 0, 0, 0}},
    {1, 1, 4, {1, 0, 0, 0}},
};

LOOP_TEST(account_leaves_the_next_one_about_as_much, COUNT_OF(in_turn))
{
    struct share share = share_of(in_turn[_i].count, in_turn[_i].limit, in_turn[_i].few);
    uint32_t taken = 0;

    for (int i = 0; i < COUNT_OF(in_turn[_i].held); i++)
        ck_assert_uint_eq(take(&share, UINT32_MAX, &taken, false), in_turn[_i].held[i]);
}

static const struct {
    uint32_t held, n_free;
    bool is_trusted, allowed;
} edges[] = {
    {0, 4096, false, true},        {1023, 3073, false, true}, {1024, 3072, false, false},
    {UINT32_MAX, 1, false, false}, {4, 277, false, true},     {4, 276, false, false},
    {3, 276, false, true},         {3, 17, false, true},      {3, 16, false, false},
    {0, 17, false, true},          {0, 16, false, false},     {0, 0, false, false},
    {0, 16, true, true},           {4095, 1, true, true},     {4096, 1, true, true},
    {0, 0, true, false},
};

LOOP_TEST(one_more_of_4096_is_allowed_within_these_edges, COUNT_OF(edges))
{
    struct share share = share_of(4096, 0, 4);

    ck_assert_int_eq(
        share_allows(&share, edges[_i].held, share.count - edges[_i].n_free, edges[_i].is_trusted),
        edges[_i].allowed);
}

TEST(nothing_is_free_where_more_are_taken_than_there_are)
{
    struct share share = share_of(4096, 0, 4);

    ck_assert(!share_allows(&share, 0, 4097, true));
    ck_assert(!share_allows(&share, 0, UINT32_MAX, false));
}

static const struct {
    uint32_t count, seats;
} seats[] = {{1, 0}, {3, 0}, {4, 1}, {8, 2}, {63, 15}, {64, 16}, {4096, 16}, {1 << 20, 16}};

LOOP_TEST(seats_are_left_for_the_trusted_whoever_took_the_rest, COUNT_OF(seats))
{
    struct share share = share_of(seats[_i].count, 0, 4);
    uint32_t taken = 0;

    for (uint32_t i = 0; i < 2 * share.count && i < (1 << 18); i++)
        (void)take(&share, UINT32_MAX, &taken, false);
    ck_assert_uint_eq(share.count - taken, seats[_i].seats);
    ck_assert_uint_eq(take(&share, UINT32_MAX, &taken, true), seats[_i].seats);
    ck_assert_uint_eq(taken, share.count);
}

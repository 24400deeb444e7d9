/* SPDX-License-Identifier: MIT */
#include "daemon/model/share.h"

/* Of all, for an account without a limit of its own, and for those that hold few. */
#define PART_OF_ACCOUNT 4
#define PART_OF_FEW 16

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t seats_of(const struct share *share)
{
    return smaller(SHARE_SEATS_MAX, share->count / 4);
}

struct share share_of(uint32_t count, uint32_t limit, uint32_t few)
{
    uint32_t per_account = limit != 0 ? smaller(limit, count) : count / PART_OF_ACCOUNT;

    if (per_account == 0)
        per_account = 1;
    return (struct share){
        .count = count,
        .per_account = per_account,
        .few = smaller(few, per_account),
    };
}

bool share_allows(const struct share *share, uint32_t held, uint32_t taken, bool is_trusted)
{
    uint32_t n_free = share->count > taken ? share->count - taken : 0;
    uint32_t n_seats = seats_of(share);
    /* the sum of small numbers and one of 32 bits */
    uint64_t n_kept = (uint64_t)held + share->count / PART_OF_FEW + n_seats;

    if (is_trusted)
        return n_free > 0;
    return (held < share->per_account && n_kept < n_free) ||
           (held < share->few && n_free > n_seats);
}

/* SPDX-License-Identifier: MIT */
/* What one account may hold: each limit at its edges, and where the limits come from. */
#include "daemon/model/quota.h"

#include "common/region.h"
#include "daemon/config/config.h"
#include "daemon/model/account.h"
#include "daemon/model/slot.h"
#include "tests/suite.h"

#include <stddef.h>

/* Small, and different from one another. */
static const struct quota quota = {
    .slots = {.count = 1000, .per_account = 5},
    .places = {.count = 1000, .per_account = 6},
    .handlers = {.count = 1000, .per_account = 7},
    .names = {.count = 1000, .per_account = 10},
    .queue = {.count = 1000, .per_account = 11},
    .region_bytes = 1000,
    .unsent_bytes = 500,
    .queued = 8,
    .copy_bytes = 100,
    .room_wishes = 9,
    .room_wishes_per_slot = 4,
    .names_per_slot = 3,
};

static struct account account, other;
static struct slot slot, others_slot;
static uint32_t n_taken;  /* by all accounts */
static uint32_t in_queue; /* of one service, by the first account */

static void make_accounts(void)
{
    account = (struct account){.uid = 1000};
    other = (struct account){.uid = 1001};
    slot = (struct slot){.account = &account};
    others_slot = (struct slot){.account = &other};
    n_taken = 0;
    in_queue = 0;
}

/* ---- things that are counted ---- */

GROUP(counts, .fixtures = {{make_accounts, NULL}});

static bool allows_slot(const struct slot *of)
{
    return quota_allows_slot(&quota, of->account, n_taken);
}

static bool allows_place(const struct slot *of)
{
    return quota_allows_place(&quota, of->account, n_taken);
}

static bool allows_name(const struct slot *of)
{
    return quota_allows_name(&quota, of->account, n_taken);
}

static bool allows_queue_place(const struct slot *of)
{
    return quota_allows_queue_place(&quota, of->account, of == &slot ? in_queue : 0, n_taken);
}

static bool allows_wish(const struct slot *of) { return quota_allows_room_wish(&quota, of); }
static bool allows_worker(const struct slot *of) { return quota_allows_worker(&quota, of); }

static bool allows_handler(const struct slot *of)
{
    return quota_allows_handler(&quota, of->account, n_taken);
}

static bool allows_queued(const struct slot *of)
{
    return quota_allows_queued(&quota, of->account);
}

static const struct {
    bool (*allows)(const struct slot *of);
    uint32_t *count; /* of what is held already */
    uint32_t limit;
} counts_held[] = {
    {allows_slot, &account.n_slots, 5},
    {allows_slot, &account.n_closing, 5}, /* a former slot counts until it is closed */
    {allows_place, &account.n_waiting, 6},
    {allows_handler, &account.n_handlers, 7},
    {allows_queued, &account.n_queued, 8},
    {allows_wish, &account.n_room_wishes, 9},
    {allows_wish, &slot.n_room_wishes, 4},
    {allows_name, &account.n_names, 10},
    {allows_queue_place, &in_queue, 11},
    {allows_worker, &slot.n_workers, 3},
};

static bool (*const shares_taken[])(const struct slot *of) = {
    allows_slot, allows_place, allows_handler, allows_name, allows_queue_place,
};

LOOP_TEST(one_more_is_allowed_below_the_limit_only, COUNT_OF(counts_held))
{
    uint32_t limit = counts_held[_i].limit;
    const struct {
        uint32_t held;
        bool allowed;
    } edges[] = {
        {0, true},      {1, true},          {limit - 1, true},
        {limit, false}, {limit + 1, false}, {UINT32_MAX, false},
    };

    for (int i = 0; i < COUNT_OF(edges); i++) {
        *counts_held[_i].count = edges[i].held;
        ck_assert_int_eq(counts_held[_i].allows(&slot), edges[i].allowed);
        ck_assert(counts_held[_i].allows(&others_slot)); /* a uid pays for itself alone */
    }
}

LOOP_TEST(seats_are_left_for_the_trusted, COUNT_OF(shares_taken))
{
    bool (*allows)(const struct slot *of) = shares_taken[_i];

    for (n_taken = 0; n_taken <= 1000; n_taken++) {
        account.is_trusted = false;
        ck_assert_int_eq(allows(&slot), n_taken < 1000 - (62 + 16));
        account.is_trusted = true;
        ck_assert_int_eq(allows(&slot), n_taken < 1000);
    }
}

TEST(slots_and_what_is_still_to_be_closed_are_one_sum)
{
    account.n_slots = 2;
    account.n_closing = 2;
    ck_assert(quota_allows_slot(&quota, &account, 0));
    account.n_closing = 3;
    ck_assert(!quota_allows_slot(&quota, &account, 0));
}

/* ---- bytes ---- */

GROUP(bytes, .fixtures = {{make_accounts, NULL}});

static const struct {
    uint64_t held, wanted;
    bool allowed;
} bytes_held[] = {
    {0, 0, true},    {0, 1, true},    {0, 499, true},   {0, 500, true},    {0, 501, false},
    {1, 499, true},  {1, 500, false}, {499, 1, true},   {499, 2, false},   {500, 0, true},
    {500, 1, false}, {501, 0, false}, {250, 250, true}, {250, 251, false}, {0, 1 << 30, false},
};

LOOP_TEST(as_many_bytes_are_allowed_as_the_limit_leaves, COUNT_OF(bytes_held))
{
    account.unsent_bytes = bytes_held[_i].held;
    account.region_bytes = 500 + bytes_held[_i].held; /* its limit is higher by that */

    ck_assert_int_eq(quota_allows_unsent(&quota, &account, bytes_held[_i].wanted),
                     bytes_held[_i].allowed);
    ck_assert_int_eq(quota_allows_region(&quota, &account, bytes_held[_i].wanted),
                     bytes_held[_i].allowed);
}

static const struct {
    uint64_t copy_bytes;
    size_t wanted;
    bool allowed;
} copies[] = {
    {0, 0, true},    {0, 100, true},   {0, 101, true}, /* alone, however large */
    {1, 99, true},   {1, 100, false},  {99, 1, true},    {100, 0, true},
    {100, 1, false}, {4096, 1, false}, {4096, 0, false}, /* beside the large one that went alone */
};

LOOP_TEST(copy_is_kept_within_the_bytes, COUNT_OF(copies))
{
    account.copy_bytes = copies[_i].copy_bytes;

    ck_assert_int_eq(quota_allows_copy(&quota, &account, copies[_i].wanted), copies[_i].allowed);
}

static const struct {
    uint32_t n_queued;
    uint64_t copy_bytes, wished_bytes;
    bool low;
} shares[] = {
    {0, 0, 0, true},    {4, 50, 0, true},   {5, 50, 0, false},   {4, 51, 0, false},
    {1, 1, 99, true},   {1, 1, 100, false}, {1, 50, 50, true},   {1, 50, 51, false},
    {0, 0, 4096, true}, {1, 0, 4096, true}, {1, 1, 4096, false},
};

LOOP_TEST(share_is_low_at_half_with_room_for_the_largest_wish, COUNT_OF(shares))
{
    account.n_queued = shares[_i].n_queued;
    account.copy_bytes = shares[_i].copy_bytes;
    account.wished_bytes = shares[_i].wished_bytes;

    ck_assert_int_eq(quota_is_queued_low(&quota, &account), shares[_i].low);
}

/* ---- where the limits come from ---- */

GROUP(limits, .fixtures = {{make_accounts, NULL}});

static struct config config_of(uint32_t count, uint32_t per_uid)
{
    return (struct config){.slots = {.count = count,
                                     .per_uid = per_uid,
                                     .request_ring_bytes = 4096,
                                     .reply_ring_bytes = 8192,
                                     .ring_bytes_max = 65536}};
}

static const struct {
    uint32_t count, per_uid, n_places;
    uint32_t slots, places;
} of_slots[] = {
    {1, 0, 1, 1, 1},
    {2, 0, 4, 1, 2},
    {3, 0, 3, 1, 1},
    {4, 0, 1024, 1, 256},
    {4096, 0, 1024, 1024, 256},
    {4096, 1, 1024, 1, 1},
    {4096, 4, 1024, 4, 1},
    {4096, 8, 1024, 8, 2},
    {4096, 4095, 1024, 4095, 1023},
    {4096, 4096, 1024, 4096, 1024},
    {4096, 4097, 1024, 4096, 1024},
    {65536, UINT32_MAX, UINT32_MAX, 65536, UINT32_MAX},
    {65536, 0, UINT32_MAX, 16384, UINT32_MAX / 4},
};

LOOP_TEST(slots_and_places_are_the_same_share_and_one_at_least, COUNT_OF(of_slots))
{
    struct config config = config_of(of_slots[_i].count, of_slots[_i].per_uid);
    struct quota made = quota_of(&config, of_slots[_i].n_places, 4, 4);

    ck_assert_uint_eq(made.slots.per_account, of_slots[_i].slots);
    ck_assert_uint_eq(made.places.per_account, of_slots[_i].places);
}

static const struct {
    uint32_t n_handlers, share;
} of_handlers[] = {{1, 1}, {3, 1}, {4, 1}, {7, 1}, {8, 2}, {1 << 20, 1 << 18}};

LOOP_TEST(handlers_of_a_uid_are_a_quarter, COUNT_OF(of_handlers))
{
    struct config config = config_of(4, 0);

    ck_assert_uint_eq(quota_of(&config, 1, of_handlers[_i].n_handlers, 4).handlers.per_account,
                      of_handlers[_i].share);
}

TEST(regions_are_as_many_bytes_as_the_slots_need_or_one_of_the_largest)
{
    struct config config = config_of(4096, 1);
    uint64_t largest = fipc_region_size(65536, 65536, FIPC_PLACES_MAX),
             usual = fipc_region_size(4096, 8192, FIPC_PLACES_MAX);

    ck_assert_uint_eq(quota_of(&config, 1, 1, 1).region_bytes, largest);
    config.slots.per_uid = 1024;
    ck_assert_uint_eq(quota_of(&config, 1, 1, 1).region_bytes, 1024 * usual);
}

TEST(fixed_limits_are_those_that_clients_know)
{
    struct config config = config_of(4096, 0);
    struct quota made = quota_of(&config, 1024, 1 << 20, 65534);

    ck_assert_uint_eq(made.unsent_bytes, 64 << 20);
    ck_assert_uint_eq(made.queued, 1024);
    ck_assert_uint_eq(made.copy_bytes, 8 << 20);
    ck_assert_uint_eq(made.room_wishes, 4096);
    ck_assert_uint_eq(made.room_wishes_per_slot, 64);
    ck_assert_uint_eq(made.names.per_account, 4096);
    ck_assert_uint_eq(made.names.count, 65534);
    ck_assert_uint_eq(made.names.few, 8);
    ck_assert_uint_eq(made.slots.few, 4);
    ck_assert_uint_eq(made.handlers.few, 64);
    ck_assert_uint_eq(made.queue.count, 4096);
    ck_assert_uint_eq(made.queue.per_account, 1024);
    ck_assert_uint_eq(made.queue.few, 64);
    ck_assert_uint_eq(made.names_per_slot, 64);
}

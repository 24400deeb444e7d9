/* SPDX-License-Identifier: MIT */
/* Greedy accounts and modest ones at the same queues, over a long time. */
#include "daemon/model/queue.h"

#include "tests/unit/model/queue_fixture.h"

#include <errno.h>
#include <stdlib.h>

/* ---- turns ---- */

GROUP(turns, .fixtures = {{set_up, tear_down}});

/* One after the other as the broker takes them. */
static int take_next(void)
{
    struct handler *handler = queue_first(&services[0]);
    const struct account *account;

    if (handler == NULL)
        return -1;
    account = caller_of(handler)->account;
    take_out((int)(handler - handlers));
    lines_end_turn(&services[0].queue, account);
    return (int)(handler - handlers);
}

/* One account keeps the queue as full as it may; another one calls once in a while. */
TEST(call_waits_for_one_of_each_other_account_whatever_these_have_queued)
{
    int next = 0;

    quota.queued = 1024;
    quota.copy_bytes = UINT64_MAX;
    for (int i = 0; i < 1024; i++, next++)
        ck_assert_int_eq(put(0, 0, next, 1), 0);
    for (int round = 0; round < 100; round++) {
        int call = next++;

        ck_assert_int_eq(put(0, SLOTS_PER_UID, call, 1), 0);
        if (take_next() != call) /* one of the other account, at most */
            ck_assert_int_eq(take_next(), call);
    }
}

/* ---- over a long time ---- */

GROUP(long_time, .timeout = 60, .fixtures = {{set_up, tear_down}});

#define STEPS 1000000

/* Clients that send as much as they may, in bursts, to services whose workers take the oldest. */
struct traffic {
    uint32_t random;
    int free[HANDLERS], n_free;
    uint64_t n_taken[SERVICES];
    uint64_t waits_since[SLOTS][SERVICES]; /* n_taken of then, plus 1; 0: it does not wait */
    uint64_t longest;                      /* wait, in requests taken from that queue */
    uint64_t n_put[UIDS];
};

static uint32_t random_below(struct traffic *traffic, uint32_t n)
{
    traffic->random = traffic->random * 1103515245 + 12345;
    return (traffic->random >> 16) % n;
}

static void one_sends(struct traffic *traffic, int slot, int service)
{
    int number, r;

    if (traffic->waits_since[slot][service] != 0 || traffic->n_free == 0)
        return;
    number = traffic->free[traffic->n_free - 1];
    r = put(service, slot, number, random_below(traffic, 20));
    REQUIRE(r == 0 || r == -EAGAIN);
    if (r < 0) {
        traffic->waits_since[slot][service] = traffic->n_taken[service] + 1;
        return;
    }
    traffic->n_free--;
    traffic->n_put[slot / SLOTS_PER_UID]++;
}

static void one_is_taken(struct traffic *traffic, int service)
{
    struct handler *handler = queue_first(&services[service]);
    struct service *of;
    struct slot *slot;

    if (handler == NULL)
        return;
    take_out((int)(handler - handlers));
    traffic->free[traffic->n_free++] = (int)(handler - handlers);
    traffic->n_taken[service]++;
    while ((slot = room_wish_take_granted(&granted, &of)) != NULL) {
        uint64_t *since = &traffic->waits_since[slot->index][of->index];
        uint64_t waited = traffic->n_taken[of->index] + 1 - *since;

        REQUIRE(*since != 0);
        traffic->longest = waited > traffic->longest ? waited : traffic->longest;
        *since = 0;
    }
}

static void check_sums(void)
{
    for (int uid = 0; uid < UIDS; uid++) {
        uint32_t sum = 0;

        for (int i = 0; i < SLOTS_PER_UID; i++)
            sum += slots[uid * SLOTS_PER_UID + i].n_queued;
        ck_assert_uint_eq(accounts[uid].n_queued, sum);
        ck_assert_uint_le(sum, quota.queued + SLOTS_PER_UID);
    }
}

static struct traffic *traffic_new(void)
{
    struct traffic *traffic = calloc(1, sizeof(*traffic));

    ck_assert_ptr_nonnull(traffic);
    traffic->random = 1;
    traffic->n_free = HANDLERS;
    for (int i = 0; i < HANDLERS; i++)
        traffic->free[i] = i;
    return traffic;
}

TEST(every_slot_that_waits_is_notified_before_long)
{
    struct traffic *traffic = traffic_new();

    quota.queued = 1024; /* five uids overfill the queue of 4096 */
    quota.copy_bytes = 8192;
    for (int i = 0; i < STEPS; i++) {
        one_sends(traffic, (int)random_below(traffic, SLOTS), 0);
        if (i % 3 != 0)
            one_sends(traffic, (int)random_below(traffic, SLOTS), 0);
        one_is_taken(traffic, 0);
        if (i % 1000 == 0)
            check_sums();
    }
    ck_assert_uint_gt(traffic->longest, 0);
    ck_assert_uint_le(traffic->longest, QUEUE_MAX);
    free(traffic);
}

TEST(uid_with_one_slot_gets_in_beside_greedy_ones)
{
    struct traffic *traffic = traffic_new();
    uint64_t others = 0;

    quota.queued = 64;
    quota.copy_bytes = 8192;
    for (int i = 0; i < STEPS / 4; i++) {
        for (int slot = 0; slot < SLOTS - SLOTS_PER_UID; slot++)
            one_sends(traffic, slot, i % SERVICES);
        one_sends(traffic, SLOTS - 1, i % SERVICES);
        one_is_taken(traffic, i % SERVICES);
    }
    check_sums();
    for (int uid = 0; uid < UIDS - 1; uid++)
        others = traffic->n_put[uid] > others ? traffic->n_put[uid] : others;
    ck_assert_uint_ge(traffic->n_put[UIDS - 1] * 10, others * 9); /* its share is as large */
    free(traffic);
}

/* SPDX-License-Identifier: MIT */
/* Which worker is given a request, and what it has in its hands. */
#include "daemon/model/worker.h"

#include "common/ring.h"
#include "daemon/model/service.h"
#include "daemon/model/slot.h"
#include "tests/suite.h"

#include <errno.h>
#include <string.h>

#define SLOTS 4
#define HANDLERS 64
#define CONCURRENCY 3
#define RING_BYTES 4096

static struct delivery_table table;
static struct service service;
static struct slot slots[SLOTS];
static struct worker *workers[SLOTS]; /* NULL: that slot does not serve */
static struct handler handlers[HANDLERS];
static uint32_t n_handlers;

static void set_up(void)
{
    ck_assert_int_eq(delivery_table_init(&table), 0);
    service = (struct service){.index = 1};
    TAILQ_INIT(&service.workers);
    for (int i = 0; i < SLOTS; i++) {
        slots[i] = (struct slot){.index = (uint32_t)i};
        slots[i].channel.out.capacity = RING_BYTES;
        TAILQ_INIT(&slots[i].workers);
        workers[i] = NULL;
    }
    memset(handlers, 0, sizeof(handlers));
    n_handlers = 0;
}

static void remove_worker(int i)
{
    struct delivery *delivery;

    while ((delivery = TAILQ_FIRST(&workers[i]->deliveries)) != NULL)
        delivery_end(&table, delivery);
    worker_remove(workers[i]);
    workers[i] = NULL;
}

static void tear_down(void)
{
    for (int i = 0; i < SLOTS; i++) {
        if (workers[i] != NULL)
            remove_worker(i);
    }
    delivery_table_deinit(&table);
    delivery_table_deinit(&table); /* safe twice */
}

static void add_workers(int n)
{
    for (int i = 0; i < n; i++) {
        workers[i] = worker_add(&service, &slots[i], CONCURRENCY);
        ck_assert_ptr_nonnull(workers[i]);
    }
}

static struct delivery *give(int i)
{
    struct handler *handler = &handlers[n_handlers % HANDLERS];
    struct delivery *delivery;

    handler->id = 100 + n_handlers++;
    delivery = delivery_begin(&table, workers[i], handler);
    REQUIRE(delivery != NULL);
    return delivery;
}

static void give_many(int i, uint32_t n)
{
    while (n-- > 0)
        (void)give(i);
}

/* The number of the slot whose worker is found; else the choice, as a negative number. */
static int find(size_t bytes)
{
    struct worker *found = NULL;
    enum worker_choice choice = worker_find(&service, bytes, &found);

    return choice == WORKER_FOUND ? (int)(found->slot - slots) : -(int)choice;
}

/* ---- least busy ---- */

GROUP(least_busy, .timeout = 30, .fixtures = {{set_up, tear_down}});

/* What each worker has in its hands, -1: it does not exist; and which is found. Of equals the one
 * that was given a request longest ago: here they are given theirs in order. */
static const struct {
    int busy[SLOTS];
    int found;
} busies[] = {
    {{-1, -1, -1, -1}, -(int)WORKER_NONE_FREE},
    {{0, -1, -1, -1}, 0},
    {{3, -1, -1, -1}, -(int)WORKER_NONE_FREE},
    {{0, 0, 0, 0}, 0},
    {{1, 0, 0, 0}, 1},
    {{1, 1, 0, 0}, 2},
    {{1, 1, 1, 0}, 3},
    {{1, 1, 1, 1}, 0},
    {{2, 1, 1, 1}, 1},
    {{3, 2, 1, 2}, 2},
    {{3, 2, 2, 1}, 3},
    {{3, 3, 3, 2}, 3},
    {{3, 3, 3, 3}, -(int)WORKER_NONE_FREE},
    {{3, 0, 3, 0}, 1},
};

LOOP_TEST(worker_with_the_fewest_requests_is_found, COUNT_OF(busies))
{
    for (int i = 0; i < SLOTS && busies[_i].busy[i] >= 0; i++) {
        workers[i] = worker_add(&service, &slots[i], CONCURRENCY);
        ck_assert_ptr_nonnull(workers[i]);
    }
    for (int i = 0; i < SLOTS && busies[_i].busy[i] > 0; i++)
        give_many(i, (uint32_t)busies[_i].busy[i]);
    for (int i = 0; i < SLOTS; i++) /* those after a worker with nothing */
        if (workers[i] != NULL && busies[_i].busy[i] > (int)workers[i]->n_deliveries)
            give_many(i, (uint32_t)busies[_i].busy[i] - workers[i]->n_deliveries);

    ck_assert_int_eq(find(0), busies[_i].found);
}

TEST(equally_busy_workers_take_turns)
{
    int turns[SLOTS * 3];

    add_workers(SLOTS);
    for (int i = 0; i < COUNT_OF(turns); i++) {
        turns[i] = find(1);
        delivery_end(&table, give(turns[i])); /* answered at once: all have nothing again */
    }
    for (int i = 0; i < COUNT_OF(turns); i++)
        ck_assert_int_eq(turns[i], i % SLOTS);
}

TEST(each_worker_takes_as_many_as_it_said)
{
    workers[0] = worker_add(&service, &slots[0], 1);
    workers[1] = worker_add(&service, &slots[1], 2);

    for (int i = 0; i < 3; i++)
        give_many(find(1), 1);

    ck_assert_uint_eq(workers[0]->n_deliveries, 1);
    ck_assert_uint_eq(workers[1]->n_deliveries, 2);
    ck_assert_int_eq(find(1), -(int)WORKER_NONE_FREE);
}

/* Workers of different speeds, a million requests: no free worker is left out. */
TEST(work_goes_to_the_workers_that_are_free)
{
    uint64_t n_given[SLOTS] = {0};
    unsigned random = 1;

    add_workers(SLOTS);
    for (int i = 0; i < 1000000; i++) {
        int found = find(1);
        int ends = (int)((random = random * 1103515245 + 12345) >> 16) % 10;

        if (found >= 0) {
            for (int other = 0; other < SLOTS; other++)
                REQUIRE(workers[found]->n_deliveries <= workers[other]->n_deliveries);
            give_many(found, 1);
            n_given[found]++;
        } else {
            REQUIRE(found == -(int)WORKER_NONE_FREE);
            for (int other = 0; other < SLOTS; other++)
                REQUIRE(workers[other]->n_deliveries == CONCURRENCY);
        }
        ends = ends < SLOTS ? ends : 0; /* the first is the fastest */
        if (workers[ends]->n_deliveries > 0)
            delivery_end(&table, TAILQ_FIRST(&workers[ends]->deliveries));
    }
    ck_assert_uint_gt(n_given[0], 2 * n_given[1]);
    for (int i = 1; i < SLOTS; i++)
        ck_assert_uint_gt(n_given[i], 50000);
    ck_assert_uint_le(table.places.n_used, SLOTS * CONCURRENCY);
}

/* ---- who can be given it ---- */

GROUP(able, .fixtures = {{set_up, tear_down}});

TEST(worker_whose_slot_ends_is_given_nothing)
{
    add_workers(2);
    slots[0].is_ending = true;
    ck_assert_int_eq(find(1), 1);
    slots[1].is_ending = true;
    ck_assert_int_eq(find(1), -(int)WORKER_NONE_FREE);
}

TEST(worker_whose_ring_is_full_is_given_nothing)
{
    add_workers(2);
    slots[0].wanted_bytes = 1;
    ck_assert_int_eq(find(1), 1);
    slots[1].wanted_bytes = 1;
    ck_assert_int_eq(find(1), -(int)WORKER_NONE_FREE);
    slots[0].wanted_bytes = 0;
    ck_assert_int_eq(find(1), 0);
}

TEST(worker_that_leaves_is_given_nothing)
{
    add_workers(2);
    workers[0]->concurrency = 0;
    ck_assert_int_eq(find(1), 1);
    remove_worker(1);
    ck_assert_int_eq(find(1), -(int)WORKER_NONE_FREE);
    remove_worker(0);
    ck_assert_int_eq(find(1), -(int)WORKER_NONE_FREE);
    ck_assert_uint_eq(service.n_workers, 0);
}

/* The first worker has a ring of twice the size; r, when the others, it, or all are busy. */
static const struct {
    uint32_t over; /* bytes more than a small ring carries */
    int free_all, free_small, free_large, free_none;
} sizes[] = {
    {0, 0, 1, 0, -(int)WORKER_NONE_FREE},
    {1, 0, -(int)WORKER_NONE_LARGE, 0, -(int)WORKER_NONE_FREE},
    {1000000, -(int)WORKER_TOO_LARGE, -(int)WORKER_TOO_LARGE, -(int)WORKER_TOO_LARGE,
     -(int)WORKER_TOO_LARGE},
};

LOOP_TEST(request_goes_to_a_ring_that_is_large_enough, COUNT_OF(sizes))
{
    size_t bytes = fipc_ring_payload_max(RING_BYTES) + sizes[_i].over;

    add_workers(2);
    slots[0].channel.out.capacity = 2 * RING_BYTES;
    ck_assert_int_eq(find(bytes), sizes[_i].free_all);
    workers[0]->concurrency = 0;
    ck_assert_int_eq(find(bytes), sizes[_i].free_small);
    workers[1]->concurrency = 0;
    ck_assert_int_eq(find(bytes), sizes[_i].free_none);
    workers[0]->concurrency = CONCURRENCY;
    ck_assert_int_eq(find(bytes), sizes[_i].free_large);
}

TEST(large_ring_is_found_although_it_is_the_busiest)
{
    add_workers(2);
    slots[0].channel.out.capacity = 2 * RING_BYTES;
    give_many(0, 2);

    ck_assert_int_eq(find(fipc_ring_payload_max(RING_BYTES)), 1);
    ck_assert_int_eq(find(fipc_ring_payload_max(2 * RING_BYTES)), 0);
    ck_assert_int_eq(find(fipc_ring_payload_max(2 * RING_BYTES) + 1), -(int)WORKER_TOO_LARGE);
}

TEST(worker_is_counted_with_its_service_and_its_slot)
{
    struct service other = {.index = 2};
    struct worker *second;

    TAILQ_INIT(&other.workers);
    add_workers(1);
    second = worker_add(&other, &slots[0], 1);
    ck_assert_ptr_nonnull(second);
    ck_assert_uint_eq(service.n_workers, 1);
    ck_assert_uint_eq(other.n_workers, 1);
    ck_assert_uint_eq(slots[0].n_workers, 2);

    worker_remove(second);
    ck_assert_uint_eq(other.n_workers, 0);
    ck_assert_uint_eq(slots[0].n_workers, 1);
    ck_assert_ptr_eq(TAILQ_FIRST(&slots[0].workers), workers[0]);
}

/* ---- deliveries ---- */

GROUP(deliveries, .fixtures = {{set_up, tear_down}});

TEST(delivery_is_found_by_its_number_and_its_slot)
{
    struct delivery *delivery;

    add_workers(2);
    delivery = give(0);

    ck_assert_uint_eq(delivery->id, 100);
    ck_assert_ptr_eq(delivery->handler, &handlers[0]);
    ck_assert_ptr_eq(handlers[0].delivery, delivery);
    ck_assert_ptr_eq(delivery_of(&table, &slots[0], delivery->number), delivery);
    ck_assert_ptr_null(delivery_of(&table, &slots[1], delivery->number)); /* not its own */
}

static const uint32_t numbers[] = {1, 2, (1 << 20) - 1, 1 << 20, UINT32_MAX - 1, UINT32_MAX};

LOOP_TEST(number_that_no_worker_was_given_finds_nothing, COUNT_OF(numbers))
{
    add_workers(1);
    ck_assert_ptr_null(delivery_of(&table, &slots[0], 0));
    ck_assert_uint_eq(give(0)->number, 0);
    ck_assert_ptr_null(delivery_of(&table, &slots[0], numbers[_i]));
}

TEST(number_finds_nothing_after_the_answer)
{
    struct delivery *delivery;

    add_workers(1);
    delivery = give(0);
    delivery_end(&table, delivery);

    ck_assert_ptr_null(delivery_of(&table, &slots[0], 0));
    ck_assert_ptr_null(handlers[0].delivery);
    ck_assert_uint_eq(workers[0]->n_deliveries, 0);
    ck_assert_ptr_eq(give(0), delivery); /* its place is used again */
    ck_assert_uint_eq(delivery->id, 101);
}

TEST(delivery_can_outlive_its_handler)
{
    struct delivery *delivery;

    add_workers(1);
    delivery = give(0);
    handlers[0].delivery = NULL;
    delivery->handler = NULL;

    ck_assert_ptr_eq(delivery_of(&table, &slots[0], delivery->number), delivery);
    delivery_end(&table, delivery);
    ck_assert_ptr_null(delivery_of(&table, &slots[0], 0));
}

TEST(worker_keeps_its_deliveries_oldest_first)
{
    struct delivery *a, *b, *c;

    add_workers(1);
    a = give(0);
    b = give(0);
    c = give(0);
    delivery_end(&table, b);

    ck_assert_ptr_eq(TAILQ_FIRST(&workers[0]->deliveries), a);
    ck_assert_ptr_eq(TAILQ_NEXT(a, of_worker), c);
    ck_assert_ptr_eq(TAILQ_LAST(&workers[0]->deliveries, delivery_list), c);
}

/* SPDX-License-Identifier: MIT */
/* Which requests find room in the queue of a service, and which slots are notified of room. */
#include "daemon/model/queue.h"

#include "tests/unit/model/queue_fixture.h"

#include <errno.h>
#include <string.h>

/* The next granted wish is of this slot, for this service. */
static void check_granted(int slot, int service)
{
    struct service *of = NULL;

    ck_assert_ptr_eq(room_wish_take_granted(&granted, &of), &slots[slot]);
    ck_assert_ptr_eq(of, &services[service]);
}

/* ---- room ---- */

GROUP(room, .fixtures = {{set_up, tear_down}});

static const struct {
    uint32_t of_slot, of_service, of_uid;
    uint64_t bytes_of_uid;
    size_t size;
    int r;
} rooms[] = {
    {0, 0, 0, 0, 0, 0},
    {0, 0, 0, 0, 4096, 0},
    {0, QUEUE_MAX, 8, 100, 4096, 0}, /* a slot with nothing in any queue finds room always */
    {1, 1, 1, 0, 0, 0},
    {1, QUEUE_MAX - 17, 1, 0, 0, 0},
    {1, QUEUE_MAX - 16, 1, 0, 0, -EAGAIN}, /* the rest is for root */
    {1, QUEUE_MAX, 1, 0, 0, -EAGAIN},
    {1, QUEUE_MAX + 1, 1, 0, 0, -EAGAIN},
    {1, 1, 7, 0, 0, 0},
    {1, 1, 8, 0, 0, -EAGAIN},
    {1, 1, 9, 0, 0, -EAGAIN},
    {1, 1, 1, 0, 4096, 0}, /* alone, however large */
    {1, 1, 1, 1, 99, 0},
    {1, 1, 1, 1, 100, -EAGAIN},
    {1, 1, 1, 100, 0, 0},
    {1, 1, 1, 100, 1, -EAGAIN},
};

LOOP_TEST(request_finds_room_in_the_queue_and_in_its_uids_share, COUNT_OF(rooms))
{
    slots[0].n_queued = rooms[_i].of_slot;
    services[0].queue.n_items = rooms[_i].of_service;
    accounts[0].n_queued = rooms[_i].of_uid;
    accounts[0].copy_bytes = rooms[_i].bytes_of_uid;

    ck_assert_int_eq(put(0, 0, 0, rooms[_i].size), rooms[_i].r);

    ck_assert_int_eq(room_wish_exists(&services[0], &slots[0]), rooms[_i].r < 0);
    ck_assert_uint_eq(services[0].queue.n_items, rooms[_i].of_service + (rooms[_i].r == 0));
    ck_assert_uint_eq(slots[0].n_queued, rooms[_i].of_slot + (rooms[_i].r == 0));
    ck_assert_uint_eq(accounts[0].n_queued, rooms[_i].of_uid + (rooms[_i].r == 0));
    ck_assert_uint_eq(accounts[0].copy_bytes,
                      rooms[_i].bytes_of_uid + (rooms[_i].r == 0 ? rooms[_i].size : 0));
    ck_assert_ptr_eq(handlers[0].queued, rooms[_i].r == 0 ? &services[0] : NULL);
}

TEST(full_share_of_one_uid_is_no_other_uids)
{
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(put(0, 0, i, 1), 0);
    ck_assert_int_eq(put(0, 0, 8, 1), -EAGAIN);

    ck_assert_int_eq(put(0, SLOTS_PER_UID, 9, 1), 0);
    ck_assert_int_eq(put(0, SLOTS_PER_UID, 10, 1), 0);
}

TEST(caller_that_does_not_wait_makes_no_wish)
{
    services[0].queue.n_items = QUEUE_MAX;
    slots[0].n_queued = 1;
    handlers[0].flags = FIPC_REQUEST_NO_WAIT;

    ck_assert_int_eq(put(0, 0, 0, 1), -EAGAIN);
    ck_assert(!room_wish_exists(&services[0], &slots[0]));
}

TEST(slot_with_too_many_wishes_is_refused_for_that)
{
    services[0].queue.n_items = QUEUE_MAX;
    slots[0].n_queued = 1;
    slots[0].n_room_wishes = 10;

    ck_assert_int_eq(put(0, 0, 0, 1), -EDQUOT);
}

TEST(slot_that_was_refused_stays_behind_until_it_is_notified)
{
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[0], 1), 0);
    ck_assert_int_eq(put(0, 0, 0, 1), -EAGAIN); /* else it would overtake its own request */
    ck_assert_int_eq(put(1, 0, 1, 1), 0);
}

TEST(slots_of_other_accounts_that_wait_are_in_nobodys_way)
{
    services[0].queue.n_items = QUEUE_MAX - 17;
    slots[0].n_queued = 1;
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);

    ck_assert_int_eq(put(0, 0, 0, 1), 0);
}

/* Where others have all but these. */
static const struct {
    uint32_t left;
    int held;
} lefts[] = {{QUEUE_MAX, 100}, {300, 64}, {40, 24}, {17, 1}, {16, 1}, {0, 1}};

LOOP_TEST(account_has_its_share_of_the_queue_whoever_took_the_rest, COUNT_OF(lefts))
{
    int held = 0;

    quota.queued = 100;
    services[0].queue.n_items = QUEUE_MAX - lefts[_i].left;
    while (put(0, 0, held, 0) == 0)
        held++;
    ck_assert_int_eq(held, lefts[_i].held);
}

TEST(root_has_the_last_places)
{
    accounts[0].is_trusted = true;
    quota.queued = 100;
    services[0].queue.n_items = QUEUE_MAX - 16;
    for (int i = 0; i < 16; i++)
        ck_assert_int_eq(put(0, 0, i, 0), 0);
    ck_assert_int_eq(put(0, 0, 16, 0), -EAGAIN);
}

/* While another slot of the uid waits for its share, with a request of 60 bytes. */
static const struct {
    uint32_t of_uid;
    uint64_t bytes_of_uid;
    int r;
} shares[] = {{4, 40, 0}, {5, 40, -EAGAIN}, {4, 41, -EAGAIN}, {1, 0, 0}};

LOOP_TEST(slot_does_not_overtake_those_that_wait_for_the_share, COUNT_OF(shares))
{
    slots[0].n_queued = 1;
    accounts[0].n_queued = shares[_i].of_uid;
    accounts[0].copy_bytes = shares[_i].bytes_of_uid;
    ck_assert_int_eq(room_wish_make(&quota, &services[1], &slots[1], 60), 0);

    ck_assert_int_eq(put(0, 0, 0, 1), shares[_i].r);
}

/* ---- in and out ---- */

GROUP(in_and_out, .fixtures = {{set_up, tear_down}});

TEST(queue_keeps_the_order_of_coming)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(put(0, i, i, 1), 0);
    handlers[3].slot = 3;
    ck_assert_int_eq(queue_keep_copy(&quota, &services[0], &slots[3], &handlers[3], "xx", 2), 0);
    ck_assert_int_eq(queue_put_first(&services[0], &slots[3], &handlers[3]), 0);

    take_out(1); /* from the middle */

    ck_assert_uint_eq(services[0].queue.n_items, 3);
    ck_assert_uint_eq(accounts[0].copy_bytes, 4);
    ck_assert_ptr_eq(queue_first(&services[0]), &handlers[3]);
    ck_assert_ptr_eq(queue_next(&handlers[3]), &handlers[0]);
    ck_assert_ptr_eq(queue_next(&handlers[0]), &handlers[2]);
}

TEST(request_that_is_put_back_needs_no_room)
{
    services[0].queue.n_items = QUEUE_MAX;
    slots[0].n_queued = 1;
    accounts[0].n_queued = 8;

    ck_assert_int_eq(queue_put_first(&services[0], &slots[0], &handlers[0]), 0);

    ck_assert_uint_eq(services[0].queue.n_items, QUEUE_MAX + 1);
    ck_assert_uint_eq(accounts[0].n_queued, 9);
}

TEST(payload_is_copied)
{
    char payload[] = "before";

    ck_assert_int_eq(
        queue_put(&quota, &services[0], &slots[0], &handlers[0], payload, sizeof(payload)), 0);
    memcpy(payload, "after!", sizeof(payload));
    ck_assert_str_eq(handlers[0].request, "before");
}

TEST(wait_for_a_worker_is_no_request)
{
    handlers[0].is_wait = true;
    ck_assert_int_eq(queue_wait(&services[0], &slots[0], &handlers[0]), 0);
    ck_assert_ptr_eq(handlers[0].queued, &services[0]);
    ck_assert_uint_eq(services[0].queue.n_items, 0);
    ck_assert_uint_eq(accounts[0].n_queued, 0);

    take_out(0);
    ck_assert_uint_eq(services[0].waits.n_items, 0);
    ck_assert_ptr_null(handlers[0].queued);
    ck_assert_uint_eq(services[0].queue.n_items, 0);
}

/* ---- which slots are notified ---- */

GROUP(notifying, .fixtures = {{set_up, tear_down}});

TEST(slots_of_all_uids_are_notified_once_the_queue_is_half_empty)
{
    ck_assert_int_eq(put(0, 0, 0, 1), 0);
    services[0].queue.n_items = QUEUE_MAX / 2 + 1; /* others' */
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 2], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[5], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[1], &slots[6], 1), 0);

    take_out(0);

    check_granted(SLOTS - 1, 0); /* the oldest first */
    check_granted(SLOTS - 2, 0);
    check_granted(5, 0);
    ck_assert(TAILQ_EMPTY(&granted));
    ck_assert(room_wish_exists(&services[1], &slots[6]));
}

TEST(no_slot_is_notified_for_each_single_place)
{
    ck_assert_int_eq(put(0, 0, 0, 1), 0);
    services[0].queue.n_items = QUEUE_MAX; /* others' */
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);

    take_out(0);

    ck_assert(TAILQ_EMPTY(&granted));
}

TEST(half_empty_queue_is_no_news_for_a_uid_whose_share_is_not)
{
    ck_assert_int_eq(put(0, 0, 0, 1), 0);
    services[0].queue.n_items = QUEUE_MAX / 2 + 1;
    accounts[1].n_queued = 5; /* more than half */
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS_PER_UID], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);

    take_out(0);

    check_granted(SLOTS - 1, 0);
    ck_assert(TAILQ_EMPTY(&granted));
    ck_assert(room_wish_exists(&services[0], &slots[SLOTS_PER_UID]));
}

TEST(slots_of_a_uid_are_notified_once_its_share_is_half_empty)
{
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(put(0, i % 2, i, 1), 0);
    services[1].queue.n_items = QUEUE_MAX; /* others' */
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[0], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[1], &slots[1], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[2], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);

    take_out(0);
    ck_assert(TAILQ_EMPTY(&granted)); /* five of eight */
    take_out(1);

    check_granted(0, 0);
    check_granted(2, 0);
    ck_assert(TAILQ_EMPTY(&granted));
    ck_assert(room_wish_exists(&services[1], &slots[1])); /* its queue is full */
    ck_assert(room_wish_exists(&services[0], &slots[SLOTS - 1]));
}

TEST(share_is_half_empty_with_room_for_the_largest_refused)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(put(0, 0, i, 30), 0);
    ck_assert_int_eq(put(0, 0, 3, 80), -EAGAIN);

    take_out(0);
    take_out(1);
    ck_assert(TAILQ_EMPTY(&granted)); /* 30 are queued, 80 are wished */
    take_out(2);
    check_granted(0, 0);
}

/* The requests before a worker that is stopped may stay there for ever. */
TEST(slot_with_nothing_left_in_any_queue_is_notified_in_any_case)
{
    for (int i = 0; i < 7; i++)
        ck_assert_int_eq(put(0, 0, i, 1), 0);
    ck_assert_int_eq(put(0, 1, 7, 1), 0);
    ck_assert_int_eq(put(0, 1, 8, 1), -EAGAIN);
    ck_assert_int_eq(put(0, 0, 9, 1), -EAGAIN);
    services[0].queue.n_items = QUEUE_MAX; /* others' */

    take_out(7);

    check_granted(1, 0);
    ck_assert(TAILQ_EMPTY(&granted));
    ck_assert_int_eq(put(0, 1, 8, 1), 0); /* one more than the share */
}

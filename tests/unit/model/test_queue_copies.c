/* SPDX-License-Identifier: MIT */
/* Copies of requests, also of those that a worker has: their bytes are their account's. */
#include "tests/unit/model/queue_fixture.h"

#include <errno.h>

GROUP(copies, .fixtures = {{set_up, tear_down}});

static int keep(int slot, int number, size_t size)
{
    static const char payload[4096];

    handlers[number].slot = (uint32_t)slot;
    return queue_keep_copy(&quota, &services[0], &slots[slot], &handlers[number], payload, size);
}

static void drop(int number)
{
    queue_drop_copy(&quota, caller_of(&handlers[number]), &handlers[number], &granted);
}

TEST(copy_counts_from_its_making_until_it_is_dropped)
{
    ck_assert_int_eq(keep(0, 0, 40), 0);
    ck_assert_uint_eq(accounts[0].copy_bytes, 40);
    ck_assert_uint_eq(slots[0].n_copies, 1);
    ck_assert_int_eq(keep(0, 0, 40), 0); /* it is there already */
    ck_assert_uint_eq(accounts[0].copy_bytes, 40);

    drop(0);
    ck_assert_uint_eq(accounts[0].copy_bytes, 0);
    ck_assert_uint_eq(slots[0].n_copies, 0);
    ck_assert_ptr_null(handlers[0].request);
    drop(0); /* there is none */
    ck_assert_uint_eq(slots[0].n_copies, 0);
}

TEST(copy_of_a_queued_request_counts_once_and_stays_with_the_worker)
{
    ck_assert_int_eq(keep(0, 0, 60), 0);
    slots[0].n_queued = 1;
    ck_assert_int_eq(put(0, 0, 0, 60), 0); /* its bytes have their room already */
    ck_assert_uint_eq(accounts[0].copy_bytes, 60);
    queue_remove(&quota, &slots[0], &handlers[0], &granted);
    ck_assert_uint_eq(accounts[0].copy_bytes, 60);
    drop(0);
    ck_assert_uint_eq(accounts[0].copy_bytes, 0);
}

TEST(request_without_bytes_has_no_copy)
{
    ck_assert_int_eq(keep(0, 0, 0), 0);
    ck_assert_uint_eq(slots[0].n_copies, 0);
}

static const struct {
    uint32_t of_slot;
    uint64_t of_uid;
    size_t size;
    int r;
} rooms[] = {
    {0, 0, 100, 0}, {0, 100, 4096, 0}, /* a slot without any copy finds room always */
    {1, 1, 99, 0},  {1, 1, 100, -EAGAIN}, {1, 100, 0, 0}, {1, 100, 1, -EAGAIN}, {1, 0, 4096, 0},
};

LOOP_TEST(copy_finds_room_in_its_uids_share, COUNT_OF(rooms))
{
    slots[0].n_copies = rooms[_i].of_slot;
    accounts[0].copy_bytes = rooms[_i].of_uid;

    ck_assert_int_eq(keep(0, 0, rooms[_i].size), rooms[_i].r);

    ck_assert_int_eq(room_wish_exists(&services[0], &slots[0]), rooms[_i].r < 0);
    ck_assert_int_eq(handlers[0].request != NULL, rooms[_i].r == 0 && rooms[_i].size > 0);
}

TEST(caller_that_does_not_wait_for_a_copy_makes_no_wish)
{
    ck_assert_int_eq(keep(0, 0, 100), 0);
    handlers[1].flags = FIPC_REQUEST_NO_WAIT;
    ck_assert_int_eq(keep(0, 1, 1), -EAGAIN);
    ck_assert(!room_wish_exists(&services[0], &slots[0]));
}

TEST(slot_is_notified_when_the_copies_are_half_of_the_share)
{
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(keep(0, i, 25), 0);
    ck_assert_int_eq(keep(0, 4, 25), -EAGAIN);

    drop(0);
    ck_assert(TAILQ_EMPTY(&granted));
    drop(1);
    ck_assert_ptr_eq(TAILQ_FIRST(&granted)->slot, &slots[0]);
}

/* Its account's other slots may keep theirs for long. */
TEST(slot_is_notified_when_its_last_copy_is_dropped)
{
    ck_assert_int_eq(keep(1, 0, 90), 0);
    ck_assert_int_eq(keep(0, 1, 10), 0);
    ck_assert_int_eq(keep(0, 2, 10), -EAGAIN);

    drop(1);
    ck_assert_ptr_eq(TAILQ_FIRST(&granted)->slot, &slots[0]);
}

TEST(full_share_of_copies_is_no_other_uids)
{
    ck_assert_int_eq(keep(0, 0, 100), 0);
    ck_assert_int_eq(keep(0, 1, 1), -EAGAIN);
    ck_assert_int_eq(keep(SLOTS_PER_UID, 2, 50), 0);
    ck_assert_int_eq(keep(SLOTS_PER_UID, 3, 50), 0);
}

/* SPDX-License-Identifier: MIT */
/* The wishes of slots for room: three lists and their counts that agree. */
#include "daemon/model/room_wish.h"

#include "daemon/model/account.h"
#include "daemon/model/quota.h"
#include "daemon/model/service.h"
#include "daemon/model/slot.h"
#include "tests/suite.h"

#include <errno.h>

#define SLOTS 3
#define SERVICES 4

static const struct quota quota = {.room_wishes = 5, .room_wishes_per_slot = 3};
static struct account accounts[2];
static struct slot slots[SLOTS]; /* the first two are of one uid */
static struct service services[SERVICES];
static struct room_wish_list granted;

static void set_up(void)
{
    for (int i = 0; i < 2; i++) {
        accounts[i] = (struct account){.uid = 1000 + (uid_t)i};
        TAILQ_INIT(&accounts[i].room_wishes);
    }
    for (int i = 0; i < SLOTS; i++) {
        slots[i] = (struct slot){.index = (uint32_t)i, .account = &accounts[i / 2]};
        TAILQ_INIT(&slots[i].room_wishes);
    }
    for (int i = 0; i < SERVICES; i++) {
        services[i] = (struct service){.index = (uint32_t)i};
        TAILQ_INIT(&services[i].room_wishes);
    }
    TAILQ_INIT(&granted);
}

/* Frees what a case has left. */
static void tear_down(void)
{
    struct service *service;

    while (room_wish_take_granted(&granted, &service) != NULL)
        ;
    for (int i = 0; i < SLOTS; i++)
        room_wish_forget_all(&slots[i]);
    for (int i = 0; i < SERVICES; i++)
        ck_assert(TAILQ_EMPTY(&services[i].room_wishes));
    for (int i = 0; i < 2; i++) {
        ck_assert(TAILQ_EMPTY(&accounts[i].room_wishes));
        ck_assert_uint_eq(accounts[i].n_room_wishes, 0);
        ck_assert_uint_eq(accounts[i].wished_bytes, 0);
    }
}

static int make(int service, int slot, size_t size)
{
    return room_wish_make(&quota, &services[service], &slots[slot], size);
}

/* The next granted one is of this slot, for this service. */
static void check_granted(int slot, int service)
{
    struct service *of = NULL;

    ck_assert_ptr_eq(room_wish_take_granted(&granted, &of), &slots[slot]);
    ck_assert_ptr_eq(of, &services[service]);
}

static void check_nothing_granted(void)
{
    struct service *untouched = &services[0];

    ck_assert_ptr_null(room_wish_take_granted(&granted, &untouched));
    ck_assert_ptr_eq(untouched, &services[0]);
}

GROUP(making, .fixtures = {{set_up, tear_down}});

TEST(wish_is_of_one_slot_for_one_service)
{
    ck_assert(!room_wish_exists(&services[0], &slots[0]));
    ck_assert_int_eq(make(0, 0, 10), 0);

    ck_assert(room_wish_exists(&services[0], &slots[0]));
    ck_assert(!room_wish_exists(&services[0], &slots[1]));
    ck_assert(!room_wish_exists(&services[1], &slots[0]));
    ck_assert_uint_eq(slots[0].n_room_wishes, 1);
    ck_assert_uint_eq(accounts[0].n_room_wishes, 1);
    ck_assert_uint_eq(accounts[1].n_room_wishes, 0);
}

TEST(second_wish_for_the_same_is_the_first)
{
    ck_assert_int_eq(make(0, 0, 10), 0);
    ck_assert_int_eq(make(0, 0, 20), 0);
    ck_assert_uint_eq(slots[0].n_room_wishes, 1);
    ck_assert_uint_eq(accounts[0].n_room_wishes, 1);
}

TEST(slot_makes_as_many_as_its_quota)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(make(i, 0, 1), 0);

    ck_assert_int_eq(make(3, 0, 1), -EDQUOT);
    ck_assert_int_eq(make(2, 0, 1), 0); /* that one is there */
    ck_assert_uint_eq(slots[0].n_room_wishes, 3);
    ck_assert(!room_wish_exists(&services[3], &slots[0]));
}

TEST(uid_makes_as_many_as_its_quota)
{
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(make(i % 3, i / 3, 1), 0);

    ck_assert_int_eq(make(2, 1, 1), -EDQUOT);
    ck_assert_int_eq(make(2, 2, 1), 0); /* another uid */
    ck_assert_uint_eq(accounts[0].n_room_wishes, 5);
    ck_assert_uint_eq(accounts[1].n_room_wishes, 1);
}

TEST(largest_request_counts_while_its_uid_wishes_anything)
{
    ck_assert_int_eq(make(0, 0, 20), 0);
    ck_assert_int_eq(make(0, 0, 30), 0);
    ck_assert_int_eq(make(1, 1, 10), 0);
    ck_assert_uint_eq(accounts[0].wished_bytes, 30);

    room_wish_forget_all(&slots[0]);
    ck_assert_uint_eq(accounts[0].wished_bytes, 30);
    room_wish_forget_all(&slots[1]);
    ck_assert_uint_eq(accounts[0].wished_bytes, 0);
}

TEST(refused_wish_is_not_the_largest)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(make(i, 0, 1), 0);
    ck_assert_int_eq(make(3, 0, 100), -EDQUOT);
    ck_assert_uint_eq(accounts[0].wished_bytes, 1);
}

GROUP(granting, .fixtures = {{set_up, tear_down}});

TEST(all_wishes_for_a_service_are_granted_oldest_first)
{
    ck_assert_int_eq(make(0, 2, 1), 0);
    ck_assert_int_eq(make(1, 0, 1), 0);
    ck_assert_int_eq(make(0, 0, 1), 0);
    ck_assert_int_eq(make(0, 1, 1), 0);

    room_wish_grant_all(&services[0], &granted);

    ck_assert(!room_wish_exists(&services[0], &slots[0]));
    ck_assert(room_wish_exists(&services[1], &slots[0]));
    ck_assert_uint_eq(slots[0].n_room_wishes, 1);
    ck_assert_uint_eq(accounts[0].n_room_wishes, 1);
    ck_assert_uint_eq(accounts[1].n_room_wishes, 0);
    check_granted(2, 0);
    check_granted(0, 0);
    check_granted(1, 0);
    check_nothing_granted();
}

TEST(granted_ones_keep_the_order_of_granting)
{
    ck_assert_int_eq(make(0, 0, 1), 0);
    ck_assert_int_eq(make(1, 0, 1), 0);

    room_wish_grant(TAILQ_FIRST(&services[1].room_wishes), &granted);
    room_wish_grant(TAILQ_FIRST(&services[0].room_wishes), &granted);

    check_granted(0, 1);
    check_granted(0, 0);
    check_nothing_granted();
}

TEST(slot_that_ends_takes_its_wishes_along)
{
    ck_assert_int_eq(make(0, 0, 1), 0);
    ck_assert_int_eq(make(1, 0, 1), 0);
    ck_assert_int_eq(make(0, 1, 1), 0);

    room_wish_forget_all(&slots[0]);
    room_wish_forget_all(&slots[0]);

    ck_assert_uint_eq(slots[0].n_room_wishes, 0);
    room_wish_grant_all(&services[0], &granted);
    room_wish_grant_all(&services[1], &granted);
    check_granted(1, 0);
    check_nothing_granted();
}

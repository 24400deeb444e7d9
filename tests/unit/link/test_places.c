/* SPDX-License-Identifier: MIT */
/* Which numbers a connection's requests get. */
#include "client/link/places.h"
#include "tests/unit/fixture.h"

#define N 64

static struct fipc_places places;

static void make_places(void) { ck_assert_int_eq(fipc_places_init(&places, N), 0); }

static void drop_places(void)
{
    fipc_places_deinit(&places);
    fipc_places_deinit(&places); /* safe twice */
}

GROUP(places, .fixtures = {{make_places, drop_places}});

TEST(each_number_is_taken_once)
{
    for (unsigned n = 0; n < N; n++) {
        ck_assert_uint_eq(fipc_places_left(&places), N - n);
        ck_assert_uint_eq(fipc_places_next(&places), n);
        ck_assert_uint_eq(fipc_places_take(&places), n);
    }
    ck_assert_uint_eq(fipc_places_left(&places), 0);
}

TEST(number_given_back_is_the_next)
{
    for (unsigned n = 0; n < 5; n++)
        (void)fipc_places_take(&places);
    fipc_places_give_back(&places, 3);
    fipc_places_give_back(&places, 1);
    ck_assert_uint_eq(fipc_places_left(&places), N - 3);
    ck_assert_uint_eq(fipc_places_take(&places), 1);
    ck_assert_uint_eq(fipc_places_take(&places), 3);
    ck_assert_uint_eq(fipc_places_take(&places), 5);
}

TEST(numbers_come_and_go_and_are_never_taken_twice)
{
    bool taken[N] = {false};
    unsigned n_taken = 0;

    for (unsigned step = 0; step < 100000; step++) {
        unsigned number = step * 7919 % N; /* some order */

        if (step % 3 != 0 && n_taken < N) {
            number = fipc_places_take(&places);
            EXPECT(number < N && !taken[number]);
            taken[number] = true;
            n_taken++;
        } else if (taken[number]) {
            fipc_places_give_back(&places, (uint16_t)number);
            taken[number] = false;
            n_taken--;
        }
        EXPECT(fipc_places_left(&places) == N - n_taken);
    }
}

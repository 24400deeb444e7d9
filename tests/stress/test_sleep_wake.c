/* SPDX-License-Identifier: MIT */
/* No wake-up is lost: two processes, a million records, pauses before each access to shared memory.
 */
#include "common/clock.h"
#include "tests/stress/two_ends.h"
#include "tests/unit/fixture.h"

#define GIVE_UP_NS (200 * FIPC_NS_PER_S)

static const struct traffic traffics[] = {
    {"ping-pong on futexes", 300000, true, 4096, 2016, SLEEP_ON_FUTEX, SLEEP_ON_FUTEX, GIVE_UP_NS},
    {"ping-pong on lane and eventfd", 100000, true, 65536, 32736, SLEEP_ON_FD, SLEEP_ON_FD,
     GIVE_UP_NS},
    {"ping-pong on either", 100000, true, 4096, 2016, SLEEP_ON_EITHER, SLEEP_ON_EITHER, GIVE_UP_NS},
    {"flood on futexes", 300000, false, 4096, 2016, SLEEP_ON_FUTEX, SLEEP_ON_FUTEX, GIVE_UP_NS},
    {"flood on lane and eventfd", 100000, false, 4096, 2016, SLEEP_ON_FD, SLEEP_ON_FD, GIVE_UP_NS},
    {"flood on either", 100000, false, 8192, 4064, SLEEP_ON_EITHER, SLEEP_ON_EITHER, GIVE_UP_NS},
};

GROUP(two_processes, .timeout = 210, .fixtures = {HOLDINGS_KEPT});

LOOP_TEST(no_wake_up_is_lost_and_every_record_arrives_as_it_was_sent, COUNT_OF(traffics))
{
    struct traffic traffic = traffics[_i];
    struct outcome outcome;

    traffic.n_records = scaled(traffic.n_records);
    outcome = two_ends_run(&traffic);
    two_ends_print(&traffic, &outcome);

    ck_assert_uint_eq(outcome.n_wrong, 0);
    ck_assert_uint_eq(outcome.n_lost_records, 0);
    ck_assert_uint_eq(outcome.n_lost_room, 0);
    ck_assert(!outcome.gave_up);
    ck_assert_uint_eq(outcome.n_taken, 2 * traffic.n_records);
}

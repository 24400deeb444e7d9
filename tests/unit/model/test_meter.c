/* SPDX-License-Identifier: MIT */
/* The longest turn and act count in CPU time: what else the machine did makes them no longer. */
#include "daemon/model/meter.h"
#include "tests/suite.h"

#define US UINT64_C(1000)

static struct meter meter;
static uint64_t now_ns, cpu_ns;
static int n_cpu_looks;

static uint64_t cpu(void)
{
    n_cpu_looks++;
    return cpu_ns;
}

static void work(uint64_t ns)
{
    now_ns += ns;
    cpu_ns += ns;
}

/* Somebody else has the CPU. */
static void lose_cpu(uint64_t ns) { now_ns += ns; }

static void set_up(void)
{
    now_ns = 5000 * US;
    cpu_ns = 77 * US;
    n_cpu_looks = 0;
    meter = (struct meter){.cpu_clock = cpu};
    meter_begin_turn(&meter, now_ns, now_ns + 500 * US);
}

static void act(enum act act, uint64_t before_us, uint64_t away_us, uint64_t after_us)
{
    uint64_t began_ns = now_ns;

    meter_begin_act(&meter, now_ns);
    work(before_us * US);
    lose_cpu(away_us * US);
    work(after_us * US);
    meter_count(&meter, act, began_ns, now_ns);
}

GROUP(meter, .fixtures = {{set_up, NULL}});

TEST(longest_act_is_kept_for_each_kind)
{
    act(ACT_CLOSE, 30, 0, 0);
    act(ACT_CLOSE, 20, 0, 0);
    act(ACT_SEATING, 5, 0, 0);
    ck_assert_uint_eq(meter.acts[ACT_CLOSE].max_ns, 30 * US);
    ck_assert_uint_eq(meter.acts[ACT_CLOSE].n, 2);
    ck_assert_uint_eq(meter.acts[ACT_SEATING].max_ns, 5 * US);
    ck_assert_uint_eq(meter.acts[ACT_GREETING].max_ns, 0);
}

TEST(time_without_the_cpu_makes_no_act_longer)
{
    act(ACT_CLOSE, 30, 9000, 10);
    ck_assert_uint_eq(meter.acts[ACT_CLOSE].max_ns, 40 * US);
    ck_assert_uint_eq(meter.acts[ACT_CLOSE].n_long, 0);
    act(ACT_CLOSE, 50, 0, 0); /* nor is it taken off the next one */
    ck_assert_uint_eq(meter.acts[ACT_CLOSE].max_ns, 50 * US);
}

TEST(time_lost_between_two_acts_makes_the_second_no_longer)
{
    lose_cpu(9000 * US);
    act(ACT_CLOSE, 50, 0, 0);
    ck_assert_uint_le(meter.acts[ACT_CLOSE].max_ns, 50 * US);
}

static const struct {
    uint64_t us;
    uint64_t n_long;
} lengths[] = {{200, 0}, {201, 1}};

LOOP_TEST(act_is_long_beyond_its_limit, COUNT_OF(lengths))
{
    act(ACT_WAKE, 1000, 0, 0); /* long ago, and longer */
    act(ACT_WAKE, lengths[_i].us, 0, 0);
    ck_assert_uint_eq(meter.acts[ACT_WAKE].n_long, 1 + lengths[_i].n_long);
}

TEST(turn_counts_with_all_that_it_did)
{
    work(100 * US);
    lose_cpu(4000 * US);
    work(200 * US);
    meter_end_turn(&meter, now_ns);
    ck_assert_uint_eq(meter.turns.max_ns, 300 * US);
    ck_assert_uint_eq(meter.turns.n_long, 0);
    lose_cpu(50 * US); /* asleep */
    meter_begin_turn(&meter, now_ns, now_ns + 500 * US);
    work(701 * US);
    meter_end_turn(&meter, now_ns);
    ck_assert_uint_eq(meter.turns.max_ns, 701 * US);
    ck_assert_uint_eq(meter.turns.n_long, 1);
    ck_assert_uint_eq(meter.turns.n, 2);
}

TEST(clock_of_the_cpu_is_looked_at_once_a_turn_and_for_what_is_longest)
{
    for (int turn = 0; turn < 100; turn++) {
        meter_begin_turn(&meter, now_ns, now_ns + 500 * US);
        for (int n = 0; n < 100; n++)
            act(ACT_DEADLINE, 1, 0, 0);
        meter_end_turn(&meter, now_ns);
    }
    ck_assert_int_le(n_cpu_looks, 1 + 100 + 2);
}

TEST(acts_count_that_a_turn_began_after_its_end)
{
    act(ACT_CLOSE, 499, 0, 0);
    act(ACT_CLOSE, 1, 0, 0); /* is in time */
    act(ACT_CLOSE, 5, 0, 0);
    act(ACT_WAKE, 5, 0, 0);
    ck_assert_uint_eq(meter.late_max, 0);
    meter_end_turn(&meter, now_ns);
    ck_assert_uint_eq(meter.late_max, 2);
    meter_begin_turn(&meter, now_ns, now_ns + 500 * US);
    act(ACT_CLOSE, 600, 0, 0);
    act(ACT_CLOSE, 5, 0, 0);
    meter_end_turn(&meter, now_ns);
    ck_assert_uint_eq(meter.late_max, 2);
}

TEST(every_kind_has_a_name)
{
    for (enum act kind = 0; kind < ACT_COUNT; kind++)
        ck_assert_ptr_nonnull(act_name(kind));
}

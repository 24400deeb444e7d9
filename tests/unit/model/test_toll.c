/* SPDX-License-Identifier: MIT */
/* What slow system calls on the files of an account lead to, in simulated time. */
#include "daemon/model/toll.h"

#include "common/clock.h"
#include "daemon/base/log.h"
#include "tests/suite.h"

#define US FIPC_NS_PER_US
#define MS FIPC_NS_PER_MS
#define S FIPC_NS_PER_S
#define BEGIN_NS (1000 * S)
#define USUAL_NS (100 * US) /* of a fast machine */
#define ACCOUNTS 64

static struct toll toll;
static struct toll_due dues[ACCOUNTS];
static struct toll_due *due;
static uint64_t now_ns;

static void begin(void)
{
    log_set_level(LOG_ERR);
    toll_init(&toll, 8 * US, 6 * US);
    for (uid_t i = 0; i < ACCOUNTS; i++)
        toll_due_init(&dues[i], 1000 + i);
    due = &dues[0];
    now_ns = BEGIN_NS;
}

static bool allows(void) { return toll_allows(&toll, due, now_ns); }

static void charge(uint64_t cpu_ns) { toll_charge(&toll, due, cpu_ns, now_ns); }

/* Three times, with nothing due afterwards: the next ones are no chance. */
static void be_slow_by_chance(void)
{
    for (int i = 0; i < 3; i++)
        charge(USUAL_NS + 1);
    now_ns += 300;
    ck_assert(allows());
}

/* Each of the first @count accounts makes calls of @cpu_ns as fast as it may. Return: CPU time */
static uint64_t storm(unsigned count, uint64_t cpu_ns, uint64_t span_ns)
{
    uint64_t end_ns = now_ns + span_ns, sum_ns = 0;

    for (; now_ns < end_ns; now_ns += MS) {
        for (unsigned i = 0; i < count; i++) {
            if (!toll_allows(&toll, &dues[i], now_ns))
                continue;
            toll_charge(&toll, &dues[i], cpu_ns, now_ns);
            sum_ns += cpu_ns;
        }
    }
    return sum_ns;
}

GROUP(slow, .fixtures = {{begin, NULL}});

static const struct {
    uint64_t lane_ns, usual_ns;
} machines[] = {
    {0, 100 * US}, /* could not be tried */
    {5 * US, 100 * US},  {25 * US, 100 * US},
    {26 * US, 104 * US}, {150 * US, 600 * US}, /* an emulator */
};

LOOP_TEST(slow_is_what_takes_longer_than_usual_on_this_machine, COUNT_OF(machines))
{
    toll_init(&toll, machines[_i].lane_ns, 0);
    charge(machines[_i].usual_ns);
    ck_assert(!toll_is_due(due, now_ns));
    charge(machines[_i].usual_ns + 1);
    ck_assert(toll_is_due(due, now_ns));
    ck_assert_uint_eq(toll.total.n_slow, 1);
}

/* The price of an excess: a long call holds up more calls of others, each of them longer. */
static const struct {
    uint64_t excess_ns, price_ns;
} prices[] = {
    {1, 1},
    {500 * US, 500 * US},
    {1 * MS, 1 * MS},
    {2 * MS, 4 * MS},
    {3 * MS, 9 * MS},
    {5 * MS, 25 * MS},
    {6 * MS, 30 * MS}, /* all that an account can owe */
    {UINT64_MAX - USUAL_NS, 30 * MS},
};

LOOP_TEST(price_of_a_long_call_is_its_square, COUNT_OF(prices))
{
    be_slow_by_chance();
    charge(USUAL_NS + prices[_i].excess_ns);
    ck_assert_uint_eq(due->due.spent, prices[_i].price_ns);
}

GROUP(debt, .fixtures = {{begin, NULL}});

TEST(account_waits_until_its_debt_is_paid)
{
    be_slow_by_chance();
    charge(USUAL_NS + 4 * MS); /* 16 ms, 6 of them beyond what it had saved */
    ck_assert(!allows());
    ck_assert_uint_eq(toll_until_ns(&toll, due, now_ns), now_ns + 600 * MS);
    now_ns += 600 * MS - 1;
    ck_assert(!allows());
    now_ns += 1;
    ck_assert(allows());
    ck_assert_uint_eq(toll_until_ns(&toll, due, now_ns), now_ns);
    ck_assert_uint_eq(toll.total.n_waits, 1);
}

/* The machine does that now and then. */
static const struct {
    uint64_t cpu_ns;
    int n_by_chance;
} chances[] = {
    {2 * MS, 3}, {4 * MS, 3}, {5 * MS, 2}, {9 * MS, 2}, {10 * MS, 1}, {100 * MS, 1},
};

LOOP_TEST(few_slow_calls_in_ten_seconds_make_nobody_wait, COUNT_OF(chances))
{
    for (int i = 0; i < 100; i++, now_ns += 10 * S) {
        for (int n = 0; n < chances[_i].n_by_chance; n++)
            charge(chances[_i].cpu_ns);
        ck_assert(allows());
        ck_assert_uint_le(toll.due.spent, 10 * MS);
    }
    ck_assert_uint_eq(toll.total.n_waits, 0);
    for (int n = 0; n < 5; n++)
        charge(chances[_i].cpu_ns);
    ck_assert(!allows());
}

TEST(no_other_account_waits)
{
    (void)storm(1, 5 * MS, 2 * S);
    for (unsigned i = 1; i < ACCOUNTS; i++)
        ck_assert(toll_allows(&toll, &dues[i], now_ns));
}

TEST(debt_is_forgotten_by_nobody_for_longer_than_it_lasts)
{
    be_slow_by_chance();
    charge(USUAL_NS + 6 * MS);
    ck_assert_uint_le(toll_until_ns(&toll, due, now_ns), now_ns + 2 * S);
    ck_assert(toll_is_due(due, now_ns + 3 * S - 1));
    ck_assert(!toll_is_due(due, now_ns + 3 * S));
}

/* ---- over time ---- */

GROUP(shares, .fixtures = {{begin, NULL}});

static const uint64_t costs[] = {101 * US, 500 * US, 1 * MS, 3 * MS, 5 * MS, 15 * MS};

LOOP_TEST(account_has_two_per_cent_of_any_second, COUNT_OF(costs))
{
    for (int i = 0; i < 30; i++) {
        uint64_t excess_ns = storm(1, costs[_i], S) / costs[_i] * (costs[_i] - USUAL_NS);

        ck_assert_uint_le(excess_ns, 20 * MS + (i % 10 == 0 ? 2 : 1) * costs[_i]);
    }
}

LOOP_TEST(all_have_ten_per_cent, COUNT_OF(costs))
{
    uint64_t excess_ns;

    (void)storm(ACCOUNTS, costs[_i], S); /* what they had saved */
    excess_ns = storm(ACCOUNTS, costs[_i], 20 * S) / costs[_i] * (costs[_i] - USUAL_NS);
    ck_assert_uint_le(excess_ns, 20 * S / 10);
}

/* An honest account beside a storm, whose calls the machine makes slow now and then. */
TEST(noise_makes_nobody_wait_beside_a_storm)
{
    for (int i = 0; i < 600; i++) {
        due = &dues[0];
        (void)storm(20, 3 * MS, 0);
        for (int j = 1; j <= 20; j++) {
            if (toll_allows(&toll, &dues[j], now_ns))
                toll_charge(&toll, &dues[j], 3 * MS, now_ns);
        }
        charge(USUAL_NS + 100 * US);
        ck_assert(allows());
        now_ns += 100 * MS;
    }
}

/* ---- counters ---- */

GROUP(rows, .fixtures = {{begin, NULL}});

TEST(rows_are_of_those_that_were_slow_last)
{
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        due = &dues[i];
        charge(USUAL_NS + i + 1);
    }
    due = &dues[ACCOUNTS - 2];
    charge(USUAL_NS + 1);
    ck_assert_uint_eq(toll.n_rows, TOLL_ROWS);
    ck_assert_uint_eq(toll.rows[0].uid, due->uid);
    ck_assert_uint_eq(toll.rows[0].n_slow, 2);
    ck_assert_uint_eq(toll.rows[0].slow_cpu_ns, 2 * USUAL_NS + ACCOUNTS);
    ck_assert_uint_eq(toll.rows[1].uid, dues[ACCOUNTS - 1].uid);
    ck_assert_uint_eq(toll.rows[TOLL_ROWS - 1].uid, dues[ACCOUNTS - TOLL_ROWS].uid);
    ck_assert_uint_eq(toll.total.n_slow, ACCOUNTS + 1);
}

/* ---- futexes ---- */

GROUP(futexes, .fixtures = {{begin, NULL}});

static bool wake(struct toll_due *of, uint64_t cpu_ns)
{
    bool is_allowed = toll_allows_futex(&toll, of, now_ns);

    if (is_allowed)
        toll_charge_futex(&toll, of, cpu_ns, now_ns);
    return is_allowed;
}

/* 1000 times a second, 158 us each: the time that they take is bounded, and nothing is owed. */
TEST(slow_futexes_have_a_small_part_of_the_time)
{
    uint64_t sum_ns = 0;

    for (int i = 0; i < 10000; i++, now_ns += MS)
        sum_ns += wake(due, 158 * US) ? 158 * US : 0;
    ck_assert_uint_le(sum_ns, 5 * MS + 10 * S / 200 + 158 * US);
    ck_assert_uint_gt(sum_ns, 10 * S / 200 - 158 * US);
    ck_assert(!toll_is_due(due, now_ns));
    ck_assert(allows());
    ck_assert_uint_eq(toll.total.n_unrung, 10000 - sum_ns / (158 * US));
}

TEST(fast_futexes_are_woken_beside_slow_ones)
{
    for (int i = 0; i < 10000; i++, now_ns += MS) {
        (void)wake(&dues[1], 5 * MS);
        ck_assert(wake(due, 8 * US));
    }
}

TEST(futex_that_is_fast_again_is_woken_each_time)
{
    for (int i = 0; i < 1000; i++)
        (void)wake(due, 158 * US);
    ck_assert(!wake(due, 8 * US));
    now_ns += 2 * S;
    for (int i = 0; i < 1000; i++)
        ck_assert(wake(due, 8 * US));
}

/* Where each takes 150 us nothing is slow. */
TEST(machine_with_slow_wake_ups_wakes_everybody)
{
    toll_init(&toll, 150 * US, 150 * US);
    for (int i = 0; i < 100000; i++, now_ns += 200 * US) {
        ck_assert(wake(due, 150 * US));
        charge(200 * US);
        ck_assert(allows());
    }
    ck_assert_uint_eq(toll.total.n_slow, 0);
}

/* ---- a machine that becomes slow ---- */

GROUP(tests, .fixtures = {{NULL, NULL}});

TEST(toll_wants_a_test_once_for_those_that_had_to_wait)
{
    toll_init(&toll, 0, 0);
    ck_assert(!toll_wants_test(&toll, 1000 * FIPC_NS_PER_S));
    toll.total.n_waits++;
    ck_assert(toll_wants_test(&toll, 1000 * FIPC_NS_PER_S));
    ck_assert(!toll_wants_test(&toll, 1020 * FIPC_NS_PER_S));
    toll.total.n_unrung++;
    ck_assert(toll_wants_test(&toll, 1020 * FIPC_NS_PER_S));
    toll.total.n_unrung++;
    ck_assert(!toll_wants_test(&toll, 1020 * FIPC_NS_PER_S + FIPC_NS_PER_S));
    ck_assert(toll_wants_test(&toll, 1030 * FIPC_NS_PER_S));
}

static const struct {
    uint64_t first_futex_us, lane_us;
    uint64_t usual_us, usual_futex_us;
} learned[] = {
    {0, 150, 600, 600},
    {200, 150, 600, 800}, /* third parties were there when it started */
    {0, 10, 100, 100},
};

LOOP_TEST(toll_learns_from_a_lane_what_is_usual, COUNT_OF(learned))
{
    toll_init(&toll, 0, learned[_i].first_futex_us * FIPC_NS_PER_US);
    toll_learn(&toll, learned[_i].lane_us * FIPC_NS_PER_US);
    ck_assert_uint_eq(toll.usual_ns, learned[_i].usual_us * FIPC_NS_PER_US);
    ck_assert_uint_eq(toll.usual_futex_ns, learned[_i].usual_futex_us * FIPC_NS_PER_US);
}

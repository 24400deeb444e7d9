/* SPDX-License-Identifier: MIT */
/* Looking before sleeping: for how long, and when never. The tests own the clock where the module
 * takes it. */
#include "common/spin.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PROBE_NS (2 * FIPC_NS_PER_US)
#define LIMIT_NS (50 * FIPC_NS_PER_US)
#define PATIENCE_NS (50 * FIPC_NS_PER_US)
#define HOUR_NS (3600 * FIPC_NS_PER_S)

static struct fipc_spin spin;

static void make_spin(void) { fipc_spin_init(&spin, LIMIT_NS, PATIENCE_NS); }

/* Turns of a round that began at @now_ns, @limit of them at most. */
static unsigned count_turns(uint64_t now_ns, unsigned limit)
{
    unsigned n_turns = 0;

    fipc_spin_begin(&spin, now_ns);
    while (n_turns < limit && fipc_spin_again(&spin))
        n_turns++;
    return n_turns;
}

static int count_cpus(cpu_set_t *ret_allowed)
{
    ck_assert_int_eq(sched_getaffinity(0, sizeof(*ret_allowed), ret_allowed), 0);
    return CPU_COUNT(ret_allowed);
}

static void allow_first_cpu_only(const cpu_set_t *allowed)
{
    cpu_set_t first;
    size_t cpu = 0;

    while (!CPU_ISSET(cpu, allowed))
        cpu++;
    CPU_ZERO(&first);
    CPU_SET(cpu, &first);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(first), &first), 0);
}

/* ---- a yield that the test can count, and make long by giving the CPU to somebody ---- */

static int n_yields;
static long yield_ns;
static bool yield_switches;
static long n_switches; /* of the yields */

__attribute__((visibility("default"))) int sched_yield(void)
{
    const struct timespec span = {.tv_nsec = yield_ns};

    n_yields++;
    if (yield_switches)
        n_switches++;
    return yield_ns > 0 ? nanosleep(&span, NULL) : 0;
}

__attribute__((visibility("default"))) int getrusage(int who, struct rusage *usage)
{
    int r = (int)syscall(SYS_getrusage, who, usage);

    usage->ru_nivcsw += n_switches;
    return r;
}

/* ---- the budget ---- */

static void miss(int count)
{
    for (int i = 0; i < count; i++)
        fipc_spin_end(&spin, false);
}

GROUP(budget, .fixtures = {HOLDINGS_KEPT, {make_spin, NULL}});

TEST(few_misses_change_nothing)
{
    miss(7);
    ck_assert_uint_eq(spin.budget_ns, LIMIT_NS);
}

TEST(misses_in_a_row_lead_to_the_probe_and_one_hit_back)
{
    miss(8);
    ck_assert_uint_eq(spin.budget_ns, PROBE_NS);
    fipc_spin_end(&spin, true);
    ck_assert_uint_eq(spin.budget_ns, LIMIT_NS);
    miss(7);
    ck_assert_uint_eq(spin.budget_ns, LIMIT_NS);
}

TEST(full_look_comes_now_and_then)
{
    miss(15);
    ck_assert_uint_eq(spin.budget_ns, PROBE_NS);
    miss(1);
    ck_assert_uint_eq(spin.budget_ns, LIMIT_NS);
    miss(1);
    ck_assert_uint_eq(spin.budget_ns, PROBE_NS);
}

TEST(probe_is_no_longer_than_the_limit)
{
    fipc_spin_init(&spin, PROBE_NS / 2, PATIENCE_NS);
    miss(8);
    ck_assert_uint_eq(spin.budget_ns, PROBE_NS / 2);
}

/* ---- a round ---- */

GROUP(round, .fixtures = {HOLDINGS_KEPT, {make_spin, NULL}});

TEST(limit_of_zero_never_spins)
{
    fipc_spin_init(&spin, 0, PATIENCE_NS);
    ck_assert_uint_eq(count_turns(fipc_now_ns(), 1), 0);
}

TEST(round_ends_soon_after_its_budget)
{
    cpu_set_t allowed;

    if (count_cpus(&allowed) == 1)
        return;
    ck_assert_uint_lt(count_turns(fipc_now_ns() - LIMIT_NS, 100), 100);
}

static long involuntary_switches(void)
{
    struct rusage usage;

    ck_assert_int_eq(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nivcsw;
}

TEST(round_goes_on_within_its_budget)
{
    long before = involuntary_switches();
    cpu_set_t allowed;
    unsigned n_turns;

    if (count_cpus(&allowed) == 1)
        return;
    fipc_spin_init(&spin, HOUR_NS, PATIENCE_NS);
    n_turns = count_turns(fipc_now_ns(), 1000);
    if (involuntary_switches() == before) /* else somebody had use for this CPU */
        ck_assert_uint_eq(n_turns, 1000);
}

TEST(each_round_has_a_budget_of_its_own)
{
    cpu_set_t allowed;

    if (count_cpus(&allowed) == 1)
        return;
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_lt(count_turns(fipc_now_ns() - LIMIT_NS, 100), 100);
        fipc_spin_end(&spin, true);
        ck_assert_uint_eq(count_turns(fipc_now_ns(), 1), 1);
    }
}

TEST(round_ends_at_an_involuntary_context_switch)
{
    cpu_set_t allowed;

    if (count_cpus(&allowed) == 1)
        return;
    fipc_spin_init(&spin, HOUR_NS, PATIENCE_NS);
    fipc_spin_begin(&spin, fipc_now_ns() - FIPC_NS_PER_MS); /* long enough ago to yield */
    spin.involuntary_switches = INT32_MAX;                  /* their number at the last yield */
    for (int i = 0; i < 100; i++)
        if (!fipc_spin_again(&spin))
            return;
    ck_abort_msg("went on");
}

/* Rounds of one yield each, as with somebody else on this CPU, that begin at @now_ns. */
static int count_yields(uint64_t now_ns, bool to_somebody)
{
    n_yields = 0;
    yield_ns = 100000;
    yield_switches = to_somebody;
    for (int i = 0; i < 10; i++) {
        fipc_spin_begin(&spin, now_ns - FIPC_NS_PER_MS); /* long enough ago to yield */
        for (int n = n_yields, turns = 0; n == n_yields && turns < 1000; turns++)
            if (!fipc_spin_again(&spin))
                break;
    }
    return n_yields;
}

/* The process that got the CPU does not give it back soon; a sleeper would have had it back at
 * once. */
TEST(few_yields_may_be_long)
{
    fipc_spin_init(&spin, HOUR_NS, PATIENCE_NS);
    ck_assert_int_eq(count_yields(fipc_now_ns(), true), 4);
    ck_assert_int_eq(count_yields(fipc_now_ns(), true), 0);
}

/* The yields of count_yields() take a little time, and earn a little: so no row is near its edge.
 */
static const struct {
    uint64_t ms, rounds; /* since the last of all long yields */
    int n_yields;
} earned[] = {
    {0, 0, 0},    {300, 0, 0},  {500, 0, 1},     {800, 0, 1},   {1000, 0, 2},
    {1500, 0, 3}, {2000, 0, 4}, {10000, 0, 4},   {0, 500, 0},   {0, 1000, 1},
    {0, 2000, 2}, {0, 4000, 4}, {0, 1000000, 4}, {250, 500, 1}, {500, 1000, 2},
};

LOOP_TEST(time_and_rounds_earn_long_yields, COUNT_OF(earned))
{
    fipc_spin_init(&spin, HOUR_NS, PATIENCE_NS);
    ck_assert_int_eq(count_yields(fipc_now_ns(), true), 4);
    spin.long_yields.refilled_ns -= earned[_i].ms * FIPC_NS_PER_MS;
    fipc_bucket_give(&spin.long_yields, earned[_i].rounds);
    ck_assert_int_eq(count_yields(fipc_now_ns(), true), earned[_i].n_yields);
}

TEST(long_yields_come_back_two_a_second)
{
    fipc_spin_init(&spin, HOUR_NS, PATIENCE_NS);
    (void)count_yields(fipc_now_ns(), true);
    spin.long_yields.refilled_ns -= FIPC_NS_PER_S;
    ck_assert_int_eq(count_yields(fipc_now_ns(), true), 2);
    spin.long_yields.refilled_ns = 0;
    ck_assert_int_eq(count_yields(fipc_now_ns(), true), 4);
}

/* Where a round in a thousand is hit nobody needs to care. */
TEST(a_thousand_rounds_may_have_one_more)
{
    fipc_spin_init(&spin, HOUR_NS, PATIENCE_NS);
    (void)count_yields(fipc_now_ns(), true);
    fipc_bucket_give(&spin.long_yields, 1000);
    ck_assert_int_eq(count_yields(fipc_now_ns(), true), 1);
}

TEST(yields_within_patience_are_not_long)
{
    fipc_spin_init(&spin, HOUR_NS, FIPC_NS_PER_S);
    ck_assert_int_eq(count_yields(fipc_now_ns(), true), 10);
}

/* A virtual machine whose host is busy. */
TEST(yields_that_gave_the_cpu_to_nobody_are_not_long)
{
    fipc_spin_init(&spin, HOUR_NS, PATIENCE_NS);
    ck_assert_int_eq(count_yields(fipc_now_ns(), false), 10);
}

TEST(short_yields_go_on)
{
    fipc_spin_init(&spin, HOUR_NS, PATIENCE_NS);
    n_yields = 0;
    yield_ns = 0;
    (void)count_turns(fipc_now_ns(), 1000);
    ck_assert_int_gt(n_yields, 10);
}

TEST(cpu_that_this_thread_is_bound_to_may_be_another_than_the_peers)
{
    cpu_set_t allowed;

    if (count_cpus(&allowed) == 1)
        return;
    allow_first_cpu_only(&allowed);
    fipc_spin_init(&spin, LIMIT_NS, PATIENCE_NS);
    ck_assert_uint_eq(count_turns(fipc_now_ns(), 1), 1);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
}

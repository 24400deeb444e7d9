/* SPDX-License-Identifier: MIT */
/* What costly wake-ups lead to, in simulated time. */
#include "daemon/model/wake_cost.h"

#include "common/clock.h"
#include "tests/suite.h"

#define US FIPC_NS_PER_US
#define MS FIPC_NS_PER_MS
#define S FIPC_NS_PER_S

#define HANDLER_NS (30 * S)
#define BEGIN_NS (1000 * S)

static struct wake_cost cost;
static uint64_t costly_ns; /* of the one client */
static uint64_t now_ns;

static void begin(void)
{
    cost = (struct wake_cost){.was_costly = false};
    costly_ns = 0;
    now_ns = BEGIN_NS;
}

static enum wake_verdict wake(uint64_t cpu_ns)
{
    return wake_cost_charge(&cost, &costly_ns, cpu_ns, HANDLER_NS, now_ns);
}

static uint64_t rest_ns(void)
{
    uint64_t until_ns = wake_cost_rest_until_ns(&cost, now_ns);

    return until_ns > now_ns ? until_ns - now_ns : 0;
}

/* ---- one wake-up ---- */

GROUP(one_wake_up, .fixtures = {{begin, NULL}});

/* A uid may owe 2 ms without a rest; each nanosecond beyond that is 32 of rest. */
static const struct {
    uint64_t cpu_ns, due_ns;
    enum wake_verdict verdict;
} first[] = {
    {0, 0, WAKE_PASS},
    {1, 0, WAKE_PASS},
    {20 * US, 0, WAKE_PASS},
    {20 * US + 1, 1, WAKE_PASS},
    {100 * US, 80 * US, WAKE_PASS},
    {100 * US + 1, 80 * US + 1, WAKE_PASS},
    {2 * MS + 20 * US, 2 * MS, WAKE_PASS},
    {2 * MS + 20 * US + 1, 2 * MS + 1, WAKE_REST},
    {10 * MS, 10 * MS - 20 * US, WAKE_REST},
    {10 * MS + 20 * US, 10 * MS, WAKE_REST},
    {UINT64_MAX, 10 * MS, WAKE_REST},
};

LOOP_TEST(first_costs_what_it_took_beyond_the_usual, COUNT_OF(first))
{
    ck_assert_int_eq(wake(first[_i].cpu_ns), first[_i].verdict);
    ck_assert_uint_eq(cost.due.spent, first[_i].due_ns);
    ck_assert_uint_eq(rest_ns(), first[_i].due_ns > 2 * MS ? (first[_i].due_ns - 2 * MS) * 32 : 0);
    ck_assert_int_eq(cost.watched_until_ns != 0, first[_i].due_ns == 10 * MS);
}

/* Right after a first one of 101 us, for which 81 us are due. */
static const struct {
    uint64_t cpu_ns, price_ns;
    enum wake_verdict verdict;
} second[] = {
    {20 * US, 0, WAKE_PASS},
    {40 * US, 20 * US, WAKE_PASS}, /* as a first one: the row ended */
    {100 * US, 80 * US, WAKE_PASS},
    {100 * US + 20, 500200, WAKE_PASS}, /* its square, in units of the usual */
    {200 * US, 2000 * US, WAKE_REST},
    {400 * US, 8000 * US, WAKE_REST},
    {10 * MS, 10 * MS, WAKE_REST},
    {UINT64_MAX, 10 * MS, WAKE_REST},
};

LOOP_TEST(second_in_a_row_costs_its_square, COUNT_OF(second))
{
    uint64_t due_ns = 81 * US + second[_i].price_ns;

    (void)wake(101 * US);
    ck_assert_int_eq(wake(second[_i].cpu_ns), second[_i].verdict);
    ck_assert_uint_eq(cost.due.spent, due_ns < 10 * MS ? due_ns : 10 * MS);
}

TEST(what_was_paid_off_long_ago_begins_no_row)
{
    (void)wake(101 * US);
    now_ns += 81 * US * 32;
    (void)wake(200 * US);
    ck_assert_uint_eq(cost.due.spent, 180 * US);
    ck_assert_uint_eq(costly_ns, now_ns);
}

TEST(wake_up_at_the_edge_begins_no_row)
{
    (void)wake(100 * US);
    (void)wake(200 * US);
    ck_assert_uint_eq(cost.due.spent, 80 * US + 180 * US);
}

TEST(row_of_one_client_goes_on_with_the_next_of_its_uid)
{
    uint64_t others_costly_ns = 0;

    (void)wake(101 * US);
    (void)wake_cost_charge(&cost, &others_costly_ns, 200 * US, HANDLER_NS, now_ns);
    ck_assert_uint_eq(cost.due.spent, 81 * US + 2000 * US);
}

TEST(other_uid_owes_nothing)
{
    struct wake_cost other = {.was_costly = false};
    uint64_t others_costly_ns = 0;

    (void)wake(UINT64_MAX);
    ck_assert(!wake_cost_is_due(&other, now_ns));
    ck_assert_uint_le(wake_cost_rest_until_ns(&other, now_ns), now_ns);
    ck_assert_int_eq(wake_cost_charge(&other, &others_costly_ns, 200 * US, HANDLER_NS, now_ns),
                     WAKE_PASS);
}

/* ---- debts and rests ---- */

GROUP(debts, .fixtures = {{begin, NULL}});

TEST(debt_is_paid_by_a_thirty_second_part_of_the_time)
{
    (void)wake(1020 * US);
    ck_assert(wake_cost_is_due(&cost, now_ns));
    ck_assert(wake_cost_is_due(&cost, now_ns + 32 * MS - 1));
    ck_assert(!wake_cost_is_due(&cost, now_ns + 32 * MS));
}

TEST(rest_is_over_when_two_milliseconds_are_due)
{
    (void)wake(5 * MS);
    now_ns = wake_cost_rest_until_ns(&cost, now_ns);
    ck_assert_uint_eq(rest_ns(), 0);
    ck_assert_uint_eq(cost.due.spent, 2 * MS);
    ck_assert_uint_eq(now_ns, BEGIN_NS + (5 * MS - 20 * US - 2 * MS) * 32);
}

TEST(clock_that_stands_still_pays_nothing)
{
    (void)wake(5 * MS);
    now_ns -= MS;
    ck_assert(wake_cost_is_due(&cost, now_ns));
    ck_assert_uint_eq(cost.due.spent, 5 * MS - 20 * US);
}

/* ---- watched ---- */

GROUP(watched, .fixtures = {{begin, NULL}});

static void become_watched(void)
{
    (void)wake(20 * MS);
    ck_assert_uint_eq(cost.watched_until_ns, now_ns + 10 * S);
}

TEST(watched_uid_is_due_until_it_is_watched_no_more)
{
    become_watched();
    ck_assert(wake_cost_is_due(&cost, BEGIN_NS + 10 * S - 1)); /* all is paid by then */
    ck_assert_uint_eq(cost.due.spent, 0);
    ck_assert(!wake_cost_is_due(&cost, BEGIN_NS + 10 * S));
}

static const struct {
    uint64_t after_ns, cpu_ns, rest_ns;
} while_watched[] = {
    {S, 100 * US, 0},
    {S, 100 * US + 1, S - 64 * MS}, /* a second, less what may be due without a rest */
    {10 * S - 1, 100 * US + 1, S - 64 * MS},
    {10 * S, 100 * US + 1, 0},
    {10 * S, 200 * US, 0},
};

LOOP_TEST(each_costly_one_of_a_watched_uid_is_a_second_of_rest, COUNT_OF(while_watched))
{
    become_watched();
    now_ns += while_watched[_i].after_ns;
    ck_assert_int_eq(wake(while_watched[_i].cpu_ns),
                     while_watched[_i].rest_ns > 0 ? WAKE_REST : WAKE_PASS);
    ck_assert_uint_eq(rest_ns(), while_watched[_i].rest_ns);
}

/* ---- too costly ---- */

GROUP(too_costly, .fixtures = {{begin, NULL}});

TEST(client_that_is_costly_for_a_whole_handler_ms_is_closed)
{
    enum wake_verdict verdict = WAKE_REST;

    while (verdict != WAKE_TOO_COSTLY) {
        ck_assert_uint_le(now_ns - BEGIN_NS, HANDLER_NS + 2 * S);
        verdict = wake(500 * US);
        ck_assert(verdict != WAKE_TOO_COSTLY || now_ns - BEGIN_NS >= HANDLER_NS);
        now_ns += rest_ns() + MS;
    }
}

TEST(one_cheap_wake_up_begins_the_count_anew)
{
    (void)wake(5 * MS);
    now_ns += HANDLER_NS - 1;
    cost.due.spent = 9 * MS; /* others of its uid were costly meanwhile */
    ck_assert_int_eq(wake(20 * US), WAKE_PASS);
    ck_assert_uint_eq(costly_ns, 0);
    now_ns += 1;
    ck_assert_int_eq(wake(5 * MS), WAKE_REST);
}

static const struct {
    uint64_t after_ns;
    enum wake_verdict verdict;
} spans[] = {
    {0, WAKE_REST},
    {1, WAKE_REST},
    {HANDLER_NS - 1, WAKE_REST},
    {HANDLER_NS, WAKE_TOO_COSTLY},
    {HANDLER_NS + 1, WAKE_TOO_COSTLY},
};

LOOP_TEST(span_of_costly_wake_ups_is_measured_from_the_first, COUNT_OF(spans))
{
    (void)wake(5 * MS);
    now_ns += spans[_i].after_ns;
    cost.due = (struct fipc_bucket){.spent = 9 * MS, .refilled_ns = now_ns}; /* it still owes */
    ck_assert_int_eq(wake(5 * MS), spans[_i].verdict);
}

/* ---- over a long time ---- */

GROUP(long_time, .timeout = 30, .fixtures = {{begin, NULL}});

#define STEPS 1000000

/* CPU time of the broker, of many wake-ups that come as fast as the rests allow. */
static uint64_t wake_up_all_the_time(uint64_t cpu_ns)
{
    uint64_t spent_ns = 0;

    for (int i = 0; i < STEPS / 10; i++) {
        (void)wake(cpu_ns);
        spent_ns += cpu_ns;
        now_ns += rest_ns() + cpu_ns;
    }
    return spent_ns;
}

static const struct {
    uint64_t cpu_ns, one_in; /* of the time, at the most */
} loads[] = {
    {21 * US, 1}, {30 * US, 10}, {100 * US, 25}, {101 * US, 160}, {432 * US, 2000}, {5 * MS, 170},
};

LOOP_TEST(attacker_has_a_small_part_of_the_broker, COUNT_OF(loads))
{
    uint64_t spent_ns = wake_up_all_the_time(loads[_i].cpu_ns);

    ck_assert_uint_le(spent_ns * loads[_i].one_in, now_ns - BEGIN_NS);
}

TEST(usual_wake_ups_never_cost_anything)
{
    for (int i = 0; i < STEPS; i++) {
        REQUIRE(wake((uint64_t)i % (20 * US + 1)) == WAKE_PASS);
        now_ns += US;
    }
    ck_assert(!wake_cost_is_due(&cost, now_ns));
}

/* A slow machine: each thousandth wake-up takes a hiccup of 2 ms, among usual ones. */
TEST(honest_client_on_a_slow_machine_never_rests)
{
    for (int i = 0; i < STEPS; i++) {
        REQUIRE(wake(i % 1000 == 0 ? 2 * MS : 15 * US) == WAKE_PASS);
        now_ns += 100 * US;
    }
}

/* SPDX-License-Identifier: MIT */
#include "daemon/model/toll.h"

#include "common/clock.h"
#include "daemon/base/log.h"

#include <string.h>

/* A call is slow if it takes more than SLOW_TIMES what it usually takes, and more than SLOW_MIN_NS:
 * an interrupt to an idle CPU is in that. */
#define SLOW_TIMES 4
#define SLOW_MIN_NS (100 * FIPC_NS_PER_US)
/* A few slow calls in that time may be the machine's doing: they lead to no debt. */
#define WINDOW_NS (10 * FIPC_NS_PER_S)
#define BY_CHANCE_MAX 3
#define BY_CHANCE_CPU_NS (10 * FIPC_NS_PER_MS)
/* Between two tests of what a wake-up takes. */
#define TEST_PAUSE_NS (10 * FIPC_NS_PER_S)
/* A longer one holds up more calls of others, and each of them longer: its price grows with its
 * square (Pollaczek, Khinchine). */
#define LONG_NS FIPC_NS_PER_MS

/* Tokens are nanoseconds. A debt of an account is paid within two seconds. */
static const struct fipc_budget of_account = {
    .tokens_max = 10 * FIPC_NS_PER_MS,
    .spent_max = 30 * FIPC_NS_PER_MS,
    .ns_per_token = 100,
};
/* While all together are in debt. An account that the machine alone makes slow pays it all the
 * same. */
static const struct fipc_budget of_account_among_many = {
    .tokens_max = 10 * FIPC_NS_PER_MS,
    .spent_max = 30 * FIPC_NS_PER_MS,
    .ns_per_token = 800,
};
static const struct fipc_budget of_all = {
    .tokens_max = 50 * FIPC_NS_PER_MS,
    .spent_max = 5 * FIPC_NS_PER_S,
    .ns_per_token = 20,
};
static const struct fipc_budget of_futexes = {
    .tokens_max = 5 * FIPC_NS_PER_MS,
    .spent_max = 10 * FIPC_NS_PER_MS,
    .ns_per_token = 200,
};

static uint64_t usual(uint64_t measured_ns)
{
    uint64_t usual_ns = measured_ns * SLOW_TIMES;

    return usual_ns > SLOW_MIN_NS ? usual_ns : SLOW_MIN_NS;
}

void toll_init(struct toll *toll, uint64_t lane_ns, uint64_t futex_ns)
{
    *toll = (struct toll){.usual_ns = usual(lane_ns),
                          .usual_futex_ns = usual(futex_ns),
                          .first_futex_ns = usual(futex_ns)};
}

bool toll_wants_test(struct toll *toll, uint64_t now_ns)
{
    uint64_t n_limited = toll->total.n_waits + toll->total.n_unrung;

    if (n_limited == toll->n_limited || now_ns < toll->test_after_ns)
        return false;
    toll->n_limited = n_limited;
    toll->test_after_ns = now_ns + TEST_PAUSE_NS;
    return true;
}

void toll_learn(struct toll *toll, uint64_t lane_ns)
{
    toll->usual_ns = usual(lane_ns);
    toll->usual_futex_ns =
        toll->usual_ns > toll->first_futex_ns ? toll->usual_ns : toll->first_futex_ns;
}

void toll_due_init(struct toll_due *due, uid_t uid) { *due = (struct toll_due){.uid = uid}; }

/* ---- counters ---- */

/* Return: the account's row, the first one; the row of the account that was slow longest ago is
 * lost */
static struct toll_row *row_of(struct toll *toll, uid_t uid)
{
    struct toll_row row = {.uid = uid};
    unsigned i = 0;

    while (i < toll->n_rows && toll->rows[i].uid != uid)
        i++;
    if (i < toll->n_rows)
        row = toll->rows[i];
    else if (toll->n_rows < TOLL_ROWS)
        toll->n_rows++;
    else
        i--;
    memmove(&toll->rows[1], &toll->rows[0], i * sizeof(row));
    toll->rows[0] = row;
    return &toll->rows[0];
}

static void count_slow(struct toll *toll, const struct toll_due *due, uint64_t cpu_ns)
{
    struct toll_row *row = row_of(toll, due->uid);

    row->n_slow++;
    row->slow_cpu_ns += cpu_ns;
    toll->total.n_slow++;
    toll->total.slow_cpu_ns += cpu_ns;
}

/* ---- an account's files ---- */

static const struct fipc_budget *budget(const struct toll *toll)
{
    return fipc_bucket_holds(&toll->due, &of_all, 0) ? &of_account : &of_account_among_many;
}

static uint64_t price(uint64_t excess_ns)
{
    if (excess_ns <= LONG_NS)
        return excess_ns;
    return excess_ns < of_all.spent_max ? excess_ns * excess_ns / LONG_NS : of_all.spent_max;
}

static void begin_to_wait(struct toll *toll, struct toll_due *due)
{
    const struct log_subject subject = {.slot = -1, .uid = due->uid, .pid = 0};

    due->waits = true;
    row_of(toll, due->uid)->n_waits++;
    toll->total.n_waits++;
    if (!due->is_logged)
        log_event(LOG_WARNING, LOG_EVENT_COSTLY, &subject,
                  "its clients are served rarely: waking them is too slow");
    due->is_logged = true;
}

bool toll_allows(struct toll *toll, struct toll_due *due, uint64_t now_ns)
{
    fipc_bucket_refill(&toll->due, &of_all, now_ns);
    fipc_bucket_refill(&due->due, budget(toll), now_ns);
    if (fipc_bucket_holds(&due->due, &of_account, 0)) {
        due->waits = false;
        return true;
    }
    if (!due->waits)
        begin_to_wait(toll, due);
    return false;
}

uint64_t toll_until_ns(struct toll *toll, struct toll_due *due, uint64_t now_ns)
{
    uint64_t debt_ns;

    if (toll_allows(toll, due, now_ns))
        return now_ns;
    debt_ns = fipc_bucket_debt_ns(&due->due, budget(toll));
    return due->due.refilled_ns + debt_ns;
}

/* Return: whether a slow call may be the machine's doing */
static bool is_by_chance(struct toll_due *due, uint64_t cpu_ns, uint64_t now_ns)
{
    bool may_be;

    if (due->n_in_window == 0 || now_ns - due->window_ns >= WINDOW_NS) {
        due->window_ns = now_ns;
        due->n_in_window = 0;
        due->cpu_in_window_ns = 0;
    }
    may_be = due->n_in_window < BY_CHANCE_MAX && due->cpu_in_window_ns < BY_CHANCE_CPU_NS;
    due->n_in_window++;
    due->cpu_in_window_ns += cpu_ns;
    return may_be;
}

/* Takes @tokens, or what the account has if it may not get into debt. */
static void take(struct toll *toll, struct toll_due *due, uint64_t tokens, bool may_owe)
{
    uint64_t left =
        fipc_bucket_holds(&due->due, &of_account, 0) ? of_account.tokens_max - due->due.spent : 0;

    if (!may_owe && tokens > left)
        tokens = left;
    fipc_bucket_take(&due->due, &of_account, tokens);
    fipc_bucket_take(&toll->due, &of_all, tokens);
}

void toll_charge(struct toll *toll, struct toll_due *due, uint64_t cpu_ns, uint64_t now_ns)
{
    bool may_owe;

    if (cpu_ns <= toll->usual_ns)
        return;
    fipc_bucket_refill(&toll->due, &of_all, now_ns);
    fipc_bucket_refill(&due->due, budget(toll), now_ns);
    may_owe = !is_by_chance(due, cpu_ns, now_ns) || !fipc_bucket_holds(&toll->due, &of_all, 0);
    take(toll, due, price(cpu_ns - toll->usual_ns), may_owe);
    count_slow(toll, due, cpu_ns);
}

bool toll_is_due(struct toll_due *due, uint64_t now_ns)
{
    fipc_bucket_refill(&due->due, &of_account, now_ns);
    return due->due.spent > 0;
}

/* ---- futexes ---- */

bool toll_allows_futex(struct toll *toll, struct toll_due *due, uint64_t now_ns)
{
    if (!due->futex_was_slow)
        return true;
    fipc_bucket_refill(&toll->futexes, &of_futexes, now_ns);
    if (fipc_bucket_holds(&toll->futexes, &of_futexes, 0))
        return true;
    row_of(toll, due->uid)->n_unrung++;
    toll->total.n_unrung++;
    return false;
}

void toll_charge_futex(struct toll *toll, struct toll_due *due, uint64_t cpu_ns, uint64_t now_ns)
{
    due->futex_was_slow = cpu_ns > toll->usual_futex_ns;
    if (!due->futex_was_slow)
        return;
    fipc_bucket_refill(&toll->futexes, &of_futexes, now_ns);
    fipc_bucket_take(&toll->futexes, &of_futexes, cpu_ns);
    count_slow(toll, due, cpu_ns);
}

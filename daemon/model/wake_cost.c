/* SPDX-License-Identifier: MIT */
#include "daemon/model/wake_cost.h"

#include "common/clock.h"

/* A wake-up that costs no more is what wake-ups cost: an interrupt to another CPU included. */
#define USUAL_NS (20 * FIPC_NS_PER_US)
/* No client's wake-up costs that much by chance, time after time. */
#define COSTLY_NS (100 * FIPC_NS_PER_US)
/* A uid that owed as much as it can is watched for a while: each costly wake-up is followed by a
 * second of rest. */
#define WATCHED_NS (10 * FIPC_NS_PER_S)
#define WATCHED_DUE_NS (FIPC_NS_PER_S / 32)

/* Of each uid: one nanosecond in 32. Two milliseconds may be due before its clients rest, ten at
 * the most: on a machine that is slow with everything no client must rest for ever. */
static const struct fipc_budget budget = {
    .tokens_max = 2 * FIPC_NS_PER_MS,
    .spent_max = 10 * FIPC_NS_PER_MS,
    .ns_per_token = 32,
};

bool wake_cost_is_due(struct wake_cost *cost, uint64_t now_ns)
{
    fipc_bucket_refill(&cost->due, &budget, now_ns);
    return cost->due.spent > 0 || now_ns < cost->watched_until_ns;
}

uint64_t wake_cost_rest_until_ns(struct wake_cost *cost, uint64_t now_ns)
{
    fipc_bucket_refill(&cost->due, &budget, now_ns);
    return cost->due.refilled_ns + fipc_bucket_debt_ns(&cost->due, &budget);
}

/* A long wake-up holds up more calls, and each of them longer: the wait of others grows with its
 * square (Pollaczek, Khinchine). One alone may be the machine's doing. */
static uint64_t price(uint64_t cpu_ns, bool is_first)
{
    if (is_first)
        return cpu_ns - USUAL_NS;
    return cpu_ns < budget.spent_max ? cpu_ns * cpu_ns / USUAL_NS : budget.spent_max;
}

static void charge(struct wake_cost *cost, uint64_t cpu_ns, bool is_first, uint64_t now_ns)
{
    if (cpu_ns > COSTLY_NS && now_ns < cost->watched_until_ns) {
        cost->due.spent = WATCHED_DUE_NS;
        return;
    }
    fipc_bucket_take(&cost->due, &budget, price(cpu_ns, is_first));
    if (cost->due.spent == budget.spent_max)
        cost->watched_until_ns = now_ns + WATCHED_NS;
}

enum wake_verdict wake_cost_charge(struct wake_cost *cost, uint64_t *costly_ns, uint64_t cpu_ns,
                                   uint64_t costly_max_ns, uint64_t now_ns)
{
    fipc_bucket_refill(&cost->due, &budget, now_ns);
    /* a costly wake-up long ago does not count as part of a series */
    if (cpu_ns <= COSTLY_NS || cost->due.spent == 0) {
        *costly_ns = 0;
        cost->was_costly = false;
    }
    if (cpu_ns <= USUAL_NS)
        return WAKE_PASS;
    charge(cost, cpu_ns, *costly_ns == 0 && !cost->was_costly, now_ns);
    if (cpu_ns > COSTLY_NS && *costly_ns == 0)
        *costly_ns = now_ns;
    cost->was_costly = cpu_ns > COSTLY_NS;
    if (fipc_bucket_holds(&cost->due, &budget, 0))
        return WAKE_PASS;
    return *costly_ns != 0 && now_ns - *costly_ns >= costly_max_ns ? WAKE_TOO_COSTLY : WAKE_REST;
}

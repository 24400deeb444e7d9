/* SPDX-License-Identifier: MIT */
#include "daemon/model/wake_cost.h"

#include "common/clock.h"
#include "daemon/model/core.h"

#include <time.h>

/* A wake-up that costs no more is what wake-ups cost: an interrupt to another CPU included. */
#define USUAL_NS (20 * FIPC_NS_PER_US)
/* Nobody's wake-up costs that much by chance, time after time. */
#define COSTLY_NS (100 * FIPC_NS_PER_US)
/* A uid's budget: one nanosecond in so many. */
#define BUDGET_SHARE 32
/* It may be that far behind before its clients rest. */
#define DUE_NS_MAX (2 * FIPC_NS_PER_MS)
/* No more is ever due: on a machine that is slow with everything nobody must rest for ever. */
#define DUE_NS_LIMIT (10 * FIPC_NS_PER_MS)
/* A uid that owed so much is watched for a while: each costly wake-up is followed by a second of
 * rest. */
#define WATCHED_NS (10 * FIPC_NS_PER_S)
#define WATCHED_DUE_NS (FIPC_NS_PER_S / BUDGET_SHARE)

uint64_t toll_cpu_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * FIPC_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void pay_off(struct toll *toll, uint64_t now_ns)
{
    uint64_t paid_ns = (now_ns - toll->paid_ns) / BUDGET_SHARE;

    toll->due_ns = toll->due_ns > paid_ns ? toll->due_ns - paid_ns : 0;
    toll->paid_ns = now_ns;
}

bool toll_is_due(struct toll *toll, uint64_t now_ns)
{
    if (toll->due_ns > 0)
        pay_off(toll, now_ns);
    return toll->due_ns > 0 || now_ns < toll->watched_until_ns;
}

/* A long wake-up holds up more calls, and each of them longer: the wait of others grows with its
 * square (Pollaczek, Khinchine). One alone may be the machine's doing. */
static void charge(struct toll *toll, const struct slot *slot, uint64_t cpu_ns, uint64_t now_ns)
{
    bool is_first = slot->costly_ns == 0 && !toll->was_costly;

    if (cpu_ns > COSTLY_NS && now_ns < toll->watched_until_ns) {
        toll->due_ns = WATCHED_DUE_NS;
        return;
    }
    if (is_first)
        toll->due_ns += cpu_ns - USUAL_NS;
    else
        toll->due_ns += cpu_ns < DUE_NS_LIMIT ? cpu_ns * cpu_ns / USUAL_NS : DUE_NS_LIMIT;
    if (toll->due_ns >= DUE_NS_LIMIT) {
        toll->due_ns = DUE_NS_LIMIT;
        toll->watched_until_ns = now_ns + WATCHED_NS;
    }
}

static void rest(struct core *core, struct slot *slot, uint64_t now_ns)
{
    slot->rest_until_ns = now_ns + (slot->account->toll.due_ns - DUE_NS_MAX) * BUDGET_SHARE;
    core_set_slot_deadline(core, slot);
}

void toll_welcome(struct core *core, struct slot *slot)
{
    struct toll *toll = &slot->account->toll;

    pay_off(toll, core->now_ns);
    if (toll->due_ns > DUE_NS_MAX)
        rest(core, slot, core->now_ns);
}

void toll_charge(struct core *core, struct slot *slot, uint64_t cpu_ns)
{
    uint64_t now_ns = core->now_ns;
    struct toll *toll = &slot->account->toll;

    pay_off(toll, now_ns);
    if (cpu_ns <= COSTLY_NS || toll->due_ns == 0) { /* what was long ago is no row */
        slot->costly_ns = 0;
        toll->was_costly = false;
    }
    if (cpu_ns <= USUAL_NS)
        return;
    charge(toll, slot, cpu_ns, now_ns);
    if (cpu_ns > COSTLY_NS && slot->costly_ns == 0)
        slot->costly_ns = now_ns;
    toll->was_costly = cpu_ns > COSTLY_NS;
    if (toll->due_ns <= DUE_NS_MAX)
        return;
    if (slot->costly_ns != 0 &&
        now_ns - slot->costly_ns >= core->config->timeouts.handler_ms * FIPC_NS_PER_MS)
        slot_end(&core->slots, slot, FIPC_REASON_TOO_SLOW);
    else
        rest(core, slot, now_ns);
}

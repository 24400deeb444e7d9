/* SPDX-License-Identifier: MIT */
#include "common/spin.h"

#include "common/clock.h"
#include "common/os/os.h"

#define PROBE_NS (2 * FIPC_NS_PER_US)
#define YIELD_AFTER_NS (1 * FIPC_NS_PER_US)
/* A single miss says little: the probe begins after MISSES_MAX, and every FULL_LOOK_EVERY rounds
 * there is a full look. */
#define MISSES_MAX 8
#define FULL_LOOK_EVERY 16
#define TURNS_PER_CLOCK_LOOK 8
/* Each round that comes to the point of yielding earns a token, and time earns two long yields a
 * second; four of them may follow one another. */
#define LONG_YIELD_TOKENS UINT64_C(1000)
static const struct fipc_budget long_yields = {
    .tokens_max = 4 * LONG_YIELD_TOKENS,
    .spent_max = 4 * LONG_YIELD_TOKENS,
    .ns_per_token = 500 * FIPC_NS_PER_MS / LONG_YIELD_TOKENS,
};

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

void fipc_spin_init(struct fipc_spin *spin, uint64_t limit_ns, uint64_t patience_ns)
{
    uint64_t useful_ns = fipc_cpus() > 1 ? limit_ns : 0;

    *spin = (struct fipc_spin){
        .limit_ns = useful_ns, .patience_ns = patience_ns, .budget_ns = useful_ns};
}

void fipc_spin_begin(struct fipc_spin *spin, uint64_t now_ns)
{
    spin->started_ns = now_ns;
    spin->end_ns = now_ns + spin->budget_ns;
    spin->involuntary_switches = -1;
    spin->turns = 0;
}

static bool may_yield(struct fipc_spin *spin, uint64_t now_ns)
{
    fipc_bucket_refill(&spin->long_yields, &long_yields, now_ns);
    return fipc_bucket_holds(&spin->long_yields, &long_yields, LONG_YIELD_TOKENS);
}

/* Gives this CPU to a thread that waits for it. Return: whether no other thread needs it */
static bool yield_politely(struct fipc_spin *spin, uint64_t now_ns)
{
    bool is_first = spin->involuntary_switches < 0;
    long switches;

    if (is_first)
        fipc_bucket_give(&spin->long_yields, 1);
    if (!may_yield(spin, now_ns))
        return false;
    switches = fipc_involuntary_switches();
    if (!is_first && switches != spin->involuntary_switches)
        return false;
    spin->involuntary_switches = switches;
    fipc_yield();
    /* a long yield without a switch: the machine itself was busy */
    if (fipc_now_ns() - now_ns > spin->patience_ns && fipc_involuntary_switches() != switches)
        fipc_bucket_take(&spin->long_yields, &long_yields, LONG_YIELD_TOKENS);
    return true;
}

bool fipc_spin_again(struct fipc_spin *spin)
{
    uint64_t now_ns;

    if (spin->end_ns == spin->started_ns)
        return false;
    cpu_relax();
    if (++spin->turns % TURNS_PER_CLOCK_LOOK != 0)
        return true;
    now_ns = fipc_now_ns();
    if (now_ns >= spin->end_ns)
        return false;
    return now_ns - spin->started_ns < YIELD_AFTER_NS || yield_politely(spin, now_ns);
}

void fipc_spin_end(struct fipc_spin *spin, bool hit)
{
    uint64_t probe_ns = spin->limit_ns < PROBE_NS ? spin->limit_ns : PROBE_NS;

    spin->misses = hit ? 0 : spin->misses + 1;
    spin->budget_ns = spin->misses < MISSES_MAX || spin->misses % FULL_LOOK_EVERY == 0
                          ? spin->limit_ns
                          : probe_ns;
}

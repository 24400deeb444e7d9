/* SPDX-License-Identifier: MIT */
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

static cpu_set_t allowed;

static void note_cpus(void)
{
    ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
}

static void give_cpus_back(void)
{
    ck_assert_int_eq(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
}

static void stay_on_first_cpu(void)
{
    cpu_set_t first;
    size_t cpu = 0;

    while (!CPU_ISSET(cpu, &allowed))
        cpu++;
    CPU_ZERO(&first);
    CPU_SET(cpu, &first);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(first), &first), 0);
}

GROUP(cpus, .fixtures = {HOLDINGS_KEPT, {note_cpus, give_cpus_back}});

TEST(cpus_are_the_machines_whatever_this_thread_may_use)
{
    unsigned before = fipc_cpus();

    ck_assert_uint_ge(before, (unsigned)CPU_COUNT(&allowed));
    stay_on_first_cpu();
    ck_assert_uint_eq(fipc_cpus(), before);
}

TEST(yield_without_anybody_else_returns) { fipc_yield(); }

/* Takes the CPU of its parent as often as it can. */
static void be_busy(void)
{
    for (;;)
        continue;
}

static void *count_switches(void *argument)
{
    *(long *)argument = fipc_involuntary_switches();
    return NULL;
}

TEST(involuntary_switches_of_this_thread_are_counted)
{
    long before, of_another;
    pthread_t thread;
    pid_t child;

    stay_on_first_cpu();
    before = fipc_involuntary_switches();
    child = fork();
    if (child == 0)
        be_busy();
    while (fipc_involuntary_switches() < before + 10)
        continue;
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(wait_for_exit(child), -1);

    ck_assert_int_eq(pthread_create(&thread, NULL, count_switches, &of_another), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_lt(of_another, 10);
}

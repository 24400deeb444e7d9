/* SPDX-License-Identifier: MIT */
/* What a wake-up costs is measured by wake-ups: a machine that is slow at them shows it. */
#include "daemon/base/wake_test.h"

#include "common/os/os.h"
#include "daemon/base/process.h"
#include "tests/suite.h"
#include "tests/unit/fixture.h"

#include <pthread.h>

static uint64_t slow_lane_ns, slow_futex_ns;
static bool is_thread_short;

/* NOLINTBEGIN(bugprone-reserved-identifier) */
int __real_fipc_bell_ring(const struct fipc_bell *bell);
int __wrap_fipc_bell_ring(const struct fipc_bell *bell);
void __real_fipc_futex_wake(_Atomic uint32_t *word, int count, enum fipc_futex_scope scope);
void __wrap_fipc_futex_wake(_Atomic uint32_t *word, int count, enum fipc_futex_scope scope);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *argument);

static void burn(uint64_t cpu_ns)
{
    uint64_t end_ns = process_cpu_ns() + cpu_ns;

    while (process_cpu_ns() < end_ns)
        ;
}

int __wrap_fipc_bell_ring(const struct fipc_bell *bell)
{
    burn(slow_lane_ns);
    return __real_fipc_bell_ring(bell);
}

void __wrap_fipc_futex_wake(_Atomic uint32_t *word, int count, enum fipc_futex_scope scope)
{
    burn(slow_futex_ns);
    __real_fipc_futex_wake(word, count, scope);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *argument)
{
    return is_thread_short ? EAGAIN : __real_pthread_create(thread, attr, run, argument);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static uint64_t lane_ns, futex_ns;

static void begin(void)
{
    slow_lane_ns = slow_futex_ns = 0;
    is_thread_short = false;
    lane_ns = futex_ns = 77;
}

GROUP(wake_test, .timeout = 30, .fixtures = {{begin, NULL}, HOLDINGS_KEPT});

TEST(wake_ups_take_time)
{
    wake_test(&lane_ns, &futex_ns);
    ck_assert_uint_gt(lane_ns, 0);
    ck_assert_uint_gt(futex_ns, 0);
}

TEST(slow_lane_shows)
{
    slow_lane_ns = 700000;
    wake_test(&lane_ns, &futex_ns);
    ck_assert_uint_ge(lane_ns, 700000);
    ck_assert_uint_lt(futex_ns, lane_ns);
}

TEST(slow_futex_shows)
{
    slow_futex_ns = 700000;
    wake_test(&lane_ns, &futex_ns);
    ck_assert_uint_ge(futex_ns, 700000);
    ck_assert_uint_lt(lane_ns, futex_ns);
}

TEST(without_a_thread_nothing_is_known)
{
    is_thread_short = true;
    wake_test(&lane_ns, &futex_ns);
    ck_assert_uint_eq(lane_ns, 0);
    ck_assert_uint_eq(futex_ns, 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * Forced into the sources of common/ (-include) for the stress tests: before each access to shared
 * memory a hook, where a test may pause, and fences that a test can take away, to see that it would
 * notice.
 */
#ifndef FIPC_TESTS_STRESS_HOOKS_H
#define FIPC_TESTS_STRESS_HOOKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The test defines both. */
void stress_pause(void);
extern const char *stress_missing_fence; /* the function that has to do without; NULL: none */

static inline bool stress_lacks_fence(const char *function)
{
    return stress_missing_fence != NULL && strcmp(stress_missing_fence, function) == 0;
}

#ifdef __clang__
#define UNHOOKED_LOAD(object, order) __c11_atomic_load(object, order)
#define UNHOOKED_STORE(object, value, order) __c11_atomic_store(object, value, order)
#define UNHOOKED_EXCHANGE(object, value, order) __c11_atomic_exchange(object, value, order)
#else
#define UNHOOKED_LOAD(object, order) __atomic_load_n(object, order)
#define UNHOOKED_STORE(object, value, order) __atomic_store_n(object, value, order)
#define UNHOOKED_EXCHANGE(object, value, order) __atomic_exchange_n(object, value, order)
#endif

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_thread_fence

#define atomic_load_explicit(object, order) (stress_pause(), UNHOOKED_LOAD(object, order))
#define atomic_store_explicit(object, value, order)                                                \
    (stress_pause(), UNHOOKED_STORE(object, value, order))
#define atomic_exchange_explicit(object, value, order)                                             \
    (stress_pause(), UNHOOKED_EXCHANGE(object, value, order))

/* Without the fence the compiler keeps the order all the same; the CPU need not. */
#define atomic_thread_fence(order)                                                                 \
    (stress_lacks_fence(__func__) ? __atomic_signal_fence(order)                                   \
                                  : (stress_pause(), __atomic_thread_fence(order)))

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_FUTEX_H
#define FIPC_COMMON_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

/* Who may sleep on a word: only threads of this process, or every process that maps its memory. */
enum fipc_futex_scope {
    FIPC_FUTEX_PRIVATE,
    FIPC_FUTEX_SHARED,
};

/**
 * fipc_futex_wait() - sleep while a word holds a value
 * @word:         the word; for FIPC_FUTEX_SHARED a read-only mapping is enough
 * @expected:     sleep only while *@word is this
 * @deadline_ns:  absolute CLOCK_MONOTONIC nanoseconds; FIPC_NEVER for none
 *
 * A return of 0 is a hint, not news: the word changed, somebody woke us, or a signal came. Look
 * again. Threads: any.
 *
 * Return: 0; -ETIMEDOUT the deadline passed; -EFAULT, -EINVAL a bad address
 */
int fipc_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
                    enum fipc_futex_scope scope);

/**
 * fipc_futex_wake() - wake sleepers of a word
 * @count:  how many at most; INT_MAX for all
 *
 * Never blocks. Threads: any.
 */
void fipc_futex_wake(_Atomic uint32_t *word, int count, enum fipc_futex_scope scope);

#endif

/* SPDX-License-Identifier: MIT */
/* A futex lets a thread sleep; it orders nothing. A thread that wakes up looks at the shared state
 * again. */
#include "common/os/os.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#define NS_PER_S UINT64_C(1000000000)

static int scope_flag(enum fipc_futex_scope scope)
{
    return scope == FIPC_FUTEX_PRIVATE ? FUTEX_PRIVATE_FLAG : 0;
}

int fipc_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
                    enum fipc_futex_scope scope)
{
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / NS_PER_S),
        .tv_nsec = (long)(deadline_ns % NS_PER_S),
    };
    /* FUTEX_WAIT_BITSET, because FUTEX_WAIT takes a relative timeout: futex(2) */
    int op = FUTEX_WAIT_BITSET | scope_flag(scope);
    long r;

    r = syscall(SYS_futex, word, op, expected, deadline_ns == UINT64_MAX ? NULL : &deadline, NULL,
                FUTEX_BITSET_MATCH_ANY);
    if (r == 0 || errno == EAGAIN || errno == EINTR)
        return 0;
    return -errno;
}

void fipc_futex_wake(_Atomic uint32_t *word, int count, enum fipc_futex_scope scope)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE | scope_flag(scope), count, NULL, NULL, 0);
}

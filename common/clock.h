/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_CLOCK_H
#define FIPC_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

#define FIPC_NS_PER_US UINT64_C(1000)
#define FIPC_NS_PER_MS UINT64_C(1000000)
#define FIPC_NS_PER_S UINT64_C(1000000000)

/* A deadline that never comes. */
#define FIPC_NEVER UINT64_MAX

/* Nanoseconds of CLOCK_MONOTONIC: every time in fipc is one of these. */
static inline uint64_t fipc_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * FIPC_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* @now_ns + @span_ns, or FIPC_NEVER where that overflows. */
static inline uint64_t fipc_deadline_after(uint64_t now_ns, uint64_t span_ns)
{
    return span_ns < FIPC_NEVER - now_ns ? now_ns + span_ns : FIPC_NEVER;
}

#endif

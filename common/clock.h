/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_CLOCK_H
#define FIPC_COMMON_CLOCK_H

/* Every time is in nanoseconds of the clock that fipc_now_ns() reads (common/os/os.h). This header
 * reads no clock. */
#include <stdint.h>

#define FIPC_NS_PER_US UINT64_C(1000)
#define FIPC_NS_PER_MS UINT64_C(1000000)
#define FIPC_NS_PER_S UINT64_C(1000000000)

/* A deadline that never comes. */
#define FIPC_NEVER UINT64_MAX

/* @now_ns + @span_ns, or FIPC_NEVER where that overflows. */
static inline uint64_t fipc_deadline_after(uint64_t now_ns, uint64_t span_ns)
{
    return span_ns < FIPC_NEVER - now_ns ? now_ns + span_ns : FIPC_NEVER;
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_WAKE_TEST_H
#define FIPC_DAEMON_BASE_WAKE_TEST_H

/* What it costs on this machine to wake a thread that sleeps: nothing is slow or fast but beside
 * that. */
#include <stdint.h>

/**
 * wake_test() - wake a thread of our own some times
 * @ret_lane_ns:   CPU time of one wake-up by a byte on a lane, the median; 0 if it cannot be tried
 * @ret_futex_ns:  likewise by a shared futex
 *
 * Blocks for a few milliseconds.
 */
void wake_test(uint64_t *ret_lane_ns, uint64_t *ret_futex_ns);

#endif

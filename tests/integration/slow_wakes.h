/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_SLOW_WAKES_H
#define FIPC_TESTS_SLOW_WAKES_H

/*
 * A library that is preloaded into a broker: each wake-up, by a futex or by a byte on a lane, takes
 * more CPU time, as on an emulator or in a virtual machine inside another. The library and the test
 * map the file that $FIPC_SLOW_WAKES names.
 */
#include <stdatomic.h>
#include <stdint.h>

#define SLOW_WAKES_VARIABLE "FIPC_SLOW_WAKES"

struct slow_wakes {
    _Atomic uint64_t ns;   /* that each takes more */
    _Atomic uint64_t made; /* wake-ups so far */
};

#endif

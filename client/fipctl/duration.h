/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_DURATION_H
#define FIPC_FIPCTL_DURATION_H

#include <stdint.h>

struct duration_text {
    char text[32];
};

/* For people: three digits that count and a unit that fits, "4.21 us". */
struct duration_text duration_format(uint64_t ns);

#endif

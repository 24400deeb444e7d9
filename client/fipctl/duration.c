/* SPDX-License-Identifier: MIT */
#include "client/fipctl/duration.h"

#include "common/clock.h"

#include <stdio.h>

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"us", FIPC_NS_PER_US},      {"ms", FIPC_NS_PER_MS},      {"s", FIPC_NS_PER_S},
    {"min", 60 * FIPC_NS_PER_S}, {"h", 3600 * FIPC_NS_PER_S}, {"d", 86400 * FIPC_NS_PER_S},
};

struct duration_text duration_format(uint64_t ns)
{
    const unsigned n_units = sizeof(units) / sizeof(units[0]);
    struct duration_text result;
    unsigned unit = 0;
    double value;

    if (ns < FIPC_NS_PER_US) {
        (void)snprintf(result.text, sizeof(result.text), "%u ns", (unsigned)ns);
        return result;
    }
    /* The next unit from where this one, rounded, would read as one of it: "1.00 ms", never "1000
     * us". */
    while (unit + 1 < n_units && ns >= units[unit + 1].ns - units[unit].ns / 2)
        unit++;
    value = (double)ns / (double)units[unit].ns;
    (void)snprintf(result.text, sizeof(result.text), "%.*f %s",
                   value < 9.995   ? 2
                   : value < 99.95 ? 1
                                   : 0,
                   value, units[unit].name);
    return result;
}

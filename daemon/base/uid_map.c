/* SPDX-License-Identifier: MIT */
#include "daemon/base/uid_map.h"

#include <stdint.h>
#include <stdio.h>

bool uid_map_is_whole(void)
{
    FILE *file = fopen("/proc/self/uid_map", "re");
    unsigned inside, outside, count;
    bool is_whole;

    if (file == NULL)
        return true;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers, or nothing yet */
    is_whole = fscanf(file, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
               outside == 0 && count == UINT32_MAX;
    (void)fclose(file);
    return is_whole;
}

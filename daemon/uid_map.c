/* SPDX-License-Identifier: MIT */
#include "daemon/uid_map.h"

#include <stdint.h>
#include <stdio.h>

bool uid_map_is_whole(void)
{
    FILE *file = fopen("/proc/self/uid_map", "re");
    unsigned inside, outside, count;
    bool is_whole = true;

    if (file == NULL)
        return true;
    if (fscanf(file, "%u %u %u", &inside, &outside, &count) == 3) /* NOLINT(cert-err34-c) */
        is_whole = inside == 0 && outside == 0 && count == UINT32_MAX;
    (void)fclose(file);
    return is_whole;
}

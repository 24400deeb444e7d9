/* SPDX-License-Identifier: MIT */
#include "daemon/config/owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Return: the number of the first range that ends at @uid or later */
static size_t range_at(const struct owners *owners, uid_t uid)
{
    size_t low = 0, high = owners->n_ranges;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (owners->ranges[middle].last < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Return: 0; -ENOMEM */
static int insert(struct owners *owners, size_t at, const struct owner_range *range)
{
    if (owners->n_ranges == owners->capacity) {
        size_t capacity = owners->capacity > 0 ? 2 * owners->capacity : 16;
        struct owner_range *ranges = reallocarray(owners->ranges, capacity, sizeof(*ranges));

        if (ranges == NULL)
            return -ENOMEM;
        owners->ranges = ranges;
        owners->capacity = capacity;
    }
    memmove(&owners->ranges[at + 1], &owners->ranges[at], (owners->n_ranges - at) * sizeof(*range));
    owners->ranges[at] = *range;
    owners->n_ranges++;
    return 0;
}

/* Fills the gaps between the ranges that are there. */
int owners_add(struct owners *owners, uid_t first, uint64_t count, uid_t owner)
{
    uint64_t next = first;
    uint64_t end =
        count < UINT64_C(1) + UINT32_MAX - next ? next + count : UINT64_C(1) + UINT32_MAX;
    size_t at = range_at(owners, first);

    while (next < end) {
        bool is_last = at == owners->n_ranges;
        uint64_t gap_end =
            is_last || owners->ranges[at].first > end ? end : owners->ranges[at].first;

        if (next < gap_end) {
            const struct owner_range gap = {(uid_t)next, (uid_t)(gap_end - 1), owner};
            int r = insert(owners, at++, &gap);

            if (r < 0)
                return r;
        }
        if (gap_end == end)
            break;
        next = (uint64_t)owners->ranges[at++].last + 1;
    }
    return 0;
}

const struct owner_range *owners_find(const struct owners *owners, uid_t uid)
{
    size_t at = range_at(owners, uid);

    return at < owners->n_ranges && owners->ranges[at].first <= uid ? &owners->ranges[at] : NULL;
}

void owners_deinit(struct owners *owners)
{
    free(owners->ranges);
    *owners = (struct owners){.n_ranges = 0};
}

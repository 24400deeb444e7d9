/* SPDX-License-Identifier: MIT */
#include "client/fipctl/samples.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int samples_init(struct samples *samples, size_t capacity)
{
    *samples = (struct samples){.values = calloc(capacity, sizeof(uint64_t)), .capacity = capacity};
    return samples->values == NULL ? -ENOMEM : 0;
}

void samples_deinit(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples){0};
}

void samples_add(struct samples *samples, uint64_t value)
{
    assert(samples->n_values < samples->capacity);
    samples->values[samples->n_values++] = value;
}

static int compare(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

void samples_sort(struct samples *samples)
{
    qsort(samples->values, samples->n_values, sizeof(uint64_t), compare);
}

uint64_t samples_percentile(const struct samples *samples, unsigned per_mille)
{
    size_t rank = (samples->n_values * per_mille + 999) / 1000;

    assert(samples->n_values > 0);
    return samples->values[rank > 0 ? rank - 1 : 0];
}

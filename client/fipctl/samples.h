/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_SAMPLES_H
#define FIPC_FIPCTL_SAMPLES_H

/* Durations, each of them kept, so that percentiles are exact. */
#include <stddef.h>
#include <stdint.h>

struct samples {
    uint64_t *values;
    size_t n_values, capacity;
};

/* Takes memory for all at once, none while measuring. Return: 0; -ENOMEM */
int samples_init(struct samples *samples, size_t capacity);
void samples_deinit(struct samples *samples);

/* At most as many as there is capacity for. */
void samples_add(struct samples *samples, uint64_t value);

/* After the last one was added, before the first percentile is asked for. */
void samples_sort(struct samples *samples);

/* By nearest rank: the smallest sample that so many of 1000 don't exceed; 0 the smallest. There is
 * one at least. */
uint64_t samples_percentile(const struct samples *samples, unsigned per_mille);

#endif

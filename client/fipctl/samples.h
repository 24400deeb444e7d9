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

/* Takes all memory at once, and none while measuring. Return: 0; -ENOMEM */
int samples_init(struct samples *samples, size_t capacity);
void samples_deinit(struct samples *samples);

/* The capacity limits the number of samples. */
void samples_add(struct samples *samples, uint64_t value);

/* Call it after the last samples_add() and before the first samples_percentile(). */
void samples_sort(struct samples *samples);

/* By nearest rank: the smallest sample that @per_mille of 1000 samples don't exceed; with 0 the
 * smallest. There is one sample at least. */
uint64_t samples_percentile(const struct samples *samples, unsigned per_mille);

#endif

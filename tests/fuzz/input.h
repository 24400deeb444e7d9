/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_FUZZ_INPUT_H
#define FIPC_TESTS_FUZZ_INPUT_H

/*
 * An input is a script: bytes that say what to do, each followed by the values that it needs,
 * little-endian. Missing bytes at the end read as zero, so that every input is a script. And the
 * demands of every target on the code under test: no failed check, no fd left open.
 */
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What libFuzzer, or replay.c, calls for each input. Return: 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- values ---- */

struct input {
    const uint8_t *at;
    size_t left;
};

/* The next bytes, at most @wanted, fewer at the end; borrowed. */
static inline const uint8_t *input_bytes(struct input *input, size_t wanted, size_t *ret_size)
{
    const uint8_t *bytes = input->at;

    *ret_size = wanted < input->left ? wanted : input->left;
    input->at += *ret_size;
    input->left -= *ret_size;
    return bytes;
}

/* An integer of @width bytes, 1 to 8. */
static inline uint64_t input_number(struct input *input, size_t width)
{
    size_t size;
    const uint8_t *bytes = input_bytes(input, width, &size);
    uint64_t number = 0;

    for (size_t i = 0; i < size; i++)
        number |= (uint64_t)bytes[i] << (8 * i);
    return number;
}

static inline uint8_t input_byte(struct input *input) { return (uint8_t)input_number(input, 1); }
static inline uint16_t input_u16(struct input *input) { return (uint16_t)input_number(input, 2); }
static inline uint32_t input_u32(struct input *input) { return (uint32_t)input_number(input, 4); }

/* ---- fds ---- */

#define FUZZ_FDS_MAX 1024

/* How many fds are open: poll(2) names those that are not, all by one system call. */
static inline int fuzz_count_fds(void)
{
    struct pollfd fds[FUZZ_FDS_MAX];
    int count = 0;

    for (int fd = 0; fd < FUZZ_FDS_MAX; fd++)
        fds[fd] = (struct pollfd){.fd = fd};
    FUZZ_CHECK(poll(fds, FUZZ_FDS_MAX, 0) >= 0);
    for (int fd = 0; fd < FUZZ_FDS_MAX; fd++)
        count += (fds[fd].revents & POLLNVAL) == 0;
    return count;
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_SIPHASH_H
#define FIPC_COMMON_SIPHASH_H

#include <stdint.h>

struct fipc_siphash_key {
    uint64_t k0, k1;
};

/**
 * fipc_siphash() - SipHash-2-4 of one 64-bit word
 *
 * Without the key, nobody can tell the hashes of a counter from random numbers.
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the message is the word,
 * little-endian.
 */
uint64_t fipc_siphash(const struct fipc_siphash_key *key, uint64_t word);

#endif

/* SPDX-License-Identifier: MIT */
#include "common/siphash.h"

#include "tests/unit/fixture.h"

/* The first line is the paper's (appendix A) for 8 bytes; all were computed with OpenSSL's SIPHASH
 * too. */
static const struct {
    struct fipc_siphash_key key;
    uint64_t word, hash;
} known[] = {
    {{0x0706050403020100, 0x0f0e0d0c0b0a0908}, 0x0706050403020100, 0x93f5f5799a932462},
    {{0x0706050403020100, 0x0f0e0d0c0b0a0908}, 0, 0x39d3851ca07681a7},
    {{0x0706050403020100, 0x0f0e0d0c0b0a0908}, 1, 0x2b91b2b085e6d1f6},
    {{0x0706050403020100, 0x0f0e0d0c0b0a0908}, UINT64_C(1) << 63, 0x45f93120d11c42c2},
    {{0x0706050403020100, 0x0f0e0d0c0b0a0908}, UINT64_MAX, 0x2a68ff30a3d9da34},
    {{0, 0}, 0, 0xe849e8bb6ffe2567},
    {{0, 0}, UINT64_MAX, 0x8050c18b6ac9d15e},
    {{0, UINT64_C(1) << 63}, 0, 0x1b538b576bdb1d9b},
    {{UINT64_MAX, UINT64_MAX}, UINT64_MAX, 0xf13e77491777f9d0},
};

GROUP(hash, .fixtures = {HOLDINGS_KEPT});

LOOP_TEST(hash_is_that_of_the_reference, COUNT_OF(known))
{
    ck_assert_uint_eq(fipc_siphash(&known[_i].key, known[_i].word), known[_i].hash);
}

LOOP_TEST(each_bit_of_key_and_word_changes_the_hash, 64)
{
    const struct fipc_siphash_key key = known[0].key;
    uint64_t word = known[0].word, bit = UINT64_C(1) << _i;

    ck_assert_uint_ne(fipc_siphash(&key, word ^ bit), known[0].hash);
    ck_assert_uint_ne(fipc_siphash(&(struct fipc_siphash_key){key.k0 ^ bit, key.k1}, word),
                      known[0].hash);
    ck_assert_uint_ne(fipc_siphash(&(struct fipc_siphash_key){key.k0, key.k1 ^ bit}, word),
                      known[0].hash);
}

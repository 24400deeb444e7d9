/* SPDX-License-Identifier: MIT */
/* The wire's numbers, written down a second time: a client of last year has them compiled in. */
#include "common/message.h"
#include "tests/unit/fixture.h"

TEST(header_is_on_the_wire_as_drawn)
{
    const struct fipc_header header = {
        .size = 0x04030201,
        .kind = 0x0605,
        .flags = 0x0807,
        .target = 0x0c0b0a09,
        .status = 0x100f0e0d,
        .id = UINT64_C(0x1817161514131211),
        .remaining_ns = UINT64_C(0x201f1e1d1c1b1a19),
    };
    unsigned char wire[32];

    for (size_t i = 0; i < sizeof(wire); i++)
        wire[i] = (unsigned char)(i + 1);
    ck_assert_uint_eq(sizeof(header), sizeof(wire));
    ck_assert_mem_eq(&header, wire, sizeof(wire));
}

TEST(delivery_is_on_the_wire_as_drawn)
{
    const struct fipc_delivery delivery = {
        .number = 0x04030201,
        .uid = 0x08070605,
        .gid = 0x0c0b0a09,
        .pid = 0x100f0e0d,
        .n_groups = 0x14131211,
        .name_bytes = 0x18171615,
        .token = UINT64_C(0x201f1e1d1c1b1a19),
    };
    unsigned char wire[32];

    for (size_t i = 0; i < sizeof(wire); i++)
        wire[i] = (unsigned char)(i + 1);
    ck_assert_uint_eq(sizeof(delivery), sizeof(wire));
    ck_assert_mem_eq(&delivery, wire, sizeof(wire));
}

static const struct {
    unsigned value, wire;
} numbers[] = {
    {FIPC_KIND_CORRUPT, 0},     {FIPC_KIND_SKIP, 1},           {FIPC_KIND_REQUEST, 2},
    {FIPC_KIND_REPLY, 3},       {FIPC_KIND_CANCEL, 4},         {FIPC_KIND_CONTROL, 5},
    {FIPC_REQUEST_NO_REPLY, 1}, {FIPC_REQUEST_IDEMPOTENT, 2},  {FIPC_REQUEST_WAIT_SERVICE, 4},
    {FIPC_REQUEST_NO_WAIT, 8},  {FIPC_REQUEST_LARGE, 16},      {FIPC_REPLY_CAPPED, 1},
    {FIPC_REPLY_LARGE, 2},      {FIPC_REPLY_NOT_DELIVERED, 4}, {FIPC_ERROR_MAX, 4095},
};

LOOP_TEST(kinds_and_flags_keep_their_numbers, COUNT_OF(numbers))
{
    ck_assert_uint_eq(numbers[_i].value, numbers[_i].wire);
}

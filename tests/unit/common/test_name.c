/* SPDX-License-Identifier: MIT */
#include "common/name.h"
#include "tests/unit/fixture.h"

#include <limits.h>

static const struct {
    const char *name;
    bool is_valid, is_reserved;
} names[] = {
    {"", false, false},          {"a", true, false},       {"Z", true, false},
    {"0", true, false},          {"-", true, false},       {"_", true, false},
    {".", false, false},         {"a.b", true, false},     {"a..b", false, false},
    {".a", false, false},        {"a.", false, false},     {"com.example.key-value_2", true, false},
    {"fipc", true, false},       {"fipc.", false, true}, /* reserved all the same */
    {"fipc.echo", true, true},   {"fipc.a.b", true, true}, {"fipcx.echo", true, false},
    {"FIPC.echo", true, false}, /* case counts */
    {"xfipc.echo", true, false},
};

LOOP_TEST(name_is_valid_or_reserved_as_the_table_says, COUNT_OF(names))
{
    const char *name = names[_i].name;

    ck_assert_int_eq(fipc_name_is_valid(name, strlen(name)), names[_i].is_valid);
    ck_assert_int_eq(fipc_name_is_reserved(name, strlen(name)), names[_i].is_reserved);
}

TEST(letters_digits_and_three_signs_are_allowed)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    for (int byte = 0; byte <= UCHAR_MAX; byte++) {
        const char name[3] = {'a', (char)byte, 'b'};

        EXPECT(fipc_name_is_valid(name, sizeof(name)) ==
               (memchr(allowed, byte, sizeof(allowed) - 1) != NULL));
    }
}

static const struct {
    size_t bytes;
    bool is_valid;
} lengths[] = {{0, false}, {1, true}, {254, true}, {255, true}, {256, false}, {1000, false}};

/* In memory of exactly that size: no byte after it is looked at. */
LOOP_TEST(name_has_at_most_255_bytes, COUNT_OF(lengths))
{
    unsigned char *page = guarded_new(GUARD_BYTES);
    char *name = (char *)page + GUARD_BYTES - lengths[_i].bytes;

    memset(name, 'n', lengths[_i].bytes);
    ck_assert_int_eq(fipc_name_is_valid(name, lengths[_i].bytes), lengths[_i].is_valid);
    ck_assert(!fipc_name_is_reserved(name, lengths[_i].bytes));
    guarded_free(page, GUARD_BYTES);
}

LOOP_TEST(beginning_of_the_reserved_prefix_is_not_reserved, 5)
{
    ck_assert(!fipc_name_is_reserved("fipc.", (size_t)_i));
}

/* SPDX-License-Identifier: MIT */
/* Rows of a table: found, guessed, listed, and described for people. */
#include "config/table.h"
#include "tests/suite.h"
#include "tests/unit/config/small_table.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static char buffer[CONFIG_TEXT_BYTES];

static const struct {
    const char *section, *name;
    int row; /* -1: none */
} searches[] = {
    {"one", "number", 0},     {"one", NULL, 0},     {"other", NULL, 3}, {"other", "choice", 6},
    {"other", "number", -1},  {"on", "number", -1}, {"one", "", -1},    {"", NULL, -1},
    {"one.number", NULL, -1}, {"ONE", NULL, -1},
};

LOOP_TEST(row_is_found_by_section_and_name, COUNT_OF(searches))
{
    const struct config_key *key =
        config_table_find(&small_table, searches[_i].section, searches[_i].name);

    if (searches[_i].row < 0)
        ck_assert_ptr_null(key);
    else
        ck_assert_ptr_eq(key, &small_table.keys[searches[_i].row]);
}

TEST(row_is_found_by_its_path)
{
    for (size_t i = 0; i < small_table.n_keys; i++) {
        const struct config_key *key = &small_table.keys[i];

        ck_assert_ptr_eq(config_table_at(&small_table, key->path), key);
        ck_assert_uint_eq(config_table_bit(&small_table, key), UINT64_C(1) << i);
    }
}

#ifndef NDEBUG
ABORT_TEST(path_that_the_program_names_must_be_there, 1)
{
    (void)config_table_at(&small_table, "one.nothing");
}
#endif

TEST(sections_begin_and_end)
{
    static const char begins[] = "10010000", ends[] = "00100001";

    for (size_t i = 0; i < small_table.n_keys; i++) {
        ck_assert_int_eq(config_table_begins_section(&small_table, i), begins[i] == '1');
        ck_assert_int_eq(config_table_ends_section(&small_table, i), ends[i] == '1');
    }
}

#define LETTERS_65 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklm"

static const struct {
    const char *section, *name;
    const char *nearest; /* NULL: nothing is near */
} guesses[] = {
    {NULL, "onr", "one"},
    {NULL, "ONE", "one"},
    {NULL, "othe", "other"},
    {NULL, "number", "one.number"}, /* in another place */
    {NULL, "zzzzzz", NULL},
    {NULL, "", NULL},
    {NULL, LETTERS_65, NULL},
    {"one", "numbr", "one.number"},
    {"one", "NUMBER", "one.number"},
    {"one", "powr_max", "one.power_max"},
    {"one", "mode", "other.mode"},
    {"other", "power_max", "one.power_max"},
    {"other", "nam", "other.name"},
    {"nothing", "chioce", "other.choice"},
    {"one", "xyz", NULL},
};

LOOP_TEST(unknown_name_gets_this_guess, COUNT_OF(guesses))
{
    const char *nearest =
        config_table_nearest(&small_table, guesses[_i].section, guesses[_i].name, buffer);

    if (guesses[_i].nearest == NULL)
        ck_assert_ptr_null(nearest);
    else
        ck_assert_pstr_eq(nearest, guesses[_i].nearest);
}

static const struct {
    const char *section, *list;
} lists[] = {
    {NULL, "one, other"},
    {"one", "number, power_bytes, power_max"},
    {"other", "mode, path, name, choice, list"},
    {"nothing", ""},
};

LOOP_TEST(names_are_listed, COUNT_OF(lists))
{
    ck_assert_str_eq(config_table_list(&small_table, lists[_i].section, buffer), lists[_i].list);
}

TEST(list_that_is_too_long_is_cut)
{
    struct config_key keys[CONFIG_KEYS_MAX];
    const struct config_table table = {.keys = keys, .n_keys = CONFIG_KEYS_MAX};

    for (size_t i = 0; i < CONFIG_KEYS_MAX; i++)
        keys[i] = (struct config_key){.section = "s", .name = i % 2 == 0 ? "even" : "odd"};
    ck_assert_uint_eq(strlen(config_table_list(&table, "s", buffer)), CONFIG_TEXT_BYTES - 1);
}

TEST(member_of_a_list_is_found_by_its_name)
{
    const struct config_key *list = config_table_at(&small_table, "other.list");

    ck_assert_ptr_eq(config_member_find(list, "user"), &list->members[1]);
    ck_assert_ptr_null(config_member_find(list, "use"));
    ck_assert_ptr_null(config_member_find(list, ""));
    ck_assert_str_eq(config_member_list(list, buffer), "number, user");
}

static const struct {
    const char *path, *allowed, *by_default;
} texts[] = {
    {"one.number", "a whole number from 1 to 9", "5"},
    {"one.power_bytes", "a power of two from 2 to 16 bytes, at most one.power_max", "4"},
    {"one.power_max", "a power of two from 2 to 16", "8"},
    {"other.mode", "an octal mode from \"0000\" to \"0770\"", "\"0640\""},
    {"other.path", "an absolute path of at most 6 bytes", "\"/x\""},
    {"other.name", "a name of 2 to 4 bytes, or null", "null"},
    {"other.choice", "one of \"low\", \"high\"", "\"high\""},
    {"other.list", "a list of objects with number, user", "[]"},
};

LOOP_TEST(key_is_described, COUNT_OF(texts))
{
    const struct config_key *key = config_table_at(&small_table, texts[_i].path);

    ck_assert_str_eq(config_key_allowed(key, buffer), texts[_i].allowed);
    ck_assert_str_eq(config_key_default(key, buffer), texts[_i].by_default);
}

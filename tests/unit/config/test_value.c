/* SPDX-License-Identifier: MIT */
/* Values of a file: the keys that they may be given to, and their description. */
#include "config/value.h"
#include "tests/suite.h"
#include "tests/unit/config/small_table.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct small *values;

static void make_values(void)
{
    values = config_values_new(&small_table);
    ck_assert_ptr_nonnull(values);
}

static void drop_values(void) { ck_assert_ptr_null(config_values_free(&small_table, values)); }

/* @text: JSON, with ' for ". */
static json_t *json_of(const char *text)
{
    char json[256];
    size_t size = strlen(text);
    json_t *value;

    for (size_t i = 0; i <= size; i++)
        json[i] = (char)(text[i] == '\'' ? '"' : text[i]);
    value = json_loads(json, JSON_DECODE_ANY, NULL);
    ck_assert_msg(value != NULL, "%s", json);
    return value;
}

/* The value of a key now, as text. */
static const char *text_of(const struct config_key *key)
{
    static char text[64];
    void *field = config_field(values, key);

    if (key->type == CONFIG_CHOICE)
        (void)snprintf(text, sizeof(text), "%d", *(int *)field);
    else if (!config_type_is_text(key->type))
        (void)snprintf(text, sizeof(text), "%u", *(uint32_t *)field);
    else
        return *(char **)field;
    return text;
}

GROUP(values_of_keys, .fixtures = {{make_values, drop_values}});

TEST(new_values_are_the_defaults)
{
    ck_assert_uint_eq(values->one.number, 5);
    ck_assert_uint_eq(values->one.power_bytes, 4);
    ck_assert_uint_eq(values->one.power_max, 8);
    ck_assert_uint_eq(values->other.mode, 0640);
    ck_assert_str_eq(values->other.path, "/x");
    ck_assert_ptr_null(values->other.name);
    ck_assert_int_eq(values->other.choice, -7);
}

static const struct {
    const char *path;
    const char *value;
    const char *stored; /* as text_of(); NULL: it is refused */
} stores[] = {
    {"one.number", "1", "1"},
    {"one.number", "9", "9"},
    {"one.number", "0", NULL},
    {"one.number", "10", NULL},
    {"one.number", "-1", NULL},
    {"one.number", "4294967297", NULL}, /* 1 if cut to 32 bits */
    {"one.number", "7.0", "7"},         /* other spellings of a whole number */
    {"one.number", "0.8e1", "8"},
    {"one.number", "7.5", NULL},
    {"one.number", "1e1", NULL},
    {"one.number", "-0.0", NULL},
    {"one.number", "8.000000000000001", NULL},
    {"one.number", "4294967301.0", NULL}, /* 5 if cut to 32 bits */
    {"one.number", "1e300", NULL},
    {"one.power_bytes", "1.6e1", "16"},
    {"one.number", "'5'", NULL},
    {"one.number", "null", NULL},
    {"one.number", "true", NULL},
    {"one.number", "[5]", NULL},
    {"one.number", "{}", NULL},
    {"one.power_bytes", "2", "2"},
    {"one.power_bytes", "16", "16"}, /* more than power_max: another's business */
    {"one.power_bytes", "1", NULL},
    {"one.power_bytes", "3", NULL},
    {"one.power_bytes", "15", NULL},
    {"one.power_bytes", "32", NULL},
    {"other.mode", "'0000'", "0"},
    {"other.mode", "'0770'", "504"},
    {"other.mode", "'0771'", NULL},
    {"other.mode", "'770'", NULL},
    {"other.mode", "'00770'", NULL},
    {"other.mode", "'0780'", NULL},
    {"other.mode", "'1770'", NULL},
    {"other.mode", "' 770'", NULL},
    {"other.mode", "''", NULL},
    {"other.mode", "504", NULL},
    {"other.path", "'/'", "/"},
    {"other.path", "'/12345'", "/12345"},
    {"other.path", "'/123456'", NULL},
    {"other.path", "''", NULL},
    {"other.path", "'x'", NULL},
    {"other.path", "null", NULL},
    {"other.path", "1", NULL},
    {"other.name", "'ab'", "ab"},
    {"other.name", "'abcd'", "abcd"},
    {"other.name", "'a'", NULL},
    {"other.name", "'abcde'", NULL},
    {"other.name", "1", NULL},
    {"other.choice", "'low'", "3"},
    {"other.choice", "'high'", "-7"},
    {"other.choice", "'LOW'", NULL},
    {"other.choice", "'lo'", NULL},
    {"other.choice", "''", NULL},
    {"other.choice", "3", NULL},
};

LOOP_TEST(key_takes_what_it_allows_and_else_stays, COUNT_OF(stores))
{
    const struct config_key *key = config_table_at(&small_table, stores[_i].path);
    const char *text = text_of(key);
    char before[64];
    json_t *value = json_of(stores[_i].value);
    int r;

    (void)snprintf(before, sizeof(before), "%s", text != NULL ? text : "NULL");
    r = config_store(values, key, value);
    json_decref(value);
    text = text_of(key);
    ck_assert_int_eq(r, stores[_i].stored != NULL ? 0 : -EINVAL);
    ck_assert_str_eq(text != NULL ? text : "NULL", r == 0 ? stores[_i].stored : before);
}

TEST(name_can_be_taken_back)
{
    const struct config_key *key = config_table_at(&small_table, "other.name");
    json_t *name = json_of("'ab'"), *none = json_of("null");

    ck_assert_int_eq(config_store(values, key, name), 0);
    ck_assert_int_eq(config_store(values, key, none), 0);
    ck_assert_ptr_null(values->other.name);
    json_decref(name);
    json_decref(none);
}

TEST(no_values_can_be_freed) { ck_assert_ptr_null(config_values_free(&small_table, NULL)); }

/* ---- for people ---- */

#define LETTERS_64 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"

static const struct {
    const char *value, *text;
} descriptions[] = {
    {"{}", "an object"},
    {"{'a': 1}", "an object"},
    {"[]", "a list"},
    {"''", "\"\""},
    {"'a b'", "\"a b\""},
    {"'" LETTERS_64 "'", "\"" LETTERS_64 "\""},
    {"'" LETTERS_64 "m'", "\"" LETTERS_64 "...\""},
    {"0", "0"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"1.5", "1.5"},
    {"0.1", "0.1"},
    {"10.0", "10"},
    {"65536.00000000001", "65536.00000000001"},
    {"1e300", "1e+300"},
    {"true", "true"},
    {"false", "false"},
    {"null", "null"},
};

LOOP_TEST(value_is_described, COUNT_OF(descriptions))
{
    char buffer[CONFIG_TEXT_BYTES];
    json_t *value = json_of(descriptions[_i].value);

    ck_assert_str_eq(config_describe(value, buffer), descriptions[_i].text);
    json_decref(value);
}

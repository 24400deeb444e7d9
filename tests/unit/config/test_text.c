/* SPDX-License-Identifier: MIT */
/* A text: its values, its errors, and the walk over its keys. */
#include "config/text.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parsing, also without memory ---- */

static int allocations_left = -1; /* malloc(3) fails once it is 0; -1: never */

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names them */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left -= allocations_left > 0;
    return __real_malloc(size);
}

/* NOLINTEND(bugprone-reserved-identifier) */

static const struct {
    const char *text;
    enum json_error_code error; /* json_error_unknown: none */
} parsed_texts[] = {
    {"{}", json_error_unknown},
    {"5", json_error_unknown},
    {"{\"a\": [1, {\"b\": null}]}", json_error_unknown},
    {"", json_error_premature_end_of_input},
    {"{", json_error_premature_end_of_input},
    {"{} {}", json_error_end_of_input_expected},
    {"{\"a\": 1, \"a\": 1}", json_error_duplicate_key},
    {"[1e999]", json_error_numeric_overflow},
    {"[\"\\u0000\"]", json_error_null_character},
    {"[\"\xff\"]", json_error_invalid_utf8},
};

LOOP_TEST(text_has_values_or_an_error, COUNT_OF(parsed_texts))
{
    const char *text = parsed_texts[_i].text;
    struct config_text parsed = {0};
    json_error_t error;
    int r = config_text_parse(&parsed, text, strlen(text), &error);

    ck_assert_int_eq(r, parsed_texts[_i].error == json_error_unknown ? 0 : -EINVAL);
    if (r < 0)
        ck_assert_int_eq(json_error_code(&error), parsed_texts[_i].error);
    else
        ck_assert_ptr_nonnull(parsed.root);
    config_text_deinit(&parsed);
    config_text_deinit(&parsed); /* safe twice */
}

TEST(size_ends_the_text)
{
    static const char text[] = "[1]garbage";
    struct config_text parsed;
    json_error_t error;

    ck_assert_int_eq(config_text_parse(&parsed, text, 3, &error), 0);
    ck_assert_uint_eq(json_array_size(parsed.root), 1);
    config_text_deinit(&parsed);
}

/* More than one chunk of the arena, and one value that is larger than any. */
static char *large_text(void)
{
    static const char item[] = "\"0123456789\", ";
    size_t n_items = 10000, string_bytes = 100000;
    char *text = malloc(n_items * sizeof(item) + string_bytes + 16), *at = text;

    *at++ = '[';
    for (size_t i = 0; i < n_items; i++, at += sizeof(item) - 1)
        memcpy(at, item, sizeof(item) - 1);
    *at++ = '"';
    memset(at, 'x', string_bytes);
    memcpy(at + string_bytes, "\"]", 3);
    return text;
}

TEST(each_failed_allocation_is_enomem)
{
    char *text = large_text();
    struct config_text parsed;
    json_error_t error;
    int n_failed = 0, r;

    for (;; n_failed++) {
        allocations_left = n_failed;
        r = config_text_parse(&parsed, text, strlen(text), &error);
        allocations_left = -1;
        if (r == 0)
            break;
        ck_assert_int_eq(r, -ENOMEM);
    }
    ck_assert_int_gt(n_failed, 10);
    ck_assert_uint_eq(json_array_size(parsed.root), 10001);
    config_text_deinit(&parsed);
    free(text);
}

/* ---- the walk ---- */

static const struct {
    const char *text;
    const char *keys; /* DEPTH:LINE:PATH of each */
} walks[] = {
    {"", ""},
    {"{}", ""},
    {"[1, 2]", ""},
    {"{\"a\": 1}", "1:1:a "},
    {"{\"a\"\n:\n1}", "1:1:a "}, /* the line of the name, not of the colon */
    {"{\n\"a\": 1,\n\n\"b\": 2}", "1:2:a 1:4:b "},
    {"{\"a\": {\"b\": {\"c\": {\"d\": 1}}}}", "1:1:a 2:1:a.b 3:1:a.b.c 4:1:a.b.c.d "},
    {"{\"a\": {\"b\": 1}, \"c\": {\"d\": 1}}", "1:1:a 2:1:a.b 1:1:c 2:1:c.d "},
    {"{\"a\": [{\"b\": 1}, {\"c\": [{\"d\": 1}]}]}", "1:1:a 3:1:a.b 3:1:a.c 5:1:a.c.d "},
    {"[{\"a\": 1}]", "2:1:a "},
    {"{\"a\": {\"b\": {}}, \"c\": 1}", "1:1:a 2:1:a.b 1:1:c "},
    {"{\"a:{\": \"b\\\"{:\", \"c\": \"\\\\\"}", "1:1:a:{ 1:1:c "},
    {"{\"a\": \"x\ny\", \"b\": 1}", "1:1:a 1:1:b "}, /* no text that jansson takes */
    {"{\"a", ""},
    {"{\"a\": {\"b", "1:1:a "},
    {"}}{\"a\": 1", "1:1:a "},
    {"\"\\", ""},
};

LOOP_TEST(cursor_visits_these_keys, COUNT_OF(walks))
{
    char keys[512] = "", path[CONFIG_TEXT_BYTES];
    struct config_cursor cursor;

    config_cursor_init(&cursor, walks[_i].text, strlen(walks[_i].text));
    ck_assert_ptr_null(config_cursor_path(&cursor, path));
    while (config_cursor_next(&cursor)) {
        size_t used = strlen(keys);

        ck_assert_ptr_eq(config_cursor_path(&cursor, path), path);
        (void)snprintf(keys + used, sizeof(keys) - used, "%u:%u:%s ", cursor.depth, cursor.line,
                       path);
    }
    ck_assert_str_eq(keys, walks[_i].keys);
}

/* Of a cursor that came to the end of a text: the key that is open there. */
static const struct {
    const char *text, *path;
} ends[] = {
    {"{\"a\": 1, \"b\": {\"c\": 2", "b.c"},
    {"{\"a\": 1, \"b\": {\"c\": 2}", "b"},
    {"{\"a\": {\"b\": [1, [2", "a.b"},
    {"{\"a\": {\"b\": 1}}", NULL},
    {"[[[", NULL},
};

LOOP_TEST(end_of_a_text_lies_under_this_key, COUNT_OF(ends))
{
    struct config_cursor cursor;
    char path[CONFIG_TEXT_BYTES];

    config_cursor_init(&cursor, ends[_i].text, strlen(ends[_i].text));
    while (config_cursor_next(&cursor))
        continue;
    if (ends[_i].path == NULL)
        ck_assert_ptr_null(config_cursor_path(&cursor, path));
    else
        ck_assert_str_eq(config_cursor_path(&cursor, path), ends[_i].path);
}

TEST(any_depth_is_followed_and_the_first_keys_are_named)
{
    enum { DEPTH = 2000 };
    static char text[5 * DEPTH + 1];
    char path[CONFIG_TEXT_BYTES];
    struct config_cursor cursor;
    unsigned depth = 0;

    for (int i = 0; i < DEPTH; i++)
        memcpy(text + (size_t)5 * (size_t)i, "{\"k\":", 6);
    config_cursor_init(&cursor, text, strlen(text));
    while (config_cursor_next(&cursor))
        ck_assert_uint_eq(cursor.depth, ++depth);
    ck_assert_uint_eq(depth, DEPTH);
    ck_assert_uint_eq(strlen(config_cursor_path(&cursor, path)), 2 * CONFIG_KEYS_NAMED_MAX - 1);
}

TEST(long_names_are_cut_in_a_path)
{
    static char text[16 * 1000];
    char path[CONFIG_TEXT_BYTES];
    struct config_cursor cursor;
    size_t used = 0;

    for (int i = 0; i < 10; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "{\"%0*d\": ", 100 * i, 7);
    config_cursor_init(&cursor, text, used);
    while (config_cursor_next(&cursor))
        ck_assert_uint_lt(strlen(config_cursor_path(&cursor, path)), sizeof(path));
}

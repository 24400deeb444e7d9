/* SPDX-License-Identifier: MIT */
/* Files of another program than the broker, merged by a table of its own. The errors of single
 * texts: test_load.c. */
#include "config/merge.h"

#include "config/value.h"
#include "tests/suite.h"
#include "tests/unit/config/config_fixture.h"
#include "tests/unit/config/small_table.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A file, and two drop-ins, all of which may be missing. */
static void write_files(const char *const texts[3])
{
    static const char *const names[3] = {"a.json", "a.d/1.json", "a.d/2.json"};

    make_folder("a.d");
    for (int i = 0; i < 3; i++) {
        if (texts[i] != NULL)
            write_json(names[i], texts[i]);
    }
}

static void collect_line(const char *line, void *userdata)
{
    char *lines = userdata;
    const char *name =
        strstr(line, "a.json") != NULL ? strstr(line, "a.json") : strstr(line, "a.d");

    ck_assert_ptr_nonnull(name);
    (void)snprintf(lines + strlen(lines), 1024 - strlen(lines), "%s\n", name);
}

GROUP(merge, .fixtures = {{config_setup, config_teardown}});

static const struct {
    const char *texts[3];
    uint32_t number, power_bytes;
    const char *name;
    uint64_t given; /* a bit for each row */
} merges[] = {
    {{NULL, NULL, NULL}, 5, 4, NULL, 0},
    {{"{}", "{}", "{}"}, 5, 4, NULL, 0},
    {{"{'one': {'number': 5}}", NULL, NULL}, 5, 4, NULL, 1}, /* the default, but given */
    {{"{'one': {'number': 1}}", "{'one': {'number': 2}}", "{'one': {'number': 3}}"}, 3, 4, NULL, 1},
    {{"{'one': {'number': 1}}", NULL, "{'one': {'power_bytes': 8}}"}, 1, 8, NULL, 3},
    {{NULL, "{'other': {'name': 'ab'}}", "{'other': {'name': null}}"}, 5, 4, NULL, 32},
    {{NULL, "{'other': {'name': 'ab'}}", "{'one': {'number': 9}}"}, 9, 4, "ab", 33},
    /* more than the default of its limit, which a later file raises */
    {{"{'one': {'power_bytes': 16}}", NULL, "{'one': {'power_max': 16}}"}, 5, 16, NULL, 6},
};

LOOP_TEST(later_file_wins_key_by_key, COUNT_OF(merges))
{
    char lines[1024] = "";
    struct small *values;
    void *merged = NULL;
    uint64_t given = 7;

    write_files(merges[_i].texts);
    ck_assert_int_eq(
        config_merge(&small_table, main_path, false, &merged, &given, collect_line, lines), 0);
    values = merged;
    ck_assert_str_eq(lines, "");
    ck_assert_uint_eq(values->one.number, merges[_i].number);
    ck_assert_uint_eq(values->one.power_bytes, merges[_i].power_bytes);
    ck_assert_pstr_eq(values->other.name, merges[_i].name);
    ck_assert_uint_eq(given, merges[_i].given);
    config_values_free(&small_table, values);
}

static const struct {
    const char *texts[3];
    const char *lines;
} refusals[] = {
    {{"{'one': {'number': 0}}", "{'onr': 1}", "{'one':\n{'power_max': 7}}"},
     "a.json:1: one.number: must be a whole number from 1 to 9, not 0\n"
     "a.d/1.json:1: onr: unknown key; did you mean one?\n"
     "a.d/2.json:2: one.power_max: must be a power of two from 2 to 16, not 7\n"},
    {{"{'one': {'power_bytes': 16}}", NULL, NULL},
     "a.json:1: one.power_bytes: must be at most one.power_max, which is 8 (the default), not "
     "16\n"},
    {{"[", "[]", ""},
     "a.json:1: not valid JSON: ']' expected near end of file\n"
     "a.d/1.json: a config must be an object, not a list\n"
     "a.d/2.json: the file is empty; {} is the least that a config can be\n"},
    {{"{'one': {'number': 1,\n'number': 2}}", NULL, NULL},
     "a.json:2: one.number: given twice in one object\n"},
    {{NULL, "{'services': {'a.b': {'call': {'users':\n[1e999]}}}}", NULL},
     "a.d/1.json:2: services.a.b.call.users: the number is too large\n"},
};

LOOP_TEST(all_errors_of_all_files_are_reported, COUNT_OF(refusals))
{
    char lines[1024] = "";
    void *merged = NULL;
    uint64_t given = 7;

    write_files(refusals[_i].texts);
    ck_assert_int_eq(
        config_merge(&small_table, main_path, false, &merged, &given, collect_line, lines),
        -EINVAL);
    ck_assert_str_eq(lines, refusals[_i].lines);
    ck_assert_ptr_null(merged);
    ck_assert_uint_eq(given, 7);
}

TEST(file_may_have_to_exist)
{
    char lines[1024] = "";
    void *merged = NULL;
    uint64_t given;

    ck_assert_int_eq(
        config_merge(&small_table, main_path, true, &merged, &given, collect_line, lines), -EINVAL);
    ck_assert_str_eq(lines, "a.json: cannot be read: No such file or directory\n");
}

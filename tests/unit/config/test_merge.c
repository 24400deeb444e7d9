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

/* ---- lists ---- */

static const struct {
    const char *texts[3];
    size_t n_items;
    uint32_t last_number;
    const char *last_user;
} lists[] = {
    {{"{}", NULL, NULL}, 0, 0, NULL},
    {{"{'other': {'list': []}}", NULL, NULL}, 0, 0, NULL},
    {{"{'other': {'list': [{'number': 1, 'user': 'a'}]}}", NULL, NULL}, 1, 1, "a"},
    {{"{'other': {'list': [{'user': 4294967294, 'number': 9}]}}", NULL, NULL}, 1, 9, "4294967294"},
    {{"{'other': {'list': [{'number': 1, 'user': 'a'}, {'number': 2, 'user': 0}]}}", NULL, NULL},
     2,
     2,
     "0"},
    /* that of a later file takes its place */
    {{"{'other': {'list': [{'number': 1, 'user': 'a'}, {'number': 2, 'user': 'b'}]}}",
      "{'other': {'list': [{'number': 3, 'user': 'c'}]}}", NULL},
     1,
     3,
     "c"},
    {{"{'other': {'list': [{'number': 1, 'user': 'a'}]}}", NULL, "{'other': {'list': []}}"},
     0,
     0,
     NULL},
};

LOOP_TEST(list_has_the_objects_of_the_last_file, COUNT_OF(lists))
{
    char lines[1024] = "";
    void *merged = NULL;
    const struct config_list *list;
    uint64_t given;

    write_files(lists[_i].texts);
    ck_assert_int_eq(
        config_merge(&small_table, main_path, false, &merged, &given, collect_line, lines), 0);
    list = &((struct small *)merged)->other.list;
    ck_assert_uint_eq(list->n_items, lists[_i].n_items);
    if (list->n_items > 0) {
        const struct small_item *items = list->items;

        ck_assert_uint_eq(items[list->n_items - 1].number, lists[_i].last_number);
        ck_assert_str_eq(items[list->n_items - 1].user, lists[_i].last_user);
    }
    config_values_free(&small_table, merged);
}

static const struct {
    const char *text, *lines;
} wrong_lists[] = {
    {"{'other': {'list': {}}}",
     "a.json:1: other.list: must be a list of objects with number, user, "
     "not an object\n"},
    {"{'other': {'list': null}}", "a.json:1: other.list: must be a list of objects with number, "
                                  "user, not null\n"},
    {"{'other': {'list': [7]}}",
     "a.json:1: other.list[0]: must be an object with number, user, not 7\n"},
    {"{'other': {'list': [[{'number': 1}], {'number':\n1}]}}",
     "a.json:1: other.list[0]: must be an object with number, user, not a list\n"
     "a.json:1: other.list[1]: must have each of number, user\n"},
    {"{'other': {'list': [\n{'number': 0, \n'user': '12345'},\n{'nu': 1,\n'user': -1}],"
     " 'mode': 1}}",
     "a.json:2: other.list[0].number: must be a whole number from 1 to 9, not 0\n"
     "a.json:3: other.list[0].user: must be a user's name of 1 to 4 bytes, or a uid, not "
     "'12345'\n"
     "a.json:4: other.list[1].nu: unknown key; known here: number, user\n"
     "a.json:5: other.list[1].user: must be a user's name of 1 to 4 bytes, or a uid, not -1\n"
     "a.json:5: other.mode: must be an octal mode from '0000' to '0770', not 1\n"},
    {"{'other': {'list': [{'number': 1, 'user': 4294967295}]}}",
     "a.json:1: other.list[0].user: must be a user's name of 1 to 4 bytes, or a uid, not "
     "4294967295\n"},
    {"{'other': {'list': [{'number': {'number': {'number': 1}}, 'user': []}]}}",
     "a.json:1: other.list[0].number: must be a whole number from 1 to 9, not an object\n"
     "a.json:1: other.list[0].user: must be a user's name of 1 to 4 bytes, or a uid, not a list\n"},
};

LOOP_TEST(each_error_in_a_list_is_reported_with_its_place, COUNT_OF(wrong_lists))
{
    char lines[1024] = "";
    void *merged = NULL;
    uint64_t given;

    write_json("a.json", wrong_lists[_i].text);
    ck_assert_int_eq(
        config_merge(&small_table, main_path, false, &merged, &given, collect_line, lines),
        -EINVAL);
    for (char *at = lines; (at = strchr(at, '"')) != NULL;)
        *at = '\'';
    ck_assert_str_eq(lines, wrong_lists[_i].lines);
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

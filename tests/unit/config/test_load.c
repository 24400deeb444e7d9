/* SPDX-License-Identifier: MIT */
/* Texts that are wrong, and the lines that they get. */
#include "daemon/config/load.h"

#include "config/file.h"
#include "daemon/config/keys.h"
#include "tests/suite.h"
#include "tests/unit/config/config_fixture.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES_105                                                                                  \
    "12345678901234567890123456789012345678901234567890"                                           \
    "1234567890123456789012345678901234567890123456789012345"
/* ---- texts and their error lines ---- */

#define SECTIONS "control, slots, timeouts, dispatch, limits, log"

static const struct {
    const char *text;
    const char *lines;
} texts[] = {
    {"{'slots': {'cuont': 1}}", "F:1: slots.cuont: unknown key; did you mean slots.count?\n"},
    {"{'slots': {'COUNT': 1}}", "F:1: slots.COUNT: unknown key; did you mean slots.count?\n"},
    {"{'slots': {'ring_bytes': 1}}",
     "F:1: slots.ring_bytes: unknown key; did you mean slots.ring_bytes_max?\n"},
    {"{'log': {'spin_us': 1}}", "F:1: log.spin_us: unknown key; did you mean dispatch.spin_us?\n"},
    {"{'slot': {'count': 1}}", "F:1: slot: unknown key; did you mean slots?\n"},
    {"{'count': 1}", "F:1: count: unknown key; did you mean slots.count?\n"},
    {"{'slots.count': 1}",
     "F:1: slots.count: unknown key; write it as \"slots\": {\"count\": ...}\n"},
    {"{'frobnication': 1}", "F:1: frobnication: unknown key; known here: " SECTIONS "\n"},
    {"{'': 1}", "F:1: \"\": unknown key; known here: " SECTIONS "\n"},
    {"{'log': {'': 1}}", "F:1: log.\"\": unknown key; known here: level\n"},
    {"{'log': {'zzzzzzzzzz': 1}}", "F:1: log.zzzzzzzzzz: unknown key; known here: level\n"},
    {"{'services': {}}", "F:1: services: unknown key; known here: " SECTIONS "\n"},
    {"{'$schema': 1}", "F:1: $schema: must be a string, not 1\n"},
    {"{'slots': 5}", "F:1: slots: must be an object, not 5\n"},
    {"{'slots': [{'count': 0}]}", "F:1: slots: must be an object, not a list\n"},
    {"{'slots': null}", "F:1: slots: must be an object, not null\n"},
    {"{'slots': {'count': 0}}",
     "F:1: slots.count: must be a whole number from 1 to 65536, not 0\n"},
    {"{'slots': {'count': 1.5}}",
     "F:1: slots.count: must be a whole number from 1 to 65536, not 1.5\n"},
    {"{'slots': {'count': 1e1, 'per_uid': 65536.5}}",
     "F:1: slots.per_uid: must be a whole number from 0 to 65536, not 65536.5\n"},
    {"{'timeouts': {'drain_ms': '5s'}}",
     "F:1: timeouts.drain_ms: must be a whole number from 0 to 600000 ms, not \"5s\"\n"},
    {"{'slots': {'reply_ring_bytes': 5000}}",
     "F:1: slots.reply_ring_bytes: must be a power of two from 4096 to 1073741824 bytes, at most "
     "slots.ring_bytes_max, not 5000\n"},
    {"{'control': {'mode': true}}",
     "F:1: control.mode: must be an octal mode from \"0000\" to \"0777\", not true\n"},
    {"{'control': {'socket': {}}}",
     "F:1: control.socket: must be an absolute path of at most 107 bytes, not an object\n"},
    {"{'control': {'group': ''}}",
     "F:1: control.group: must be a name of 1 to 255 bytes, or null, not \"\"\n"},
    {"{'log': {'level': 'all'}}",
     "F:1: log.level: must be one of \"error\", \"warning\", \"info\", \"debug\", not \"all\"\n"},
    /* values are cut, and cannot write to the terminal */
    {"{'control': {'group': ['" BYTES_105 "'], 'socket': '" BYTES_105 "'}}",
     "F:1: control.group: must be a name of 1 to 255 bytes, or null, not a list\n"
     "F:1: control.socket: must be an absolute path of at most 107 bytes, not "
     "\"1234567890123456789012345678901234567890123456789012345678901234...\"\n"},
    {"{'log': {'level': '\\u001b[2J\\n\\u007f\\u009b\xc3\xa9'}}",
     "F:1: log.level: must be one of \"error\", \"warning\", \"info\", \"debug\", not "
     "\"?[2J????\xc3\xa9\"\n"},
    {"{'a\\nb': 1}", "F:1: a?b: unknown key; known here: " SECTIONS "\n"},
    /* every error, each on its line */
    {"{\n'slots':\n{'per_uid': 1, 'coun:{': '\\'[{:\\\\',\n'cnt': {'count': [{'z': {}}]},\n"
     "'count'\n:\n0},\n'w': {'v': {'u': 1}},\n\n'log': {'level': 1\n,'slots'\n:1},\n'control': 1}",
     "F:3: slots.coun:{: unknown key; did you mean slots.count?\n"
     "F:4: slots.cnt: unknown key; did you mean slots.count?\n"
     "F:5: slots.count: must be a whole number from 1 to 65536, not 0\n"
     "F:8: w: unknown key; known here: " SECTIONS "\n"
     "F:10: log.level: must be one of \"error\", \"warning\", \"info\", \"debug\", not 1\n"
     "F:11: log.slots: unknown key; known here: level\n"
     "F:13: control: must be an object, not 1\n"},
    /* not what JSON allows, or jansson */
    {"", "F: the file is empty; {} is the least that a config can be\n"},
    {" \n", "F:2: not valid JSON: unexpected token near end of file\n"},
    {"[]", "F: a config must be an object, not a list\n"},
    {"5", "F: a config must be an object, not 5\n"},
    {"'x'", "F: a config must be an object, not \"x\"\n"},
    {"null", "F: a config must be an object, not null\n"},
    {"{\n'slots': {},\n}", "F:3: not valid JSON: string or '}' expected near '}'\n"},
    {"{\n'slots': {", "F:2: not valid JSON: string or '}' expected near end of file\n"},
    {"{}\n{}", "F:2: not valid JSON: end of file expected near '{'\n"},
    {"{} // x", "F:1: not valid JSON: end of file expected near '/'\n"},
    {"\xef\xbb\xbf{}",
     "F:1: the file begins with a byte order mark, three bytes that no editor shows; save it as "
     "UTF-8 without one, or run sed -i '1s/^\\xEF\\xBB\\xBF//' on it\n"},
    {"\xff\xfe{", "F:1: the file is in UTF-16; save it as UTF-8\n"},
    {"\xfe\xff{", "F:1: the file is in UTF-16; save it as UTF-8\n"},
    /* characters that look like none, or like others */
    {"{\xc2\xa0}", "F:1: not valid JSON: string or '}' expected near '\xc2\xa0' (U+00A0)\n"},
    {"{}\n\xef\xbb\xbf{}",
     "F:2: not valid JSON: end of file expected near '\xef\xbb\xbf' (U+FEFF)\n"},
    {"{\xe2\x80\x9clog\": {}}",
     "F:1: not valid JSON: string or '}' expected near '\xe2\x80\x9c' (U+201C)\n"},
    {"{'log': \xf0\x9f\x92\xa5}",
     "F:1: not valid JSON: invalid token near '\xf0\x9f\x92\xa5' (U+1F4A5)\n"},
    {"{'control': {'group': '\xff'}}", "F:1: not valid JSON: unable to decode byte 0xff near"
                                       " '\"'\n"},
    {"{'control': {'group': '\xc0\x80'}}", "F:1: not valid JSON: unable to decode byte 0xc0 near"
                                           " '\"'\n"},
    {"{'control': {'group': 'a\x1b'}}", "F:1: not valid JSON: control character 0x1b near '\"a'\n"},
    {"{'control': {'group': '\\ud800'}}",
     "F:1: not valid JSON: invalid Unicode '\\uD800' near '\"\\ud800\"'\n"},
    {"{'control': {\n'group': 'a\\u0000b'}}",
     "F:2: control.group: must not contain the character \\u0000\n"},
    {"{'control': {\n'gr\\u0000oup': 'a'}}",
     "F:2: control.gr\\u0000oup: must not contain the character \\u0000\n"},
    {"{'slots': {}, 'control': {\n'backlog': 99999999999999999999}}",
     "F:2: control.backlog: the number is too large\n"},
    {"{'control': {'backlog': -99999999999999999999}}",
     "F:1: control.backlog: the number is too large\n"},
    {"{'control': {'backlog': 1e999}}", "F:1: control.backlog: the number is too large\n"},
    {"{'control': {'backlog': 1}, 'slots': [1e999]}", "F:1: slots: the number is too large\n"},
    {"{'slots': {'count': {'a': [{'b': 1}, {'c':\n1e999}]}}}",
     "F:2: slots.count.a.c: the number is too large\n"},
    {"{'slots': {'count': {'a': 1, 'a': 2}}}", "F:1: slots.count.a: given twice in one object\n"},
    {"{'slots': {'count': 1,\n'per_uid': 1,\n'count' : 2}}",
     "F:3: slots.count: given twice in one object\n"},
    {"{'slots': {'count': 1}, 'log': {},\n'slots': {}}", "F:2: slots: given twice in one object\n"},
};

GROUP(text, .timeout = 30, .fixtures = {{config_setup, config_teardown}});

LOOP_TEST(text_gives_these_error_lines, N_OF(texts))
{
    ck_assert_int_eq(load_json(texts[_i].text), -EINVAL);
    ck_assert_str_eq(errors, texts[_i].lines);
}

TEST(nul_byte_is_not_the_end)
{
    static const char text[] = "{\n}\0{\"x\": 1}";

    write_bytes("a.json", text, sizeof(text) - 1);

    ck_assert_int_eq(load(), -EINVAL);
    ck_assert_str_eq(errors, "F:2: not valid JSON: there is a NUL byte\n");
}

LOOP_TEST(deep_nesting_is_refused, 2)
{
    static char text[CONFIG_FILE_BYTES_MAX];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (_i == 0 ? "[[[[[" : "{\"a\":")[i % 5];
    write_bytes("a.json", text, sizeof(text));

    ck_assert_int_eq(load(), -EINVAL);
    ck_assert_ptr_nonnull(strstr(errors, "F:1: not valid JSON: maximum parsing depth reached"));
}

static void ignore(const char *line, void *userdata)
{
    (void)line;
    (*(unsigned *)userdata)++;
}

TEST(many_errors_cost_little)
{
    static char text[CONFIG_FILE_BYTES_MAX];
    struct config *loaded;
    unsigned lines = 0, n = 0;
    size_t used = 1;
    clock_t start;

    text[0] = '{';
    while (used + 64 < sizeof(text))
        used += (size_t)snprintf(text + used, 32, "%s\"k%u\":0\n", n == 0 ? "" : ",", n), n++;
    text[used++] = '}';
    write_bytes("a.json", text, used);

    start = clock();
    ck_assert_int_eq(config_load(main_path, true, &loaded, ignore, &lines), -EINVAL);
    ck_assert_uint_eq(lines, n);
    ck_assert_int_lt((clock() - start) / CLOCKS_PER_SEC,
                     10); /* a look from the start for each: minutes */
}

/* ---- one key against another ---- */

TEST(ring_over_the_largest_names_both_keys)
{
    make_folder("a.d");
    write_json("a.json", "{'slots': {'request_ring_bytes': 8192}}");
    write_json("a.d/1.json", "{'slots': {\n'ring_bytes_max': 4096}}");

    ck_assert_int_eq(load(), -EINVAL);
    ck_assert_str_eq(errors,
                     "F:1: slots.request_ring_bytes: must be at most slots.ring_bytes_max, which "
                     "is 4096 (D/a.d/1.json:2), not 8192\n"
                     "D/a.d/1.json:2: slots.ring_bytes_max: must be at least "
                     "slots.reply_ring_bytes, which is 65536 (the default), not 4096\n");
}

TEST(ring_over_the_default_of_the_largest)
{
    ck_assert_int_eq(load_json("{'slots': {'reply_ring_bytes': 33554432}}"), -EINVAL);
    ck_assert_str_eq(errors, "F:1: slots.reply_ring_bytes: must be at most slots.ring_bytes_max, "
                             "which is 16777216 (the default), not 33554432\n");
}

TEST(wrong_value_is_not_compared_too)
{
    ck_assert_int_eq(
        load_json("{'slots': {'reply_ring_bytes': 33554432, 'ring_bytes_max': 33554433}}"),
        -EINVAL);
    ck_assert_uint_eq(n_errors, 1);
}

/* ---- life ---- */

TEST(keys_that_a_file_gives_are_marked)
{
    ck_assert_int_eq(load_json("{'slots': {'count': 4096}, 'log': {}}"), 0);
    ck_assert_uint_eq(config->given, config_key_bit("slots.count"));
    ck_assert_int_eq(load_json("{}"), 0);
    ck_assert_uint_eq(config->given, 0);
}

TEST(no_config_can_be_freed) { ck_assert_ptr_null(config_free(NULL)); }

/* SPDX-License-Identifier: MIT */
/* The table of keys, and what a text gives: values or error lines. */
#include "config/file.h"
#include "daemon/config/keys.h"
#include "tests/suite.h"
#include "tests/unit/config/config_fixture.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

/* ---- the table ---- */

GROUP(table, .fixtures = {{config_setup, config_teardown}});

TEST(defaults_are_those_of_the_manual)
{
    ck_assert_int_eq(load_json("{}"), 0);

    ck_assert_str_eq(config->control.socket, "/run/fipc/control.sock");
    ck_assert_uint_eq(config->control.backlog, 1024);
    ck_assert_uint_eq(config->control.mode, 0660);
    ck_assert_ptr_null(config->control.group);
    ck_assert_uint_eq(config->slots.count, 4096);
    ck_assert_uint_eq(config->slots.per_uid, 0);
    ck_assert_uint_eq(config->slots.request_ring_bytes, 65536);
    ck_assert_uint_eq(config->slots.reply_ring_bytes, 65536);
    ck_assert_uint_eq(config->slots.ring_bytes_max, 16777216);
    ck_assert_uint_eq(config->timeouts.doorbell_ms, 5000);
    ck_assert_uint_eq(config->timeouts.idle_ms, 30000);
    ck_assert_uint_eq(config->timeouts.handler_ms, 30000);
    ck_assert_uint_eq(config->timeouts.drain_ms, 5000);
    ck_assert_uint_eq(config->dispatch.messages_per_turn, 64);
    ck_assert_uint_eq(config->dispatch.spin_us, 50);
    ck_assert_int_eq(config->log.level, LOG_INFO);
}

#define BYTES_105                                                                                  \
    "12345678901234567890123456789012345678901234567890"                                           \
    "1234567890123456789012345678901234567890123456789012345"
#define BYTES_255 BYTES_105 BYTES_105 "123456789012345678901234567890123456789012345"

/* Each key: its least and greatest value, and the next one on both sides. */
static const struct {
    const char *path;
    const char *value;
    bool is_allowed;
    const char *beside; /* what else the section holds */
} edges[] = {
    {"control.socket", "'/" BYTES_105 "6'", true, NULL},
    {"control.socket", "'/" BYTES_105 "67'", false, NULL},
    {"control.socket", "'/'", true, NULL},
    {"control.socket", "''", false, NULL},
    {"control.socket", "'run/control.sock'", false, NULL},
    {"control.backlog", "1", true, NULL},
    {"control.backlog", "65535", true, NULL},
    {"control.backlog", "0", false, NULL},
    {"control.backlog", "65536", false, NULL},
    {"control.mode", "'0000'", true, NULL},
    {"control.mode", "'0777'", true, NULL},
    {"control.mode", "'1000'", false, NULL},
    {"control.mode", "'0778'", false, NULL},
    {"control.mode", "'660'", false, NULL},
    {"control.mode", "'00660'", false, NULL},
    {"control.mode", "'0x10'", false, NULL},
    {"control.mode", "' 660'", false, NULL},
    {"control.mode", "432", false, NULL},
    {"control.group", "'g'", true, NULL},
    {"control.group", "null", true, NULL},
    {"control.group", "'" BYTES_255 "'", true, NULL},
    {"control.group", "'" BYTES_255 "6'", false, NULL},
    {"control.group", "''", false, NULL},
    {"slots.count", "1", true, NULL},
    {"slots.count", "65536", true, NULL},
    {"slots.count", "0", false, NULL},
    {"slots.count", "-1", false, NULL},
    {"slots.count", "65537", false, NULL},
    {"slots.count", "4294967297", false, NULL}, /* 1 if cut to 32 bits */
    {"slots.count", "9223372036854775807", false, NULL},
    {"slots.per_uid", "0", true, NULL},
    {"slots.per_uid", "65536", true, NULL},
    {"slots.per_uid", "-1", false, NULL},
    {"slots.per_uid", "65537", false, NULL},
    {"slots.request_ring_bytes", "4096", true, NULL},
    {"slots.request_ring_bytes", "1073741824", true, "'ring_bytes_max': 1073741824"},
    {"slots.request_ring_bytes", "2048", false, NULL},
    {"slots.request_ring_bytes", "4097", false, NULL},
    {"slots.request_ring_bytes", "2147483648", false, NULL},
    {"slots.reply_ring_bytes", "4096", true, NULL},
    {"slots.reply_ring_bytes", "1073741824", true, "'ring_bytes_max': 1073741824"},
    {"slots.reply_ring_bytes", "2048", false, NULL},
    {"slots.reply_ring_bytes", "4095", false, NULL},
    {"slots.reply_ring_bytes", "2147483648", false, NULL},
    {"slots.ring_bytes_max", "4096", true, "'request_ring_bytes': 4096, 'reply_ring_bytes': 4096"},
    {"slots.ring_bytes_max", "1073741824", true, NULL},
    {"slots.ring_bytes_max", "2048", false, NULL},
    {"slots.ring_bytes_max", "16777215", false, NULL},
    {"slots.ring_bytes_max", "2147483648", false, NULL},
    {"timeouts.doorbell_ms", "1", true, NULL},
    {"timeouts.doorbell_ms", "86400000", true, NULL},
    {"timeouts.doorbell_ms", "0", false, NULL},
    {"timeouts.doorbell_ms", "86400001", false, NULL},
    {"timeouts.idle_ms", "0", true, NULL},
    {"timeouts.idle_ms", "86400000", true, NULL},
    {"timeouts.idle_ms", "-1", false, NULL},
    {"timeouts.idle_ms", "86400001", false, NULL},
    {"timeouts.handler_ms", "1", true, NULL},
    {"timeouts.handler_ms", "86400000", true, NULL},
    {"timeouts.handler_ms", "0", false, NULL},
    {"timeouts.handler_ms", "86400001", false, NULL},
    {"timeouts.drain_ms", "0", true, NULL},
    {"timeouts.drain_ms", "600000", true, NULL},
    {"timeouts.drain_ms", "-1", false, NULL},
    {"timeouts.drain_ms", "600001", false, NULL},
    {"dispatch.messages_per_turn", "1", true, NULL},
    {"dispatch.messages_per_turn", "65536", true, NULL},
    {"dispatch.messages_per_turn", "0", false, NULL},
    {"dispatch.messages_per_turn", "65537", false, NULL},
    {"dispatch.spin_us", "0", true, NULL},
    {"dispatch.spin_us", "10000", true, NULL},
    {"dispatch.spin_us", "-1", false, NULL},
    {"dispatch.spin_us", "10001", false, NULL},
    {"log.level", "'error'", true, NULL},
    {"log.level", "'warning'", true, NULL},
    {"log.level", "'info'", true, NULL},
    {"log.level", "'debug'", true, NULL},
    {"log.level", "'INFO'", false, NULL},
    {"log.level", "'info '", false, NULL},
    {"log.level", "''", false, NULL},
    {"log.level", "6", false, NULL},
};

/* Gives one key a value. */
static int load_value(const struct config_key *key, const char *value, const char *beside)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "{'%s': {%s%s\n'%s':\n%s}}", key->section,
                   beside != NULL ? beside : "", beside != NULL ? "," : "", key->name, value);
    return load_json(text);
}

static void assert_refused(const struct config_key *key)
{
    char start[128], allowed[CONFIG_TEXT_BYTES];

    (void)snprintf(start, sizeof(start), "F:2: %s: must be ", key->path);
    ck_assert_uint_eq(n_errors, 1);
    ck_assert_msg(strncmp(errors, start, strlen(start)) == 0, "%s", errors);
    ck_assert_ptr_nonnull(strstr(errors, config_key_allowed(key, allowed)));
}

LOOP_TEST(range_ends_where_the_manual_says, N_OF(edges))
{
    const struct config_key *key = config_key_of_path(edges[_i].path);
    int r = load_value(key, edges[_i].value, edges[_i].beside);

    ck_assert_msg(r == (edges[_i].is_allowed ? 0 : -EINVAL), "%s: %s: %s", key->path,
                  edges[_i].value, errors);
    if (r < 0)
        assert_refused(key);
}

TEST(every_key_has_its_edges_tested)
{
    for (size_t i = 0; i < config_n_keys; i++) {
        unsigned allowed = 0, refused = 0;

        for (size_t j = 0; j < N_OF(edges); j++) {
            if (strcmp(edges[j].path, config_keys[i].path) == 0)
                edges[j].is_allowed ? allowed++ : refused++;
        }
        ck_assert_msg(allowed >= 2 && refused >= 2, "%s", config_keys[i].path);
    }
}

LOOP_TEST(value_of_a_wrong_type_is_refused, config_n_keys)
{
    static const char *const values[] = {"1.5", "4096.0", "true",   "false",
                                         "[]",  "{}",     "[4096]", "{'count': {'count': 1}}"};
    const struct config_key *key = &config_keys[_i];

    for (size_t i = 0; i < N_OF(values); i++) {
        ck_assert_int_eq(load_value(key, values[i], NULL), -EINVAL);
        assert_refused(key);
    }
    ck_assert_int_eq(load_value(key, "null", NULL), key->type == CONFIG_NAME ? 0 : -EINVAL);
    if (!config_type_is_text(key->type)) {
        ck_assert_int_eq(load_value(key, "'4096'", NULL), -EINVAL);
        assert_refused(key);
    }
    if (config_type_is_text(key->type) || key->type == CONFIG_MODE || key->type == CONFIG_CHOICE) {
        ck_assert_int_eq(load_value(key, "4", NULL), -EINVAL);
        assert_refused(key);
    }
}

TEST(table_is_sound)
{
    for (size_t i = 0; i < config_n_keys; i++) {
        const struct config_key *key = &config_keys[i];
        char text[CONFIG_TEXT_BYTES], suffix[32];

        ck_assert_int_eq(load_value(key, config_key_default(key, text), NULL), 0);
        ck_assert_uint_lt(strlen(config_key_allowed(key, text)), sizeof(text) - 1);
        ck_assert_ptr_eq(config_key_of_path(key->path), key); /* no other has the same */
        ck_assert_ptr_null(strpbrk(key->help, "\"\\|\n"));
        if (key->at_most != NULL)
            ck_assert_ptr_nonnull(config_key_of_path(key->at_most));
        if (key->unit == NULL)
            continue;
        (void)snprintf(suffix, sizeof(suffix), "_%s", key->unit);
        ck_assert_ptr_nonnull(strstr(key->name, suffix));
    }
}

TEST(values_reach_their_fields)
{
    ck_assert_int_eq(
        load_json("{'$schema': 'x', 'control': {'socket': '/s', 'backlog': 1, 'mode': '0602',"
                  "'group': 'g'}, 'slots': {'count': 2, 'per_uid': 1, 'request_ring_bytes': 4096,"
                  "'reply_ring_bytes': 8192, 'ring_bytes_max': 16384}, 'timeouts': {"
                  "'doorbell_ms': 3, 'idle_ms': 4, 'handler_ms': 5, 'drain_ms': 6}, 'dispatch': {"
                  "'messages_per_turn': 7, 'spin_us': 8}, 'log': {'level': 'warning'}}"),
        0);

    ck_assert_str_eq(config->control.socket, "/s");
    ck_assert_uint_eq(config->control.backlog, 1);
    ck_assert_uint_eq(config->control.mode, 0602);
    ck_assert_str_eq(config->control.group, "g");
    ck_assert_uint_eq(config->slots.count, 2);
    ck_assert_uint_eq(config->slots.per_uid, 1);
    ck_assert_uint_eq(config->slots.request_ring_bytes, 4096);
    ck_assert_uint_eq(config->slots.reply_ring_bytes, 8192);
    ck_assert_uint_eq(config->slots.ring_bytes_max, 16384);
    ck_assert_uint_eq(config->timeouts.doorbell_ms, 3);
    ck_assert_uint_eq(config->timeouts.idle_ms, 4);
    ck_assert_uint_eq(config->timeouts.handler_ms, 5);
    ck_assert_uint_eq(config->timeouts.drain_ms, 6);
    ck_assert_uint_eq(config->dispatch.messages_per_turn, 7);
    ck_assert_uint_eq(config->dispatch.spin_us, 8);
    ck_assert_int_eq(config->log.level, LOG_WARNING);
}

/* ---- texts and their error lines ---- */

#define SECTIONS "control, slots, timeouts, dispatch, log"

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
     "F:1: slots.count: must be a whole number from 1 to 65536, not the real number 1.5\n"},
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
    {"\xef\xbb\xbf{}", "F:1: not valid JSON: invalid token near '\xef\xbb\xbf'\n"},
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

/* ---- documents ---- */

static char *written_by(int (*write_document)(FILE *out))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(write_document(out), 0);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

GROUP(generated_docs, .fixtures = {{config_setup, config_teardown}});

TEST(schema_holds_every_key)
{
    char *text = written_by(config_write_schema);
    json_error_t error;
    json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    ck_assert_msg(schema != NULL, "%d: %s", error.line, error.text);
    for (size_t i = 0; i < config_n_keys; i++) {
        json_t *at = json_object_get(schema, "properties");

        at = json_object_get(json_object_get(at, config_keys[i].section), "properties");
        ck_assert_ptr_nonnull(json_object_get(at, config_keys[i].name));
    }
    json_decref(schema);
    free(text);
}

TEST(table_for_readers_has_a_row_for_each_key)
{
    char *text = written_by(config_write_markdown);
    size_t rows = 0;

    for (const char *at = text; *at != '\0'; at++)
        rows += *at == '\n' ? 1 : 0;
    ck_assert_uint_eq(rows, config_n_keys + 2);
    free(text);
}

TEST(full_disk_is_told)
{
    FILE *out = fopen("/dev/full", "we");

    ck_assert_int_eq(config_write_schema(out), -EIO);
    ck_assert_int_eq(config_write_markdown(out), -EIO);
    (void)fclose(out);
}

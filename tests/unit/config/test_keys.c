/* SPDX-License-Identifier: MIT */
/* The table of the broker's keys: defaults, and the edges of each. */
#include "daemon/config/keys.h"

#include "config/schema.h"
#include "tests/suite.h"
#include "tests/unit/config/config_fixture.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

GROUP(keys, .fixtures = {{config_setup, config_teardown}});

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
    ck_assert_uint_eq(config->slots.stranger_ring_bytes, 65536);
    ck_assert_uint_eq(config->timeouts.doorbell_ms, 5000);
    ck_assert_uint_eq(config->timeouts.idle_ms, 30000);
    ck_assert_uint_eq(config->timeouts.handler_ms, 30000);
    ck_assert_uint_eq(config->timeouts.drain_ms, 5000);
    ck_assert_uint_eq(config->dispatch.messages_per_turn, 64);
    ck_assert_uint_eq(config->dispatch.spin_us, 50);
    ck_assert_uint_eq(config->limits.owners.n_items, 0);
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
    {"slots.stranger_ring_bytes", "4096", true, NULL},
    {"slots.stranger_ring_bytes", "524288", true, NULL},
    {"slots.stranger_ring_bytes", "2048", false, NULL},
    {"slots.stranger_ring_bytes", "65537", false, NULL},
    {"slots.stranger_ring_bytes", "1048576", false, NULL}, /* both would hold a huge page */
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
    {"limits.owners", "[]", true, NULL},
    {"limits.owners", "[{'first': 1, 'count': 1, 'owner': 0}]", true, NULL},
    {"limits.owners", "[{'first': 4294967294, 'count': 4294967295, 'owner': 'a'}]", true, NULL},
    {"limits.owners", "0", false, NULL},
    {"limits.owners", "{}", false, NULL},
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
    const struct config_key *key = config_table_at(&config_table, edges[_i].path);
    int r = load_value(key, edges[_i].value, edges[_i].beside);

    ck_assert_msg(r == (edges[_i].is_allowed ? 0 : -EINVAL), "%s: %s: %s", key->path,
                  edges[_i].value, errors);
    if (r < 0)
        assert_refused(key);
}

TEST(every_key_has_its_edges_tested)
{
    for (size_t i = 0; i < config_table.n_keys; i++) {
        unsigned allowed = 0, refused = 0;

        for (size_t j = 0; j < N_OF(edges); j++) {
            if (strcmp(edges[j].path, config_table.keys[i].path) == 0)
                edges[j].is_allowed ? allowed++ : refused++;
        }
        ck_assert_msg(allowed >= 2 && refused >= 2, "%s", config_table.keys[i].path);
    }
}

LOOP_TEST(value_of_a_wrong_type_is_refused, config_table.n_keys)
{
    static const char *const values[] = {"1.5", "4096.5", "true",   "false",
                                         "[]",  "{}",     "[4096]", "{'count': {'count': 1}}"};
    const struct config_key *key = &config_table.keys[_i];

    for (size_t i = 0; i < N_OF(values); i++) {
        if (key->type == CONFIG_LIST && values[i][0] == '[')
            continue; /* see wrong_owners */
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

static const struct {
    const char *entry, *why;
} wrong_owners[] = {
    {"{'first': 0, 'count': 1, 'owner': 'a'}",
     "first: must be a whole number from 1 to 4294967294"},
    {"{'first': 4294967295, 'count': 1, 'owner': 'a'}", "first: must be "},
    {"{'first': 1, 'count': 0, 'owner': 'a'}",
     "count: must be a whole number from 1 to 4294967295"},
    {"{'first': 1, 'count': 4294967296, 'owner': 'a'}", "count: must be "},
    {"{'first': 1, 'count': 1, 'owner': ''}", "owner: must be a user's name of 1 to 255 bytes"},
    {"{'first': 1, 'count': 1, 'owner': -1}", "owner: must be "},
    {"{'first': 1, 'count': 1, 'owner': 4294967295}", "owner: must be "},
    {"{'first': 1, 'count': 1, 'owner': null}", "owner: must be "},
    {"{'first': 1, 'count': 1}", "must have each of first, count, owner"},
};

LOOP_TEST(owners_are_uids_and_a_user, N_OF(wrong_owners))
{
    char text[256];

    (void)snprintf(text, sizeof(text), "[%s]", wrong_owners[_i].entry);
    ck_assert_int_eq(load_value(config_table_at(&config_table, "limits.owners"), text, NULL),
                     -EINVAL);
    ck_assert_uint_eq(n_errors, 1);
    ck_assert_msg(strstr(errors, "limits.owners[0]") != NULL, "%s", errors);
    ck_assert_msg(strstr(errors, wrong_owners[_i].why) != NULL, "%s", errors);
}

TEST(table_is_sound)
{
    for (size_t i = 0; i < config_table.n_keys; i++) {
        const struct config_key *key = &config_table.keys[i];
        char text[CONFIG_TEXT_BYTES], suffix[32];

        ck_assert_int_eq(load_value(key, config_key_default(key, text), NULL), 0);
        ck_assert_uint_lt(strlen(config_key_allowed(key, text)), sizeof(text) - 1);
        ck_assert_ptr_eq(config_table_at(&config_table, key->path),
                         key); /* no other has the same */
        ck_assert_ptr_null(strpbrk(key->help, "\"\\|\n"));
        if (key->at_most != NULL)
            ck_assert_ptr_nonnull(config_table_at(&config_table, key->at_most));
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
                  "'reply_ring_bytes': 8192, 'ring_bytes_max': 16384,"
                  "'stranger_ring_bytes': 32768}, 'timeouts': {"
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
    ck_assert_uint_eq(config->slots.stranger_ring_bytes, 32768);
    ck_assert_uint_eq(config->timeouts.doorbell_ms, 3);
    ck_assert_uint_eq(config->timeouts.idle_ms, 4);
    ck_assert_uint_eq(config->timeouts.handler_ms, 5);
    ck_assert_uint_eq(config->timeouts.drain_ms, 6);
    ck_assert_uint_eq(config->dispatch.messages_per_turn, 7);
    ck_assert_uint_eq(config->dispatch.spin_us, 8);
    ck_assert_int_eq(config->log.level, LOG_WARNING);
}

TEST(each_key_has_a_bit_of_its_own)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < config_table.n_keys; i++) {
        uint64_t bit = config_key_bit(config_table.keys[i].path);

        ck_assert_uint_ne(bit, 0);
        ck_assert_uint_eq(bits & bit, 0);
        bits |= bit;
    }
}

TEST(schema_holds_every_key)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    json_error_t error;
    json_t *schema;

    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(config_write_schema(&config_table, out), 0);
    ck_assert_int_eq(fclose(out), 0);
    schema = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(schema != NULL, "%d: %s", error.line, error.text);
    for (size_t i = 0; i < config_table.n_keys; i++) {
        json_t *at = json_object_get(schema, "properties");

        at = json_object_get(json_object_get(at, config_table.keys[i].section), "properties");
        ck_assert_ptr_nonnull(json_object_get(at, config_table.keys[i].name));
    }
    json_decref(schema);
    free(text);
}

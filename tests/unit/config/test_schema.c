/* SPDX-License-Identifier: MIT */
/* The JSON Schema of a table. That schema and parser allow the same: test_config_schema. */
#include "config/schema.h"
#include "tests/suite.h"
#include "tests/unit/config/small_table.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text;
static size_t size;

static void write_document(void)
{
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(config_write_schema(&small_table, out), 0);
    ck_assert_int_eq(fclose(out), 0);
}

static void free_document(void) { free(text); }

GROUP(schema, .fixtures = {{write_document, free_document}});

static const struct {
    const char *section, *name;
    const char *rule; /* all of it, with ' for " */
} rules[] = {
    {"one", "number",
     "{'description': 'A number', 'type': 'integer', 'minimum': 1, 'maximum': 9, 'default': 5}"},
    {"one", "power_bytes",
     "{'description': 'A power; at most one.power_max', 'type': 'integer',"
     "'enum': [2, 4, 8, 16], 'default': 4}"},
    {"one", "power_max",
     "{'description': 'Its limit', 'type': 'integer', 'enum': [2, 4, 8, 16], 'default': 8}"},
    {"other", "mode",
     "{'description': 'A mode', 'type': 'string', 'pattern': '^0[0-7]{3}$', 'default': '0640'}"},
    {"other", "path",
     "{'description': 'A path', 'type': 'string', 'pattern': '^/', 'maxLength': 6,"
     "'default': '/x'}"},
    {"other", "name",
     "{'description': 'A name', 'type': ['string', 'null'], 'minLength': 2, 'maxLength': 4,"
     "'default': null}"},
    {"other", "choice",
     "{'description': 'A choice', 'type': 'string', 'enum': ['low', 'high'], 'default': 'high'}"},
    {"other", "list",
     "{'description': 'A list', 'type': 'array', 'items': {'type': 'object', 'properties': {"
     "'number': {'description': 'A number', 'type': 'integer', 'minimum': 1, 'maximum': 9},"
     "'user': {'description': 'A user', 'type': ['string', 'integer'], 'minLength': 1,"
     "'maxLength': 4, 'minimum': 0, 'maximum': 4294967294}}, 'required': ['number', 'user'],"
     "'additionalProperties': false}, 'default': []}"},
};

static json_t *parse(const char *json)
{
    json_error_t error;
    json_t *value = json_loads(json, JSON_REJECT_DUPLICATES, &error);

    ck_assert_msg(value != NULL, "%d: %s", error.line, error.text);
    return value;
}

LOOP_TEST(key_has_this_rule, COUNT_OF(rules))
{
    char json[1024];
    json_t *schema = parse(text), *wanted, *rule;

    (void)snprintf(json, sizeof(json), "%s", rules[_i].rule);
    for (char *at = json; (at = strchr(at, '\'')) != NULL;)
        *at = '"';
    wanted = parse(json);
    rule = json_object_get(json_object_get(schema, "properties"), rules[_i].section);
    ck_assert(json_is_false(json_object_get(rule, "additionalProperties")));
    rule = json_object_get(json_object_get(rule, "properties"), rules[_i].name);
    ck_assert_ptr_nonnull(rule);
    ck_assert(json_equal(rule, wanted));
    json_decref(wanted);
    json_decref(schema);
}

TEST(nothing_else_is_allowed_but_the_schemas_own_name)
{
    json_t *schema = parse(text), *properties = json_object_get(schema, "properties");

    ck_assert_str_eq(json_string_value(json_object_get(schema, "title")), small_table.title);
    ck_assert(json_is_false(json_object_get(schema, "additionalProperties")));
    ck_assert_uint_eq(json_object_size(properties), 3);
    ck_assert_ptr_nonnull(json_object_get(properties, "$schema"));
    json_decref(schema);
}

TEST(full_disk_is_an_error)
{
    FILE *out = fopen("/dev/full", "we");

    ck_assert_int_eq(config_write_schema(&small_table, out), -EIO);
    (void)fclose(out);
}

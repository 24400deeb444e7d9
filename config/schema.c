/* SPDX-License-Identifier: MIT */
/* The schema allows what the parser allows, but for two things that JSON Schema has no words for:
 * it counts characters where the parser counts bytes, and cannot compare one number with another.
 */
#include "config/schema.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Columns of: a section in the schema's "properties", a key in its section's, a rule of a key. */
#define ENTRY_AT 8
#define MEMBER_AT 16
#define INDENT 4

static void __attribute__((format(printf, 3, 4)))
put(FILE *out, int column, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fprintf(out, "%*s", column, "");
    (void)vfprintf(out, format, arguments);
    va_end(arguments);
}

static void write_enum_of_powers(const struct config_key *key, FILE *out, int column)
{
    put(out, column, "\"type\": \"integer\",\n");
    put(out, column, "\"enum\": [");
    for (uint64_t power = key->min; power <= key->max; power *= 2)
        (void)fprintf(out, "%s%llu", power == key->min ? "" : ", ", (unsigned long long)power);
    (void)fprintf(out, "]");
}

static void write_enum_of_choices(const struct config_key *key, FILE *out, int column)
{
    put(out, column, "\"type\": \"string\",\n");
    put(out, column, "\"enum\": [");
    for (const struct config_choice *choice = key->choices; choice->name != NULL; choice++)
        (void)fprintf(out, "%s\"%s\"", choice == key->choices ? "" : ", ", choice->name);
    (void)fprintf(out, "]");
}

static void write_range(const char *least, const char *greatest, uint32_t min, uint32_t max,
                        FILE *out, int column)
{
    put(out, column, "\"%s\": %u,\n", least, min);
    put(out, column, "\"%s\": %u", greatest, max);
}

/* Of anything but a list; without the end of its last line. */
static void write_plain_type(const struct config_key *key, FILE *out, int column)
{
    switch (key->type) {
    case CONFIG_NUMBER:
        put(out, column, "\"type\": \"integer\",\n");
        write_range("minimum", "maximum", key->min, key->max, out, column);
        break;
    case CONFIG_POWER_OF_TWO:
        write_enum_of_powers(key, out, column);
        break;
    case CONFIG_MODE:
        put(out, column, "\"type\": \"string\",\n");
        put(out, column, "\"pattern\": \"^0[0-7]{3}$\"");
        break;
    case CONFIG_PATH:
        put(out, column, "\"type\": \"string\",\n");
        put(out, column, "\"pattern\": \"^/\",\n");
        put(out, column, "\"maxLength\": %u", key->max);
        break;
    case CONFIG_NAME:
        put(out, column, "\"type\": [\"string\", \"null\"],\n");
        write_range("minLength", "maxLength", key->min, key->max, out, column);
        break;
    case CONFIG_CHOICE:
        write_enum_of_choices(key, out, column);
        break;
    case CONFIG_USER:
        put(out, column, "\"type\": [\"string\", \"integer\"],\n");
        write_range("minLength", "maxLength", key->min, key->max, out, column);
        (void)fprintf(out, ",\n");
        write_range("minimum", "maximum", 0, UINT32_MAX - 1, out, column);
        break;
    case CONFIG_LIST: /* write_items() */
        break;
    }
}

/* The objects of a list, which have no list among their members. */
static void write_items(const struct config_key *list, FILE *out, int column)
{
    const int inner = column + INDENT, member = inner + INDENT;

    put(out, column, "\"type\": \"array\",\n");
    put(out, column, "\"items\": {\n");
    put(out, inner, "\"type\": \"object\",\n");
    put(out, inner, "\"properties\": {\n");
    for (size_t i = 0; i < list->n_members; i++) {
        put(out, member, "\"%s\": {\n", list->members[i].name);
        put(out, member + INDENT, "\"description\": \"%s\",\n", list->members[i].help);
        write_plain_type(&list->members[i], out, member + INDENT);
        (void)fprintf(out, "\n");
        put(out, member, i + 1 < list->n_members ? "},\n" : "}\n");
    }
    put(out, inner, "},\n");
    put(out, inner, "\"required\": [");
    for (size_t i = 0; i < list->n_members; i++)
        (void)fprintf(out, "%s\"%s\"", i == 0 ? "" : ", ", list->members[i].name);
    (void)fprintf(out, "],\n");
    put(out, inner, "\"additionalProperties\": false\n");
    put(out, column, "}");
}

/* Without the end of its last line. */
static void write_type(const struct config_key *key, FILE *out, int column)
{
    if (key->type == CONFIG_LIST)
        write_items(key, out, column);
    else
        write_plain_type(key, out, column);
}

static void write_key(const struct config_key *key, FILE *out)
{
    const int rule = MEMBER_AT + INDENT;
    char text[CONFIG_TEXT_BYTES];

    put(out, MEMBER_AT, "\"%s\": {\n", key->name);
    put(out, rule, "\"description\": \"%s", key->help);
    if (key->at_most != NULL)
        (void)fprintf(out, "; at most %s", key->at_most);
    (void)fprintf(out, "\",\n");
    write_type(key, out, rule);
    (void)fprintf(out, ",\n");
    put(out, rule, "\"default\": %s\n", config_key_default(key, text));
    put(out, MEMBER_AT, "}");
}

static void write_section_begin(const struct config_key *key, FILE *out)
{
    (void)fprintf(out, ",\n");
    put(out, ENTRY_AT, "\"%s\": {\n", key->section);
    put(out, ENTRY_AT + INDENT, "\"type\": \"object\",\n");
    put(out, ENTRY_AT + INDENT, "\"properties\": {\n");
}

static void write_section_end(FILE *out)
{
    (void)fprintf(out, "\n");
    put(out, ENTRY_AT + INDENT, "},\n");
    put(out, ENTRY_AT + INDENT, "\"additionalProperties\": false\n");
    put(out, ENTRY_AT, "}");
}

int config_write_schema(const struct config_table *table, FILE *out)
{
    (void)fprintf(out,
                  "{\n"
                  "    \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                  "    \"title\": \"%s\",\n"
                  "    \"type\": \"object\",\n"
                  "    \"properties\": {\n"
                  "        \"$schema\": {\n"
                  "            \"description\": \"For editors; the broker does not read it\",\n"
                  "            \"type\": \"string\"\n"
                  "        }",
                  table->title);
    for (size_t i = 0; i < table->n_keys; i++) {
        if (config_table_begins_section(table, i))
            write_section_begin(&table->keys[i], out);
        write_key(&table->keys[i], out);
        if (config_table_ends_section(table, i))
            write_section_end(out);
        else
            (void)fprintf(out, ",\n");
    }
    (void)fprintf(out, "\n    },\n    \"additionalProperties\": false\n}\n");
    /* Checked once, here: a stream remembers that it failed. */
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

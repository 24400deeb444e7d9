/* SPDX-License-Identifier: MIT */
/* The schema allows what the parser allows, but for two things that JSON Schema has no words for:
 * it counts characters where the parser counts bytes, and cannot compare one number with another.
 */
#include "config/schema.h"

#include <errno.h>
#include <string.h>

#define ENTRY "        "          /* a section, in the schema's "properties" */
#define MEMBER "                " /* a key, in its section's "properties" */
#define RULE "                    "

static void write_enum_of_powers(const struct config_key *key, FILE *out)
{
    (void)fprintf(out, RULE "\"type\": \"integer\",\n" RULE "\"enum\": [");
    for (uint64_t power = key->min; power <= key->max; power *= 2)
        (void)fprintf(out, "%s%llu", power == key->min ? "" : ", ", (unsigned long long)power);
    (void)fprintf(out, "],\n");
}

static void write_enum_of_choices(const struct config_key *key, FILE *out)
{
    (void)fprintf(out, RULE "\"type\": \"string\",\n" RULE "\"enum\": [");
    for (const struct config_choice *choice = key->choices; choice->name != NULL; choice++)
        (void)fprintf(out, "%s\"%s\"", choice == key->choices ? "" : ", ", choice->name);
    (void)fprintf(out, "],\n");
}

static void write_type(const struct config_key *key, FILE *out)
{
    switch (key->type) {
    case CONFIG_NUMBER:
        (void)fprintf(out,
                      RULE "\"type\": \"integer\",\n" RULE "\"minimum\": %u,\n" RULE
                           "\"maximum\": %u,\n",
                      key->min, key->max);
        break;
    case CONFIG_POWER_OF_TWO:
        write_enum_of_powers(key, out);
        break;
    case CONFIG_MODE:
        (void)fprintf(out, RULE "\"type\": \"string\",\n" RULE "\"pattern\": \"^0[0-7]{3}$\",\n");
        break;
    case CONFIG_PATH:
        (void)fprintf(out,
                      RULE "\"type\": \"string\",\n" RULE "\"pattern\": \"^/\",\n" RULE
                           "\"maxLength\": %u,\n",
                      key->max);
        break;
    case CONFIG_NAME:
        (void)fprintf(out,
                      RULE "\"type\": [\"string\", \"null\"],\n" RULE "\"minLength\": %u,\n" RULE
                           "\"maxLength\": %u,\n",
                      key->min, key->max);
        break;
    case CONFIG_CHOICE:
        write_enum_of_choices(key, out);
        break;
    }
}

static void write_key(const struct config_key *key, FILE *out)
{
    char text[CONFIG_TEXT_BYTES];

    (void)fprintf(out, MEMBER "\"%s\": {\n" RULE "\"description\": \"%s", key->name, key->help);
    if (key->at_most != NULL)
        (void)fprintf(out, "; at most %s", key->at_most);
    (void)fprintf(out, "\",\n");
    write_type(key, out);
    (void)fprintf(out, RULE "\"default\": %s\n" MEMBER "}", config_key_default(key, text));
}

int config_write_schema(const struct config_table *table, FILE *out)
{
    (void)fprintf(out,
                  "{\n"
                  "    \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                  "    \"title\": \"%s\",\n"
                  "    \"type\": \"object\",\n"
                  "    \"properties\": {\n" ENTRY "\"$schema\": {\n" ENTRY
                  "    \"description\": \"For editors; the broker does not read it\",\n" ENTRY
                  "    \"type\": \"string\"\n" ENTRY "}",
                  table->title);
    for (size_t i = 0; i < table->n_keys; i++) {
        if (config_table_begins_section(table, i))
            (void)fprintf(out,
                          ",\n" ENTRY "\"%s\": {\n" ENTRY "    \"type\": \"object\",\n" ENTRY
                          "    \"properties\": {\n",
                          table->keys[i].section);
        write_key(&table->keys[i], out);
        if (config_table_ends_section(table, i))
            (void)fprintf(out, "\n" ENTRY "    },\n" ENTRY
                               "    \"additionalProperties\": false\n" ENTRY "}");
        else
            (void)fprintf(out, ",\n");
    }
    (void)fprintf(out, "\n    },\n    \"additionalProperties\": false\n}\n");
    /* Checked once, here: a stream remembers that it failed. */
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

/* SPDX-License-Identifier: MIT */
/* The table of keys as documents: a JSON Schema for editors and checkers, a table for readers. The
 * schema says what the parser says, except what JSON Schema has no words for: it counts characters
 * where the parser counts bytes, and one number cannot be compared with another. The table's texts
 * hold nothing that would have to be escaped in JSON or Markdown. */
#include "daemon/config/keys.h"

#include <errno.h>
#include <string.h>

#define ENTRY "        "          /* a section, in the schema's "properties" */
#define MEMBER "                " /* a key, in its section's "properties" */
#define RULE "                    "

/* Output is checked once, at the end: a stream remembers that it failed. */
static int finish(FILE *out) { return fflush(out) != 0 || ferror(out) ? -EIO : 0; }

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

static bool is_first_of_section(size_t i)
{
    return i == 0 || strcmp(config_keys[i - 1].section, config_keys[i].section) != 0;
}

static bool is_last_of_section(size_t i)
{
    return i + 1 == config_n_keys || is_first_of_section(i + 1);
}

int config_write_schema(FILE *out)
{
    (void)fprintf(out, "{\n"
                       "    \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                       "    \"title\": \"Configuration of fipcd, the fipc message broker\",\n"
                       "    \"type\": \"object\",\n"
                       "    \"properties\": {\n" ENTRY "\"$schema\": {\n" ENTRY
                       "    \"description\": \"For editors; the broker does not read it\",\n" ENTRY
                       "    \"type\": \"string\"\n" ENTRY "}");
    for (size_t i = 0; i < config_n_keys; i++) {
        if (is_first_of_section(i))
            (void)fprintf(out,
                          ",\n" ENTRY "\"%s\": {\n" ENTRY "    \"type\": \"object\",\n" ENTRY
                          "    \"properties\": {\n",
                          config_keys[i].section);
        write_key(&config_keys[i], out);
        if (is_last_of_section(i))
            (void)fprintf(out, "\n" ENTRY "    },\n" ENTRY
                               "    \"additionalProperties\": false\n" ENTRY "}");
        else
            (void)fprintf(out, ",\n");
    }
    (void)fprintf(out, "\n    },\n    \"additionalProperties\": false\n}\n");
    return finish(out);
}

int config_write_markdown(FILE *out)
{
    char value[CONFIG_TEXT_BYTES], allowed[CONFIG_TEXT_BYTES];

    (void)fprintf(out, "| Key | Default | Allowed | Meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < config_n_keys; i++) {
        const struct config_key *key = &config_keys[i];

        (void)fprintf(out, "| `%s` | `%s` | %s | %s |\n", key->path, config_key_default(key, value),
                      config_key_allowed(key, allowed), key->help);
    }
    return finish(out);
}

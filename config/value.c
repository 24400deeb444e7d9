/* SPDX-License-Identifier: MIT */
#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_BYTES_MAX 64

static int set_defaults(const struct config_table *table, void *values)
{
    for (size_t i = 0; i < table->n_keys; i++) {
        const struct config_key *key = &table->keys[i];
        void *field = config_field(values, key);

        if (key->type == CONFIG_LIST) {
            *(struct config_list *)field = (struct config_list){.n_items = 0};
        } else if (key->type == CONFIG_CHOICE) {
            *(int *)field = (int)key->value.number;
        } else if (!config_type_is_text(key->type)) {
            *(uint32_t *)field = (uint32_t)key->value.number;
        } else if (key->value.text != NULL) {
            *(char **)field = strdup(key->value.text);
            if (*(char **)field == NULL)
                return -ENOMEM;
        }
    }
    return 0;
}

void *config_values_new(const struct config_table *table)
{
    void *values = calloc(1, table->values_bytes);

    if (values != NULL && set_defaults(table, values) < 0)
        return config_values_free(table, values);
    return values;
}

void config_list_deinit(const struct config_key *key, struct config_list *list)
{
    for (size_t i = 0; i < list->n_items; i++) {
        for (size_t j = 0; j < key->n_members; j++) {
            if (config_type_is_text(key->members[j].type))
                free(*(char **)config_field(config_item(key, list, i), &key->members[j]));
        }
    }
    free(list->items);
    *list = (struct config_list){.n_items = 0};
}

void *config_values_free(const struct config_table *table, void *values)
{
    if (values == NULL)
        return NULL;
    for (size_t i = 0; i < table->n_keys; i++) {
        if (config_type_is_text(table->keys[i].type))
            free(*(char **)config_field(values, &table->keys[i]));
        else if (table->keys[i].type == CONFIG_LIST)
            config_list_deinit(&table->keys[i], config_field(values, &table->keys[i]));
    }
    free(values);
    return NULL;
}

static bool in_range(const struct config_key *key, json_int_t number)
{
    return number >= key->min && number <= key->max;
}

/* JSON has one kind of number, of which 10.0 and 1e1 are other spellings: jansson's two kinds
 * follow the spelling. Return: whether the value is a whole number that may be in a key's range */
static bool whole_number(const json_t *value, json_int_t *ret_number)
{
    double real = json_real_value(value);

    if (json_is_integer(value)) {
        *ret_number = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value) || real < -(double)UINT32_MAX || real > (double)UINT32_MAX)
        return false;
    *ret_number = (json_int_t)real;
    return (double)*ret_number == real;
}

static int store_number(uint32_t *field, const struct config_key *key, const json_t *value)
{
    json_int_t number;

    if (!whole_number(value, &number) || !in_range(key, number))
        return -EINVAL;
    if (key->type == CONFIG_POWER_OF_TWO && (number & (number - 1)) != 0)
        return -EINVAL;
    *field = (uint32_t)number;
    return 0;
}

static int store_mode(uint32_t *field, const struct config_key *key, const json_t *value)
{
    const char *text = json_string_value(value);
    unsigned long mode;

    if (text == NULL || text[0] != '0' || strlen(text) != 4 || strspn(text, "01234567") != 4)
        return -EINVAL;
    mode = strtoul(text, NULL, 8);
    if (!in_range(key, (json_int_t)mode))
        return -EINVAL;
    *field = (uint32_t)mode;
    return 0;
}

static int store_text(char **field, const struct config_key *key, const json_t *value)
{
    const char *text = json_string_value(value);
    char *copy = NULL;

    if (text == NULL) {
        if (key->type != CONFIG_NAME || !json_is_null(value))
            return -EINVAL;
    } else {
        if (!in_range(key, (json_int_t)strlen(text)))
            return -EINVAL;
        if (key->type == CONFIG_PATH && text[0] != '/')
            return -EINVAL;
        copy = strdup(text);
        if (copy == NULL)
            return -ENOMEM;
    }
    free(*field);
    *field = copy;
    return 0;
}

/* A uid becomes text, as a name is. -1 is no uid. */
static int store_user(char **field, const struct config_key *key, const json_t *value)
{
    json_int_t uid = json_integer_value(value);
    char *text;

    if (!json_is_integer(value))
        return json_is_string(value) ? store_text(field, key, value) : -EINVAL;
    if (uid < 0 || uid >= UINT32_MAX)
        return -EINVAL;
    if (asprintf(&text, "%lld", (long long)uid) < 0)
        return -ENOMEM;
    free(*field);
    *field = text;
    return 0;
}

static int store_choice(int *field, const struct config_key *key, const json_t *value)
{
    const char *text = json_string_value(value);

    for (const struct config_choice *choice = key->choices; choice->name != NULL; choice++) {
        if (text != NULL && strcmp(choice->name, text) == 0) {
            *field = choice->value;
            return 0;
        }
    }
    return -EINVAL;
}

int config_store(void *values, const struct config_key *key, const json_t *value)
{
    void *field = config_field(values, key);

    switch (key->type) {
    case CONFIG_NUMBER:
    case CONFIG_POWER_OF_TWO:
        return store_number(field, key, value);
    case CONFIG_MODE:
        return store_mode(field, key, value);
    case CONFIG_PATH:
    case CONFIG_NAME:
        return store_text(field, key, value);
    case CONFIG_CHOICE:
        return store_choice(field, key, value);
    case CONFIG_USER:
        return store_user(field, key, value);
    case CONFIG_LIST:
        break;
    }
    return -EINVAL;
}

const char *config_shorten(const char *text, char buffer[CONFIG_TEXT_BYTES])
{
    bool is_long = strlen(text) > SHOWN_BYTES_MAX;

    (void)snprintf(buffer, CONFIG_TEXT_BYTES, "%.*s%s", SHOWN_BYTES_MAX, text,
                   is_long ? "..." : "");
    return buffer;
}

/* The shortest text that means this number alone: 65536.00000000001 must not read 65536. */
static const char *describe_real(double real, char buffer[CONFIG_TEXT_BYTES])
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(buffer, CONFIG_TEXT_BYTES, "%.*g", digits, real);
        if (strtod(buffer, NULL) == real)
            break;
    }
    return buffer;
}

const char *config_describe(const json_t *value, char buffer[CONFIG_TEXT_BYTES])
{
    char shortened[CONFIG_TEXT_BYTES];

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        (void)snprintf(buffer, CONFIG_TEXT_BYTES, "\"%.*s\"", CONFIG_TEXT_BYTES - 3,
                       config_shorten(json_string_value(value), shortened));
        return buffer;
    case JSON_INTEGER:
        (void)snprintf(buffer, CONFIG_TEXT_BYTES, "%lld", (long long)json_integer_value(value));
        return buffer;
    case JSON_REAL:
        return describe_real(json_real_value(value), buffer);
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        break;
    }
    return "null";
}

/* SPDX-License-Identifier: MIT */
#include "config/table.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct config_key *config_table_find(const struct config_table *table, const char *section,
                                           const char *name)
{
    for (size_t i = 0; i < table->n_keys; i++) {
        if (strcmp(table->keys[i].section, section) == 0 &&
            (name == NULL || strcmp(table->keys[i].name, name) == 0))
            return &table->keys[i];
    }
    return NULL;
}

const struct config_key *config_table_at(const struct config_table *table, const char *path)
{
    for (size_t i = 0; i < table->n_keys; i++) {
        if (strcmp(table->keys[i].path, path) == 0)
            return &table->keys[i];
    }
    assert(false); /* the program names a path that its table does not have */
    return NULL;
}

bool config_table_begins_section(const struct config_table *table, size_t row)
{
    return row == 0 || strcmp(table->keys[row - 1].section, table->keys[row].section) != 0;
}

bool config_table_ends_section(const struct config_table *table, size_t row)
{
    return row + 1 == table->n_keys || config_table_begins_section(table, row + 1);
}

/* Appends like snprintf(3), cutting text that does not fit. */
static void __attribute__((format(printf, 2, 3)))
append(char buffer[CONFIG_TEXT_BYTES], const char *format, ...)
{
    size_t used = strlen(buffer);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(buffer + used, CONFIG_TEXT_BYTES - used, format, arguments);
    va_end(arguments);
}

static void append_range(char buffer[CONFIG_TEXT_BYTES], const struct config_key *key)
{
    append(buffer, " from %u to %u", key->min, key->max);
    if (key->unit != NULL)
        append(buffer, " %s", key->unit);
    if (key->at_most != NULL)
        append(buffer, ", at most %s", key->at_most);
}

static void append_members(char buffer[CONFIG_TEXT_BYTES], const struct config_key *list)
{
    for (size_t i = 0; i < list->n_members; i++)
        append(buffer, "%s%s", i == 0 ? "" : ", ", list->members[i].name);
}

const char *config_key_allowed(const struct config_key *key, char buffer[CONFIG_TEXT_BYTES])
{
    buffer[0] = '\0';
    switch (key->type) {
    case CONFIG_NUMBER:
        append(buffer, "a whole number");
        append_range(buffer, key);
        break;
    case CONFIG_POWER_OF_TWO:
        append(buffer, "a power of two");
        append_range(buffer, key);
        break;
    case CONFIG_MODE:
        append(buffer, "an octal mode from \"%04o\" to \"%04o\"", key->min, key->max);
        break;
    case CONFIG_PATH:
        append(buffer, "an absolute path of at most %u bytes", key->max);
        break;
    case CONFIG_NAME:
        append(buffer, "a name of %u to %u bytes, or null", key->min, key->max);
        break;
    case CONFIG_CHOICE:
        for (const struct config_choice *choice = key->choices; choice->name != NULL; choice++)
            append(buffer, "%s\"%s\"", choice == key->choices ? "one of " : ", ", choice->name);
        break;
    case CONFIG_USER:
        append(buffer, "a user's name of %u to %u bytes, or a uid", key->min, key->max);
        break;
    case CONFIG_LIST:
        append(buffer, "a list of objects with ");
        append_members(buffer, key);
        break;
    }
    return buffer;
}

const char *config_key_default(const struct config_key *key, char buffer[CONFIG_TEXT_BYTES])
{
    buffer[0] = '\0';
    switch (key->type) {
    case CONFIG_NUMBER:
    case CONFIG_POWER_OF_TWO:
        append(buffer, "%lld", (long long)key->value.number);
        break;
    case CONFIG_MODE:
        append(buffer, "\"%04o\"", (unsigned)key->value.number);
        break;
    case CONFIG_PATH:
    case CONFIG_NAME:
    case CONFIG_USER:
        if (key->value.text == NULL)
            append(buffer, "null");
        else
            append(buffer, "\"%s\"", key->value.text);
        break;
    case CONFIG_CHOICE:
        for (const struct config_choice *choice = key->choices; choice->name != NULL; choice++) {
            if (choice->value == key->value.number)
                append(buffer, "\"%s\"", choice->name);
        }
        break;
    case CONFIG_LIST:
        append(buffer, "[]");
        break;
    }
    return buffer;
}

#define NEAR_BYTES_MAX 64

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The least number of letters to change, insert or delete (Levenshtein); case does not count.
 * Return: SIZE_MAX: one of the names is too long to be worth it. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NEAR_BYTES_MAX + 1];
    size_t a_size = strlen(a), b_size = strlen(b);

    if (a_size > NEAR_BYTES_MAX || b_size > NEAR_BYTES_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t changed = diagonal + (same ? 0 : 1);

            diagonal = row[j];
            row[j] = smaller(changed, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_size];
}

/* Keeps the best of the candidates that are near enough. */
struct nearest {
    const char *name; /* the unknown one */
    size_t distance;
    const struct config_key *key; /* NULL: none yet */
};

static void consider(struct nearest *nearest, const struct config_key *key, const char *candidate)
{
    size_t distance = edit_distance(nearest->name, candidate);

    /* Farther than half the name, it is another word. */
    if (distance <= (strlen(nearest->name) + 1) / 2 && distance < nearest->distance) {
        nearest->distance = distance;
        nearest->key = key;
    }
}

const char *config_table_nearest(const struct config_table *table, const char *section,
                                 const char *name, char buffer[CONFIG_TEXT_BYTES])
{
    struct nearest nearest = {.name = name, .distance = SIZE_MAX};

    buffer[0] = '\0';
    for (size_t i = 0; i < table->n_keys; i++) {
        const struct config_key *key = &table->keys[i];

        if (section == NULL)
            consider(&nearest, key, key->section);
        else if (strcmp(section, key->section) == 0)
            consider(&nearest, key, key->name);
    }
    if (nearest.key != NULL) {
        append(buffer, "%s", section == NULL ? nearest.key->section : nearest.key->path);
        return buffer;
    }
    for (size_t i = 0; i < table->n_keys; i++)
        consider(&nearest, &table->keys[i], table->keys[i].name);
    if (nearest.key == NULL)
        return NULL;
    append(buffer, "%s", nearest.key->path);
    return buffer;
}

const char *config_table_list(const struct config_table *table, const char *section,
                              char buffer[CONFIG_TEXT_BYTES])
{
    const char *previous = NULL;

    buffer[0] = '\0';
    for (size_t i = 0; i < table->n_keys; i++) {
        const struct config_key *key = &table->keys[i];
        const char *item = section == NULL ? key->section : key->name;

        if (section != NULL && strcmp(section, key->section) != 0)
            continue;
        if (previous == NULL || strcmp(previous, item) != 0)
            append(buffer, "%s%s", previous == NULL ? "" : ", ", item);
        previous = item;
    }
    return buffer;
}

const struct config_key *config_member_find(const struct config_key *list, const char *name)
{
    for (size_t i = 0; i < list->n_members; i++) {
        if (strcmp(list->members[i].name, name) == 0)
            return &list->members[i];
    }
    return NULL;
}

const char *config_member_list(const struct config_key *list, char buffer[CONFIG_TEXT_BYTES])
{
    buffer[0] = '\0';
    append_members(buffer, list);
    return buffer;
}

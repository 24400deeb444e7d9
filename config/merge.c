/* SPDX-License-Identifier: MIT */
/* Each file is laid over the defaults, key by key. A wrong value is reported and left out, so that
 * one run reports all errors of all files. Only values without any error leave this module.
 */
#include "config/merge.h"

#include "common/os/os.h"
#include "config/file.h"
#include "config/text.h"
#include "config/value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Of the keys in an object of a list: {"section": {"key": [{"member": ...}]}} */
#define MEMBER_DEPTH 4
#define LINE_BYTES (PATH_MAX + 4 * CONFIG_TEXT_BYTES)

/* Where a key got its value. */
struct origin {
    const char *file; /* NULL: it has its default */
    unsigned line;
    bool is_wrong; /* some file gave it a value that cannot be */
};

struct loader {
    const struct config_table *table;
    void *values;
    uint64_t given;
    struct origin *origins; /* one a row of the table */
    config_error_fn *report;
    void *userdata;
    bool found_error;
};

/* A place in a file. */
struct place {
    const char *file;
    unsigned line;    /* 0: unknown */
    const char *path; /* of a key; NULL: none */
};

/* Names and values come from the file: a line must stay one line, and harmless on a terminal. */
static void remove_controls(char *line)
{
    for (unsigned char *at = (unsigned char *)line; *at != '\0'; at++) {
        if (iscntrl(*at))
            *at = '?';
        else if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) /* a C1 control in UTF-8 */
            at[0] = at[1] = '?';
    }
}

static void __attribute__((format(printf, 3, 4)))
complain(struct loader *loader, const struct place *place, const char *format, ...)
{
    char line[LINE_BYTES], number[16] = "", text[2 * CONFIG_TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (place->line > 0)
        (void)snprintf(number, sizeof(number), ":%u", place->line);
    (void)snprintf(line, sizeof(line), "%s%s: %s%s%s", place->file, number,
                   place->path != NULL ? place->path : "", place->path != NULL ? ": " : "", text);
    remove_controls(line);
    loader->found_error = true;
    loader->report(line, loader->userdata);
}

static const char *show_name(const char *name, char buffer[CONFIG_TEXT_BYTES])
{
    return name[0] == '\0' ? "\"\"" : config_shorten(name, buffer);
}

/* @section: NULL: the name stands at the top level. */
static void complain_unknown(struct loader *loader, const struct place *place, const char *section,
                             const char *name)
{
    char text[CONFIG_TEXT_BYTES];

    for (size_t i = 0; section == NULL && i < loader->table->n_keys; i++) {
        const struct config_key *key = &loader->table->keys[i];

        if (strcmp(key->path, name) == 0) {
            complain(loader, place, "unknown key; write it as \"%s\": {\"%s\": ...}", key->section,
                     key->name);
            return;
        }
    }
    if (config_table_nearest(loader->table, section, name, text) != NULL)
        complain(loader, place, "unknown key; did you mean %s?", text);
    else
        complain(loader, place, "unknown key; known here: %s",
                 config_table_list(loader->table, section, text));
}

/* @place: with the path of the key */
static void complain_value(struct loader *loader, const struct place *place,
                           const struct config_key *key, const json_t *value)
{
    char shown[CONFIG_TEXT_BYTES], allowed[CONFIG_TEXT_BYTES];

    complain(loader, place, "must be %s, not %s", config_key_allowed(key, allowed),
             config_describe(value, shown));
}

/* jansson's objects keep the order of the text, so that a walk over both at once finds the lines.
 * Return: 0: no such key is left */
static unsigned next_line(struct config_cursor *cursor, unsigned depth)
{
    do {
        if (!config_cursor_next(cursor))
            return 0;
    } while (cursor->depth != depth);
    return cursor->line;
}

/* Gives one member of a list's object its value. @place: with the path of the object. Return: 0;
 * -EINVAL with a complaint; -ENOMEM */
static int apply_member(struct loader *loader, struct place place, const struct config_key *list,
                        void *item, const char *name, const json_t *value)
{
    const struct config_key *member = config_member_find(list, name);
    char shown[CONFIG_TEXT_BYTES], names[CONFIG_TEXT_BYTES], path[2 * CONFIG_TEXT_BYTES];
    int r;

    (void)snprintf(path, sizeof(path), "%s.%s", place.path, show_name(name, shown));
    place.path = path;
    if (member == NULL) {
        complain(loader, &place, "unknown key; known here: %s", config_member_list(list, names));
        return -EINVAL;
    }
    r = config_store(item, member, value);
    if (r == -EINVAL)
        complain_value(loader, &place, member, value);
    return r;
}

/* Gives one object of a list to an item. Return: as apply_member() */
static int apply_object(struct loader *loader, struct config_cursor *cursor, struct place place,
                        const struct config_key *list, void *item, json_t *object)
{
    char names[CONFIG_TEXT_BYTES], shown[CONFIG_TEXT_BYTES];
    const char *name;
    json_t *value;
    bool is_right = true;

    if (!json_is_object(object)) {
        complain(loader, &place, "must be an object with %s, not %s",
                 config_member_list(list, names), config_describe(object, shown));
        return -EINVAL;
    }
    json_object_foreach(object, name, value)
    {
        int r;

        place.line = next_line(cursor, MEMBER_DEPTH);
        r = apply_member(loader, place, list, item, name, value);
        if (r == -ENOMEM)
            return r;
        is_right = is_right && r == 0;
    }
    if (!is_right)
        return -EINVAL;
    if (json_object_size(object) == list->n_members)
        return 0;
    complain(loader, &place, "must have each of %s", config_member_list(list, names));
    return -EINVAL;
}

/* A list takes the place of the one of an earlier file. Return: as apply_member() */
static int apply_list(struct loader *loader, struct config_cursor *cursor, struct place place,
                      const struct config_key *key, json_t *value)
{
    struct config_list *field = config_field(loader->values, key);
    struct config_list list = {.n_items = json_array_size(value)};
    bool is_right = true;
    int r = 0;

    list.items = calloc(list.n_items + 1, key->item_bytes);
    if (list.items == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < list.n_items && r != -ENOMEM; i++) {
        char path[CONFIG_TEXT_BYTES];

        (void)snprintf(path, sizeof(path), "%s[%zu]", key->path, i);
        place.path = path;
        r = apply_object(loader, cursor, place, key, config_item(key, &list, i),
                         json_array_get(value, i));
        is_right = is_right && r == 0;
    }
    config_list_deinit(key, is_right ? field : &list);
    if (is_right)
        *field = list;
    return is_right ? 0 : r == -ENOMEM ? r : -EINVAL;
}

/* Return: 0; -EINVAL with complaints; -ENOMEM */
static int apply_value(struct loader *loader, struct config_cursor *cursor, struct place place,
                       const struct config_key *key, json_t *value)
{
    int r;

    if (key->type == CONFIG_LIST && json_is_array(value))
        return apply_list(loader, cursor, place, key, value);
    r = config_store(loader->values, key, value);
    place.path = key->path;
    if (r == -EINVAL)
        complain_value(loader, &place, key, value);
    return r;
}

static int apply_key(struct loader *loader, struct config_cursor *cursor, struct place place,
                     const char *section, const char *name, json_t *value)
{
    const struct config_key *key = config_table_find(loader->table, section, name);
    char shown[CONFIG_TEXT_BYTES], path[CONFIG_TEXT_BYTES];
    struct origin *origin;
    int r;

    if (key == NULL) {
        (void)snprintf(path, sizeof(path), "%s.%s", section, show_name(name, shown));
        place.path = path;
        complain_unknown(loader, &place, section, name);
        return 0;
    }
    origin = &loader->origins[key - loader->table->keys];
    r = apply_value(loader, cursor, place, key, value);
    if (r == -EINVAL) {
        origin->is_wrong = true;
        return 0;
    }
    origin->file = place.file;
    origin->line = place.line;
    loader->given |= config_table_bit(loader->table, key);
    return r;
}

static int apply_section(struct loader *loader, struct config_cursor *cursor, struct place place,
                         const char *section, json_t *keys)
{
    const char *name;
    json_t *value;

    json_object_foreach(keys, name, value)
    {
        int r;

        place.line = next_line(cursor, 2);
        r = apply_key(loader, cursor, place, section, name, value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Applies one name of the top level. */
static int apply_entry(struct loader *loader, struct config_cursor *cursor, struct place place,
                       const char *name, json_t *value)
{
    char shown[CONFIG_TEXT_BYTES], described[CONFIG_TEXT_BYTES];

    place.line = next_line(cursor, 1);
    place.path = show_name(name, shown);
    if (strcmp(name, "$schema") == 0) {
        if (!json_is_string(value))
            complain(loader, &place, "must be a string, not %s", config_describe(value, described));
        return 0;
    }
    if (config_table_find(loader->table, name, NULL) == NULL) {
        complain_unknown(loader, &place, NULL, name);
        return 0;
    }
    if (!json_is_object(value)) {
        complain(loader, &place, "must be an object, not %s", config_describe(value, described));
        return 0;
    }
    return apply_section(loader, cursor, place, name, value);
}

/* Return: the path of the key that stands before a place in the text, in @buffer; NULL if none does
 */
static const char *path_before(const char *text, size_t size, size_t position,
                               char buffer[CONFIG_TEXT_BYTES])
{
    struct config_cursor cursor;

    /* A key counts once its colon was seen. */
    while (position < size && strchr(" \t\r\n:", text[position]) != NULL)
        position++;
    config_cursor_init(&cursor, text, position);
    while (config_cursor_next(&cursor))
        continue;
    return config_cursor_path(&cursor, buffer);
}

/* Characters that show nothing, or look like others, get their number.
 * @text: jansson's error, which quotes the token in valid UTF-8 */
static void complain_syntax(struct loader *loader, const struct place *place, const char *text)
{
    const char *quoted = strstr(text, "near '");
    const unsigned char *at = (const unsigned char *)(quoted != NULL ? quoted + 6 : "");
    unsigned long point;

    if (at[0] < 0xc2) {
        complain(loader, place, "not valid JSON: %s", text);
        return;
    }
    point = at[0] & (at[0] < 0xe0 ? 0x1fu : at[0] < 0xf0 ? 0x0fu : 0x07u);
    while ((*++at & 0xc0) == 0x80)
        point = point << 6 | (*at & 0x3fu);
    complain(loader, place, "not valid JSON: %s (U+%04lX)", text, point);
}

/* jansson's complaints about JSON that cannot be taken become our words, with the key.
 */
static void complain_not_parsed(struct loader *loader, const char *file, const char *text,
                                size_t size, const json_error_t *error)
{
    struct place place = {.file = file, .line = error->line > 0 ? (unsigned)error->line : 0};
    char path[CONFIG_TEXT_BYTES];
    const char *why;

    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        why = "given twice in one object";
        break;
    case json_error_numeric_overflow:
        why = "the number is too large";
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        why = "must not contain the character \\u0000";
        break;
    default:
        complain_syntax(loader, &place, error->text);
        return;
    }
    place.path = path_before(text, size, (size_t)error->position, path);
    complain(loader, &place, "%s", why);
}

static bool is_text(struct loader *loader, const char *file, const char *text, size_t size)
{
    struct place place = {.file = file};
    const char *why = config_text_why_not(text, size, &place.line);

    if (why != NULL)
        complain(loader, &place, "%s", why);
    return why == NULL;
}

static int apply_text(struct loader *loader, const char *file, const char *text, size_t size)
{
    struct place place = {.file = file};
    char described[CONFIG_TEXT_BYTES];
    struct config_cursor cursor;
    struct config_text parsed;
    json_error_t error;
    const char *name;
    json_t *value;
    int r;

    if (!is_text(loader, file, text, size))
        return 0;
    r = config_text_parse(&parsed, text, size, &error);
    if (r == -EINVAL) {
        complain_not_parsed(loader, file, text, size, &error);
        return 0;
    }
    if (r < 0)
        return r;
    if (!json_is_object(parsed.root))
        complain(loader, &place, "a config must be an object, not %s",
                 config_describe(parsed.root, described));
    config_cursor_init(&cursor, text, size);
    json_object_foreach(parsed.root, name, value)
    {
        r = apply_entry(loader, &cursor, place, name, value);
        if (r < 0)
            break;
    }
    config_text_deinit(&parsed);
    return r;
}

static int apply_file(struct loader *loader, const char *file, bool must_exist)
{
    struct place place = {.file = file};
    const char *why;
    char *text;
    size_t size;
    int r;

    r = config_file_read(file, &text, &size, &why);
    if (r == -ENOMEM || (r == -ENOENT && !must_exist))
        return r == -ENOMEM ? r : 0;
    if (r < 0) {
        complain(loader, &place, "cannot be read: %s", why);
        return 0;
    }
    r = apply_text(loader, file, text, size);
    free(text);
    return r;
}

static const char *origin_text(const struct origin *origin, char buffer[LINE_BYTES])
{
    if (origin->file == NULL)
        return "the default";
    (void)snprintf(buffer, LINE_BYTES, "%s:%u", origin->file, origin->line);
    return buffer;
}

/* The complaint goes to a key that was written down, not to a default. */
static void check_at_most(struct loader *loader, const struct config_key *key)
{
    const struct config_key *limit = config_table_at(loader->table, key->at_most);
    const struct origin *origin = &loader->origins[key - loader->table->keys];
    const struct origin *limit_origin = &loader->origins[limit - loader->table->keys];
    uint32_t value = *(uint32_t *)config_field(loader->values, key);
    uint32_t limit_value = *(uint32_t *)config_field(loader->values, limit);
    char other[LINE_BYTES];

    if (origin->is_wrong || limit_origin->is_wrong || value <= limit_value)
        return;
    if (origin->file != NULL)
        complain(loader, &(struct place){origin->file, origin->line, key->path},
                 "must be at most %s, which is %u (%s), not %u", limit->path, limit_value,
                 origin_text(limit_origin, other), value);
    else
        complain(loader, &(struct place){limit_origin->file, limit_origin->line, limit->path},
                 "must be at least %s, which is %u (%s), not %u", key->path, value,
                 origin_text(origin, other), limit_value);
}

static int apply_all(struct loader *loader, const char *path, bool must_exist)
{
    /* Ends after the cross-checks, for the origins point into it. */
    FIPC_CLEANUP(config_drop_ins_deinit) struct config_drop_ins drop_ins = {0};
    int r, listed;

    listed = config_drop_ins_init(&drop_ins, path);
    if (listed == -ENOMEM)
        return listed;
    r = apply_file(loader, path, must_exist);
    if (listed < 0)
        complain(loader, &(struct place){.file = drop_ins.folder}, "cannot be read: %s",
                 strerror(-listed)); /* NOLINT(concurrency-mt-unsafe): its text is constant */
    for (size_t i = 0; r == 0 && i < drop_ins.n_paths; i++)
        r = apply_file(loader, drop_ins.paths[i], true);
    for (size_t i = 0; r == 0 && i < loader->table->n_keys; i++) {
        if (loader->table->keys[i].at_most != NULL)
            check_at_most(loader, &loader->table->keys[i]);
    }
    return r;
}

int config_merge(const struct config_table *table, const char *path, bool must_exist,
                 void **ret_values, uint64_t *ret_given, config_error_fn *report, void *userdata)
{
    struct loader loader = {
        .table = table,
        .values = config_values_new(table),
        .origins = calloc(table->n_keys, sizeof(loader.origins[0])),
        .report = report,
        .userdata = userdata,
    };
    int r = -ENOMEM;

    if (loader.values != NULL && loader.origins != NULL)
        r = apply_all(&loader, path, must_exist);
    if (r == 0 && loader.found_error)
        r = -EINVAL;
    if (r == 0) {
        *ret_values = loader.values;
        *ret_given = loader.given;
    } else {
        config_values_free(table, loader.values);
    }
    free(loader.origins);
    return r;
}

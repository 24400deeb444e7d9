/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_TABLE_H
#define FIPC_CONFIG_TABLE_H

/*
 * A table of keys defines the config file of a program; parser, defaults, error texts,
 * JSON Schema and man page follow from it. The program has the table, and a plain struct with a
 * field for each key. Names in the file are "section": {"name": value}.
 *
 * config/ knows no program, and does not log: errors leave it as lines, through a pointer.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the file, and as a field of the program's struct. */
enum config_type {
    CONFIG_NUMBER,       /* integer: uint32_t */
    CONFIG_POWER_OF_TWO, /* integer: uint32_t */
    CONFIG_MODE,         /* string of octal digits: uint32_t */
    CONFIG_PATH,         /* string: char * */
    CONFIG_NAME,         /* string or null: char *, maybe NULL */
    CONFIG_CHOICE,       /* string, one of a list: int */
    CONFIG_USER,         /* string or integer, a user's name or uid: char *, as text */
    CONFIG_LIST,         /* list of objects: struct config_list */
};

struct config_choice {
    const char *name; /* NULL ends the list */
    int value;
};

/* A field whose items are structs of the program, @item_bytes each. */
struct config_list {
    void *items;
    size_t n_items;
};

/* A row. Its texts hold nothing that would have to be escaped in JSON. */
struct config_key {
    const char *path; /* "section.name" */
    const char *section;
    const char *name;
    enum config_type type;
    size_t offset; /* of the field */
    uint32_t min;  /* of the number or the mode; of a string: its bytes */
    uint32_t max;
    const char *at_most; /* the path of another number that this one may not exceed */
    const char *unit;    /* ends the name too; NULL: things are counted */
    const struct config_choice *choices; /* CONFIG_CHOICE */
    const struct config_key *members;    /* CONFIG_LIST: of each object, which must have them all */
    size_t n_members;
    size_t item_bytes;
    union {
        int64_t number;   /* all but strings */
        const char *text; /* CONFIG_PATH, CONFIG_NAME */
    } value;              /* the default */
    const char *help;
};

/* The beginning of a row. One whose field does not have the type @field_ does not compile. */
/* NOLINTBEGIN(bugprone-macro-parentheses): types and members cannot stand in parentheses */
#define CONFIG_KEY(struct_, section_, name_, type_, field_)                                        \
    .path = #section_ "." #name_, .section = #section_, .name = #name_, .type = (type_),           \
    .offset =                                                                                      \
        (offsetof(struct_, section_.name_) * _Generic(((struct_ *)0)->section_.name_, field_ : 1))

/* Likewise of a member of a list's objects. */
#define CONFIG_MEMBER(struct_, name_, type_, field_)                                               \
    .path = #name_, .section = "", .name = #name_, .type = (type_),                                \
    .offset = (offsetof(struct_, name_) * _Generic(((struct_ *)0)->name_, field_ : 1))
/* NOLINTEND(bugprone-macro-parentheses) */

#define CONFIG_KEYS_MAX 64

struct config_table {
    const struct config_key *keys; /* those of one section stand together */
    size_t n_keys;                 /* at most CONFIG_KEYS_MAX */
    size_t values_bytes;           /* of the program's struct */
    const char *title;             /* of the schema */
};

#define CONFIG_TEXT_BYTES 256

static inline void *config_field(void *values, const struct config_key *key)
{
    return (char *)values + key->offset;
}

static inline void *config_item(const struct config_key *key, const struct config_list *list,
                                size_t index)
{
    return (char *)list->items + index * key->item_bytes;
}

/* Whether a field of this type holds a string of its own. */
static inline bool config_type_is_text(enum config_type type)
{
    return type == CONFIG_PATH || type == CONFIG_NAME || type == CONFIG_USER;
}

/* @name: NULL: any key of the section. Return: NULL if there is none */
const struct config_key *config_table_find(const struct config_table *table, const char *section,
                                           const char *name);

/* Return: the row of @path, which must be in the table */
const struct config_key *config_table_at(const struct config_table *table, const char *path);

/* A key as a member of a set of keys. */
static inline uint64_t config_table_bit(const struct config_table *table,
                                        const struct config_key *key)
{
    return UINT64_C(1) << (key - table->keys);
}

/* A row begins or ends its section. */
bool config_table_begins_section(const struct config_table *table, size_t row);
bool config_table_ends_section(const struct config_table *table, size_t row);

/**
 * config_table_nearest() - guess the key that an unknown name was meant to be
 * @section:  NULL: the name stands at the top level
 * @buffer:   receives the path of a key or the name of a section
 *
 * Looks in the same place first, then for the same name in other sections.
 *
 * Return: @buffer; NULL if nothing is near
 */
const char *config_table_nearest(const struct config_table *table, const char *section,
                                 const char *name, char buffer[CONFIG_TEXT_BYTES]);

/* Return: the member of a list's objects with this name; NULL if there is none */
const struct config_key *config_member_find(const struct config_key *list, const char *name);

/* Lists the names of a list's members: "a, b, c". Return: @buffer */
const char *config_member_list(const struct config_key *list, char buffer[CONFIG_TEXT_BYTES]);

/* Lists the names in a section, or the sections if that is NULL: "a, b, c". Return: @buffer */
const char *config_table_list(const struct config_table *table, const char *section,
                              char buffer[CONFIG_TEXT_BYTES]);

/* The allowed values, for people: "a whole number from 1 to 65535". Return: @buffer */
const char *config_key_allowed(const struct config_key *key, char buffer[CONFIG_TEXT_BYTES]);

/* The default as it would stand in the file. Return: @buffer */
const char *config_key_default(const struct config_key *key, char buffer[CONFIG_TEXT_BYTES]);

#endif

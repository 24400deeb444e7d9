/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CONFIG_KEYS_H
#define FIPC_DAEMON_CONFIG_KEYS_H

/* The table of keys, and what follows from one of its rows. */
#include "daemon/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the file, and as a field of struct config. */
enum config_type {
    CONFIG_NUMBER,       /* integer: uint32_t */
    CONFIG_POWER_OF_TWO, /* integer: uint32_t */
    CONFIG_MODE,         /* string of octal digits: uint32_t */
    CONFIG_PATH,         /* string: char * */
    CONFIG_NAME,         /* string or null: char *, maybe NULL */
    CONFIG_CHOICE,       /* string, one of a list: int */
};

struct config_choice {
    const char *name; /* NULL ends the list */
    int value;
};

/* A row. Keys of one section stand together. */
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
    union {
        int64_t number;   /* all but strings */
        const char *text; /* CONFIG_PATH, CONFIG_NAME */
    } value;              /* the default */
    const char *help;
};

#define CONFIG_TEXT_BYTES 256

extern const struct config_key config_keys[];
extern const size_t config_n_keys;

static inline void *config_field(struct config *config, const struct config_key *key)
{
    return (char *)config + key->offset;
}

/* Whether the field of this type holds a string of its own. */
static inline bool config_type_is_text(enum config_type type)
{
    return type == CONFIG_PATH || type == CONFIG_NAME;
}

/* @name: NULL: any key of the section. Return: NULL: there is none. */
const struct config_key *config_key_find(const char *section, const char *name);

/* Return: the row of a path that the table itself names. */
const struct config_key *config_key_of_path(const char *path);

/* Stands for a path that the table itself names in a set of keys. */
uint64_t config_key_bit(const char *path);

/* What a value must be, for people: "a whole number from 1 to 65535". Return: @buffer. */
const char *config_key_allowed(const struct config_key *key, char buffer[CONFIG_TEXT_BYTES]);

/* The default as it would stand in the file. Return: @buffer. */
const char *config_key_default(const struct config_key *key, char buffer[CONFIG_TEXT_BYTES]);

/**
 * config_key_nearest() - what somebody may have meant by an unknown name
 * @section:  NULL: the name stands at the top level
 * @buffer:   receives the path of a key or the name of a section
 *
 * Looks in the same place first, then for the same name in other sections.
 *
 * Return: @buffer; NULL: nothing is near
 */
const char *config_key_nearest(const char *section, const char *name,
                               char buffer[CONFIG_TEXT_BYTES]);

/* Lists what is known in a section, or the sections if that is NULL: "a, b, c". Return: @buffer. */
const char *config_key_list(const char *section, char buffer[CONFIG_TEXT_BYTES]);

#endif

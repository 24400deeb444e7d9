/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_TEXT_H
#define FIPC_CONFIG_TEXT_H

/* A text, the JSON values in it, and the lines of its keys, which jansson forgets. */
#include "config/table.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CONFIG_KEYS_NAMED_MAX 16

/* The values live in an arena and end with it, all at once: never json_decref() them. */
struct config_arena_chunk;
struct config_text {
    json_t *root;
    struct config_arena_chunk *chunks;
};

/**
 * config_text_parse() - make values of a text
 * @parsed:     on success: give it to config_text_deinit()
 * @ret_error:  on -EINVAL: jansson's own
 *
 * Any JSON value may be the root; an object must not give a key twice. Objects keep their order.
 * Threads: while no other thread uses jansson.
 *
 * Return: 0; -EINVAL; -ENOMEM
 */
int config_text_parse(struct config_text *parsed, const char *text, size_t size,
                      json_error_t *ret_error);
void config_text_deinit(struct config_text *parsed);

/* Tells what jansson has no good words for. @ret_line: where; 0: in no line. Return: why the text
 * is no JSON; NULL if it may be */
const char *config_text_why_not(const char *text, size_t size, unsigned *ret_line);

/* A walk over the keys of a text that jansson has taken, or of its part before an error. */
struct config_cursor {
    const char *at;
    const char *end;
    unsigned depth; /* after config_cursor_next(): of the key, 1 in the root object */
    unsigned line;  /* of the key */
    unsigned line_at;
    struct {
        const char *name; /* as written, without its quotes; NULL: none yet, or it is a list */
        int size;
    } keys[CONFIG_KEYS_NAMED_MAX]; /* the last key of each depth that is open; deeper: not named */
};

void config_cursor_init(struct config_cursor *cursor, const char *text, size_t size);

/* Moves on to the next key, of any object. Return: false if there is none */
bool config_cursor_next(struct config_cursor *cursor);

/**
 * config_cursor_path() - name the key that the cursor has reached
 *
 * Return: its path in @buffer, from the root, each name shortened: "a.b.c"; NULL if there is none
 */
const char *config_cursor_path(const struct config_cursor *cursor, char buffer[CONFIG_TEXT_BYTES]);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_TEXT_H
#define FIPC_CONFIG_TEXT_H

/* A text, the JSON values in it, and where its keys stand: jansson forgets the lines. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The values live in an arena and end with it, all at once: never json_decref() them. */
struct config_arena_chunk;
struct config_json {
    json_t *root;
    struct config_arena_chunk *chunks;
};

/**
 * config_json_parse() - make values of a text
 * @json:       on success: to be given to config_json_deinit()
 * @ret_error:  on -EINVAL: what jansson says
 *
 * Any JSON value may be the root; an object must not give a key twice. Objects keep their order.
 * Threads: while no other thread uses jansson.
 *
 * Return: 0; -EINVAL; -ENOMEM
 */
int config_json_parse(struct config_json *json, const char *text, size_t size,
                      json_error_t *ret_error);
void config_json_deinit(struct config_json *json);

/* A walk over the keys of a text that jansson has taken, or of its part before an error. */
struct config_cursor {
    const char *at;
    const char *end;
    unsigned depth; /* of the key found last: 1 in the root object */
    unsigned line;  /* where that key stands */
    unsigned line_at;
    struct {
        const char *name; /* as written, without its quotes; NULL: none yet */
        int size;
    } keys[2]; /* the last key of depth 1, and the last of depth 2 below it */
};

void config_cursor_init(struct config_cursor *cursor, const char *text, size_t size);

/* Moves on to the next key, of whatever object. Return: false: there is none. */
bool config_cursor_next(struct config_cursor *cursor);

#endif

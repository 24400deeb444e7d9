/* SPDX-License-Identifier: MIT */
/* jansson does not survive being short of memory: its lexer ignores that a buffer could not grow,
 * loses bytes of the token, and then takes the rest for the value, asserts, or reads past the end.
 * So its allocation functions never return NULL here. They leave the parser by longjmp(3) instead,
 * and the values that it had made so far go with the arena. */
#include "config/text.h"

#include "config/value.h"

#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)1 << 15)

struct config_arena_chunk {
    struct config_arena_chunk *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char bytes[];
};

static struct {
    struct config_arena_chunk *chunks; /* the one to take from is the first */
    jmp_buf no_memory;
} arena;

static void *arena_malloc(size_t size)
{
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct config_arena_chunk *chunk = arena.chunks;

    if (chunk == NULL || chunk->size - chunk->used < rounded) {
        size_t chunk_size = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;

        chunk = malloc(sizeof(*chunk) + chunk_size);
        if (chunk == NULL)
            longjmp(arena.no_memory, 1); /* NOLINT(cert-err52-cpp): see the top */
        *chunk = (struct config_arena_chunk){.next = arena.chunks, .size = chunk_size};
        arena.chunks = chunk;
    }
    chunk->used += rounded;
    return chunk->bytes + chunk->used - rounded;
}

static void arena_free(void *memory) { (void)memory; }

static struct config_arena_chunk *chunks_free(struct config_arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct config_arena_chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    return NULL;
}

/* Nothing of the caller is in scope of setjmp(3), so that no variable can be clobbered. */
static json_t *parse_in_arena(const char *text, size_t size, json_error_t *error)
{
    if (setjmp(arena.no_memory) != 0) /* NOLINT(cert-err52-cpp): see the top */
        return NULL;
    return json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, error);
}

int config_text_parse(struct config_text *parsed, const char *text, size_t size,
                      json_error_t *ret_error)
{
    json_malloc_t saved_malloc;
    json_free_t saved_free;
    json_error_t error = {.line = -1}; /* no text: memory ran out before there was an error */
    json_t *root;

    json_get_alloc_funcs(&saved_malloc, &saved_free);
    json_set_alloc_funcs(arena_malloc, arena_free);
    root = parse_in_arena(text, size, &error);
    json_set_alloc_funcs(saved_malloc, saved_free);

    if (root == NULL) {
        arena.chunks = chunks_free(arena.chunks);
        if (error.text[0] == '\0')
            return -ENOMEM;
        *ret_error = error;
        return -EINVAL;
    }
    *parsed = (struct config_text){.root = root, .chunks = arena.chunks};
    arena.chunks = NULL;
    return 0;
}

static bool begins_with(const char *text, size_t size, const char *bytes)
{
    return size >= strlen(bytes) && memcmp(text, bytes, strlen(bytes)) == 0;
}

const char *config_text_why_not(const char *text, size_t size, unsigned *ret_line)
{
    const char *nul = memchr(text, '\0', size);

    *ret_line = size > 0 ? 1 : 0;
    if (size == 0)
        return "the file is empty; {} is the least that a config can be";
    if (begins_with(text, size, "\xef\xbb\xbf"))
        return "the file begins with a byte order mark, three bytes that no editor shows; save it "
               "as "
               "UTF-8 without one, or run sed -i '1s/^\\xEF\\xBB\\xBF//' on it";
    if (begins_with(text, size, "\xff\xfe") || begins_with(text, size, "\xfe\xff"))
        return "the file is in UTF-16; save it as UTF-8";
    if (nul == NULL)
        return NULL;
    for (const char *at = text; at < nul; at++)
        *ret_line += *at == '\n' ? 1 : 0;
    return "not valid JSON: there is a NUL byte";
}

void config_text_deinit(struct config_text *parsed)
{
    chunks_free(parsed->chunks);
    *parsed = (struct config_text){0};
}

void config_cursor_init(struct config_cursor *cursor, const char *text, size_t size)
{
    *cursor = (struct config_cursor){.at = text, .end = text + size, .line_at = 1};
}

/* Moves past a string whose opening quote was taken. Return: its closing quote, or the end */
static const char *skip_string(struct config_cursor *cursor)
{
    while (cursor->at < cursor->end && *cursor->at != '"') {
        if (*cursor->at == '\\' && cursor->end - cursor->at > 1)
            cursor->at++;
        cursor->at++;
    }
    return cursor->at < cursor->end ? cursor->at++ : cursor->end;
}

static void set_key(struct config_cursor *cursor, const char *name, const char *name_end)
{
    if (cursor->depth == 0 || cursor->depth > CONFIG_KEYS_NAMED_MAX)
        return;
    cursor->keys[cursor->depth - 1].name = name;
    cursor->keys[cursor->depth - 1].size = (int)(name_end - name);
}

static void enter(struct config_cursor *cursor)
{
    cursor->depth++;
    set_key(cursor, NULL, NULL);
}

bool config_cursor_next(struct config_cursor *cursor)
{
    const char *name = cursor->at, *name_end = cursor->at;
    unsigned name_line = cursor->line_at;

    while (cursor->at < cursor->end) {
        switch (*cursor->at++) {
        case '\n':
            cursor->line_at++;
            break;
        case '{':
        case '[':
            enter(cursor);
            break;
        case '}':
        case ']':
            cursor->depth -= cursor->depth > 0;
            break;
        case '"':
            name = cursor->at;
            name_line = cursor->line_at;
            name_end = skip_string(cursor);
            break;
        case ':':
            cursor->line = name_line;
            set_key(cursor, name, name_end);
            return true;
        default:
            break;
        }
    }
    return false;
}

const char *config_cursor_path(const struct config_cursor *cursor, char buffer[CONFIG_TEXT_BYTES])
{
    char name[CONFIG_TEXT_BYTES], shortened[CONFIG_TEXT_BYTES];
    size_t used = 0;

    for (unsigned i = 0; i < cursor->depth && i < CONFIG_KEYS_NAMED_MAX; i++) {
        if (cursor->keys[i].name == NULL)
            continue;
        (void)snprintf(name, sizeof(name), "%.*s", cursor->keys[i].size, cursor->keys[i].name);
        (void)snprintf(buffer + used, CONFIG_TEXT_BYTES - used, "%s%s", used > 0 ? "." : "",
                       config_shorten(name, shortened));
        used += strlen(buffer + used);
    }
    return used > 0 ? buffer : NULL;
}

/* SPDX-License-Identifier: MIT */

/*
 * A key-value store as a service: it keeps values in memory for all who call it.
 *
 *      kv_store [NAME]          NAME: com.example.kv by default
 *
 *      fipctl call com.example.kv 'set colour blue'
 *      fipctl call com.example.kv 'get colour'
 *      fipctl call com.example.kv 'delete colour'
 *      fipctl call com.example.kv list
 *
 * A request is text, and so is a reply. Errors: ENOENT no such key, EINVAL no such command,
 * E2BIG a key or a value that is too long, ENOSPC there are too many.
 *
 * However many call at once, requests come one after the other: no lock is needed.
 *
 *      cc kv_store.c $(pkg-config --cflags --libs libfipc-client) -o kv_store
 */
#include <errno.h>
#include <fipc/client.h>
#include <fipc/service.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 256
#define KEY_MAX 63
#define VALUE_MAX 4096

/* Bytes of a request; not terminated. */
struct text {
    const char *bytes;
    size_t size;
};

struct entry {
    char key[KEY_MAX + 1]; /* "": free */
    char value[VALUE_MAX];
    size_t value_size;
};

struct store {
    struct entry entries[ENTRIES_MAX];
};

/* Takes the first word off @text, and one space behind it. */
static struct text take_word(struct text *text)
{
    const char *space = text->size > 0 ? memchr(text->bytes, ' ', text->size) : NULL;
    struct text word = {text->bytes, space != NULL ? (size_t)(space - text->bytes) : text->size};
    size_t taken = space != NULL ? word.size + 1 : word.size;

    text->bytes += taken;
    text->size -= taken;
    return word;
}

static bool equals(struct text text, const char *string)
{
    return text.size == strlen(string) && memcmp(text.bytes, string, text.size) == 0;
}

/* The entry that has this key, or a free one for the key ""; NULL: there is none. */
static struct entry *find(struct store *store, struct text key)
{
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        if (equals(key, store->entries[i].key))
            return &store->entries[i];
    }
    return NULL;
}

static int get(struct store *store, struct text key, fipc_request *request)
{
    const struct entry *entry = find(store, key);

    if (entry == NULL)
        return fipc_reply_error(request, ENOENT);
    return fipc_reply(request, entry->value, entry->value_size);
}

static int set(struct store *store, struct text key, struct text value, fipc_request *request)
{
    struct entry *entry = find(store, key);

    if (key.size > KEY_MAX || value.size > VALUE_MAX)
        return fipc_reply_error(request, E2BIG);
    if (entry == NULL)
        entry = find(store, (struct text){"", 0});
    if (entry == NULL)
        return fipc_reply_error(request, ENOSPC);
    memcpy(entry->key, key.bytes, key.size);
    entry->key[key.size] = '\0';
    memcpy(entry->value, value.bytes, value.size);
    entry->value_size = value.size;
    return fipc_reply(request, NULL, 0);
}

static int delete (struct store *store, struct text key, fipc_request *request)
{
    struct entry *entry = find(store, key);

    if (entry == NULL)
        return fipc_reply_error(request, ENOENT);
    entry->key[0] = '\0';
    return fipc_reply(request, NULL, 0);
}

/* All keys, one a line. That is less than a message may have: ENTRIES_MAX * (KEY_MAX + 1). */
static int list(const struct store *store, fipc_request *request)
{
    char lines[ENTRIES_MAX * (KEY_MAX + 1)];
    size_t size = 0;

    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        size_t key_size = strlen(store->entries[i].key);

        if (key_size == 0)
            continue;
        memcpy(lines + size, store->entries[i].key, key_size);
        lines[size + key_size] = '\n';
        size += key_size + 1;
    }
    return fipc_reply(request, lines, size);
}

static int answer(struct store *store, fipc_request *request)
{
    struct text rest = {fipc_request_data(request), fipc_request_size(request)};
    struct text command = take_word(&rest);
    struct text key = take_word(&rest);

    if (equals(command, "list") && key.size == 0)
        return list(store, request);
    if (key.size == 0 || memchr(key.bytes, '\0', key.size) != NULL)
        return fipc_reply_error(request, EINVAL);
    if (equals(command, "set"))
        return set(store, key, rest, request);
    if (equals(command, "get") && rest.size == 0)
        return get(store, key, request);
    if (equals(command, "delete") && rest.size == 0)
        return delete (store, key, request);
    return fipc_reply_error(request, EINVAL);
}

/* Run by fipc_dispatch(). That a reply does not arrive, since its caller is gone or the broker was
 * lost, is worth a word and no more. */
static void serve_request(fipc_request *request, void *userdata)
{
    int r = answer(userdata, request);

    if (r < 0)
        (void)fprintf(stderr, "kv_store: a reply was lost: %s\n", fipc_strerror(r));
}

/* A broker that is lost is no reason to forget all values: the library waits for the next one, and
 * fipc_dispatch() ends only when nothing is served any more. */
static int serve(fipc_client *client, const char *name, struct store *store)
{
    int r = fipc_serve(client, name, 64, serve_request, store);

    while (r >= 0)
        r = fipc_dispatch(client, -1);
    return r;
}

int main(int argc, char **argv)
{
    static struct store store;
    const char *name = argc > 1 ? argv[1] : "com.example.kv";
    fipc_client *client;
    int r = fipc_connect(&client, NULL);

    if (r == 0) {
        r = serve(client, name, &store);
        fipc_unref(client);
    }
    (void)fprintf(stderr, "kv_store: %s: %s\n", name, fipc_strerror(r));
    return EXIT_FAILURE;
}

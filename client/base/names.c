/* SPDX-License-Identifier: MIT */
/* Only names that exist come in here, so that the broker bounds their number. */
#include "client/base/names.h"

#include "client/base/pending.h"
#include "common/message.h"

#include <errno.h>
#include <fipc/client.h>
#include <stdlib.h>
#include <string.h>

struct fipc_name {
    struct fipc_name *next; /* fipc_names.buckets */
    uint32_t target;
    bool is_full; /* its queue was, the last time */
    size_t bytes;
    char text[];
};

/* FNV-1a: Fowler, Noll, Vo, "The FNV Non-Cryptographic Hash Algorithm". */
static size_t bucket_of(const char *name, size_t name_bytes)
{
    uint32_t hash = UINT32_C(2166136261);

    for (size_t i = 0; i < name_bytes; i++)
        hash = (hash ^ (unsigned char)name[i]) * UINT32_C(16777619);
    return hash % FIPC_NAMES_BUCKETS;
}

static struct fipc_name *find(const struct fipc_names *names, const char *name, size_t name_bytes)
{
    struct fipc_name *known = names->buckets[bucket_of(name, name_bytes)];

    while (known != NULL &&
           (known->bytes != name_bytes || memcmp(known->text, name, name_bytes) != 0))
        known = known->next;
    return known;
}

bool fipc_names_find(const struct fipc_names *names, const char *name, size_t name_bytes,
                     uint32_t *ret_target, bool *ret_full)
{
    const struct fipc_name *known = find(names, name, name_bytes);

    if (known == NULL)
        return false;
    *ret_target = known->target;
    *ret_full = known->is_full;
    return true;
}

bool fipc_names_is_full(const struct fipc_names *names, const char *name, size_t name_bytes)
{
    const struct fipc_name *known = find(names, name, name_bytes);

    return known != NULL && known->is_full;
}

void fipc_names_set_full(struct fipc_names *names, uint32_t target, bool is_full)
{
    for (size_t i = 0; i < FIPC_NAMES_BUCKETS; i++) {
        for (struct fipc_name *known = names->buckets[i]; known != NULL; known = known->next) {
            if (known->target == target)
                known->is_full = is_full;
        }
    }
}

static void name_remove(struct fipc_names *names, struct fipc_name *known)
{
    struct fipc_name **link = &names->buckets[bucket_of(known->text, known->bytes)];

    while (*link != known)
        link = &(*link)->next;
    *link = known->next;
    free(known);
}

void fipc_names_forget(struct fipc_names *names, const char *name, size_t name_bytes,
                       uint32_t target)
{
    struct fipc_name *known = find(names, name, name_bytes);

    if (known != NULL && known->target == target)
        name_remove(names, known);
}

void fipc_names_add(struct fipc_names *names, const char *name, size_t name_bytes, uint32_t target)
{
    struct fipc_name **bucket = &names->buckets[bucket_of(name, name_bytes)];
    struct fipc_name *known = find(names, name, name_bytes), *added;

    if (known != NULL)
        name_remove(names, known);
    added = malloc(sizeof(*added) + name_bytes);
    if (added == NULL)
        return;
    added->next = *bucket;
    added->target = target;
    added->is_full = false;
    added->bytes = name_bytes;
    memcpy(added->text, name, name_bytes);
    *bucket = added;
}

bool fipc_names_send_again(struct fipc_names *names, const struct fipc_pending *answer,
                           const char *service, size_t service_bytes, unsigned flags)
{
    if ((answer->reply_flags & FIPC_REPLY_NOT_DELIVERED) == 0)
        return false;
    switch (answer->status) {
    case -ENOENT: /* the client that served it has left since */
        if ((flags & FIPC_WAIT_SERVICE) == 0)
            return false;
        break;
    case -ESTALE:
        break;
    case -EAGAIN:
        return !answer->no_wait;
    default:
        return false;
    }
    if (names != NULL)
        fipc_names_forget(names, service, service_bytes, answer->asked);
    return true;
}

void fipc_names_clear(struct fipc_names *names)
{
    for (size_t i = 0; i < FIPC_NAMES_BUCKETS; i++) {
        while (names->buckets[i] != NULL) {
            struct fipc_name *name = names->buckets[i];

            names->buckets[i] = name->next;
            free(name);
        }
    }
}

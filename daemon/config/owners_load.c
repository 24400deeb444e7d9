/* SPDX-License-Identifier: MIT */
#include "daemon/config/owners_load.h"

#include "daemon/base/log.h"
#include "daemon/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who it is ---- */

/* A number as it stands in subuid(5). One beyond 64 bits is the largest. Return: false if the text
 * is no number */
static bool parse_number(const char *text, uint64_t *ret_number)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    *ret_number = strtoull(text, &end, 10);
    return *end == '\0';
}

/* Return: 0; -ENOENT nobody knows the user */
static int find_user(const char *name, uid_t *ret_uid)
{
    const struct passwd *entry;
    uint64_t number;

    if (parse_number(name, &number)) {
        *ret_uid = (uid_t)number;
        return number < UINT32_MAX ? 0 : -ENOENT;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread asks */
    entry = getpwnam(name);
    if (entry == NULL)
        return -ENOENT;
    *ret_uid = entry->pw_uid;
    return 0;
}

/* @level: of the event that nobody knows the owner. Return: 0; -ENOMEM */
static int add(struct owners *owners, const char *owner, uid_t first, uint64_t count,
               const char *source, int level)
{
    uid_t uid;

    if (find_user(owner, &uid) < 0) {
        log_event(level, LOG_EVENT_CONFIG, NULL,
                  "%s: nobody knows the user %.64s; the uids from %u on are taken for one user's",
                  source, owner, first);
        uid = first;
    }
    return owners_add(owners, first, count, uid);
}

/* ---- subuid(5) ---- */

/* Cuts a line into its three fields. Return: false if it is not one */
static bool parse_line(char *line, const char **ret_owner, uid_t *ret_first, uint64_t *ret_count)
{
    char *first = strchr(line, ':');
    char *count = first != NULL ? strchr(first + 1, ':') : NULL;
    uint64_t number;

    if (count == NULL || first == line)
        return false;
    *first++ = '\0';
    *count++ = '\0';
    if (!parse_number(first, &number) || number >= UINT32_MAX || !parse_number(count, ret_count))
        return false;
    *ret_owner = line;
    *ret_first = (uid_t)number;
    return true;
}

static int add_line(struct owners *owners, char *line, const char *path, unsigned number)
{
    const char *owner;
    uint64_t count;
    uid_t first;

    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '\0')
        return 0;
    if (parse_line(line, &owner, &first, &count))
        return add(owners, owner, first, count, path, LOG_INFO); /* often of a former user */
    log_event(LOG_WARNING, LOG_EVENT_CONFIG, NULL, "%s:%u: not OWNER:FIRST:COUNT, left out", path,
              number);
    return 0;
}

static int add_file(struct owners *owners, const char *path)
{
    FILE *file = fopen(path, "re");
    size_t capacity = 0;
    char *line = NULL;
    int r = 0;

    if (file == NULL) {
        if (errno != ENOENT)
            log_event(LOG_WARNING, LOG_EVENT_CONFIG, NULL,
                      "%s: cannot be read: %s; each uid counts as a user of its own", path,
                      strerror(errno));
        return 0;
    }
    for (unsigned number = 1; r == 0 && getline(&line, &capacity, file) >= 0; number++)
        r = add_line(owners, line, path, number);
    free(line);
    (void)fclose(file);
    return r;
}

int owners_load(struct owners *owners, const struct config *config, const char *subuid_path)
{
    const struct config_owner *entries = config->limits.owners.items;
    int r = 0;

    for (size_t i = 0; r == 0 && i < config->limits.owners.n_items; i++)
        r = add(owners, entries[i].owner, entries[i].first, entries[i].count, "limits.owners",
                LOG_WARNING);
    return r == 0 ? add_file(owners, subuid_path) : r;
}

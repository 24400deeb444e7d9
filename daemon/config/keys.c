/* SPDX-License-Identifier: MIT */
/* A new key is a row here and a field in struct config. A row whose type does not fit its field
 * does not compile. */
#include "daemon/config/keys.h"

#include "common/region.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <string.h>
#include <sys/un.h>
#include <syslog.h>

#define SOCKET_PATH_BYTES_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define GROUP_NAME_BYTES_MAX 255

/* NOLINTBEGIN(bugprone-macro-parentheses): types and members cannot stand in parentheses */
#define OFFSET(section_, name_, field_)                                                            \
    (offsetof(struct config, section_.name_) *                                                     \
     _Generic(((struct config *)0)->section_.name_, field_ : 1))
/* NOLINTEND(bugprone-macro-parentheses) */

#define KEY(section_, name_, type_, field_)                                                        \
    .path = #section_ "." #name_, .section = #section_, .name = #name_, .type = (type_),           \
    .offset = OFFSET(section_, name_, field_)

#define NUMBER(section_, name_) KEY(section_, name_, CONFIG_NUMBER, uint32_t)
#define POWER_OF_TWO(section_, name_) KEY(section_, name_, CONFIG_POWER_OF_TWO, uint32_t)
#define MODE(section_, name_) KEY(section_, name_, CONFIG_MODE, uint32_t)
#define PATH(section_, name_) KEY(section_, name_, CONFIG_PATH, char *)
#define NAME(section_, name_) KEY(section_, name_, CONFIG_NAME, char *)
#define CHOICE(section_, name_) KEY(section_, name_, CONFIG_CHOICE, int)

static const struct config_choice levels[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {0},
};

/* clang-format off: one key, one row */
const struct config_key config_keys[] = {
    {PATH(control, socket), .min = 1, .max = SOCKET_PATH_BYTES_MAX,
     .value.text = "/run/fipc/control.sock", .help = "Where the broker listens"},
    {NUMBER(control, backlog), .min = 1, .max = 65535, .value.number = 1024,
     .help = "Connections that may wait to be accepted, and as many more for a slot"},
    {MODE(control, mode), .min = 0, .max = 0777, .value.number = 0660,
     .help = "Permissions of the socket: who may write to it may connect"},
    {NAME(control, group), .min = 1, .max = GROUP_NAME_BYTES_MAX, .value.text = NULL,
     .help = "Group of the socket; null: the group that the broker runs as"},
    {NUMBER(slots, count), .min = 1, .max = 65536, .value.number = 4096,
     .help = "Clients that can be connected at the same time"},
    {NUMBER(slots, per_uid), .min = 0, .max = 65536, .value.number = 0,
     .help = "Slots that one user can have, at most slots.count; 0: a quarter of slots.count"},
    {POWER_OF_TWO(slots, request_ring_bytes), .min = FIPC_RING_BYTES_MIN,
     .max = FIPC_RING_BYTES_MAX, .at_most = "slots.ring_bytes_max", .unit = "bytes",
     .value.number = 65536,
     .help = "Size of a request ring unless the client asks for another; a message may take half "
             "of it"},
    {POWER_OF_TWO(slots, reply_ring_bytes), .min = FIPC_RING_BYTES_MIN, .max = FIPC_RING_BYTES_MAX,
     .at_most = "slots.ring_bytes_max", .unit = "bytes", .value.number = 65536,
     .help =
         "Size of a reply ring unless the client asks for another; a message may take half of it"},
    {POWER_OF_TWO(slots, ring_bytes_max), .min = FIPC_RING_BYTES_MIN, .max = FIPC_RING_BYTES_MAX,
     .unit = "bytes", .value.number = 16777216,
     .help = "Largest ring that a client may ask for; both rings of others than root and the "
             "broker's user take less than 2 MiB together, or what is the default"},
    {NUMBER(timeouts, doorbell_ms), .min = 1, .max = 86400000, .unit = "ms", .value.number = 5000,
     .help = "How long a new client may take until its first request, the greeting included"},
    {NUMBER(timeouts, idle_ms), .min = 0, .max = 86400000, .unit = "ms", .value.number = 30000,
     .help = "A session without an open call is closed after this, and opened again by its next "
             "call; 0: never"},
    {NUMBER(timeouts, handler_ms), .min = 1, .max = 86400000, .unit = "ms", .value.number = 30000,
     .help = "Longest life of a call; a longer time asked for by a caller is cut to it"},
    {NUMBER(timeouts, drain_ms), .min = 0, .max = 600000, .unit = "ms", .value.number = 5000,
     .help = "How long a stopping broker waits for open calls to end"},
    {NUMBER(dispatch, messages_per_turn), .min = 1, .max = 65536, .value.number = 64,
     .help = "Messages taken from one client before the next client has its turn"},
    {NUMBER(dispatch, spin_us), .min = 0, .max = 10000, .unit = "us", .value.number = 50,
     .help = "How long the broker looks for new messages before it sleeps; 0: it sleeps at once"},
    {CHOICE(log, level), .choices = levels, .value.number = LOG_INFO,
     .help = "The least important events that are logged"},
};
/* clang-format on */

const size_t config_n_keys = sizeof(config_keys) / sizeof(config_keys[0]);
static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= 64, "a bit for each");

const struct config_key *config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < config_n_keys; i++) {
        if (strcmp(config_keys[i].section, section) == 0 &&
            (name == NULL || strcmp(config_keys[i].name, name) == 0))
            return &config_keys[i];
    }
    return NULL;
}

const struct config_key *config_key_of_path(const char *path)
{
    for (size_t i = 0; i < config_n_keys; i++) {
        if (strcmp(config_keys[i].path, path) == 0)
            return &config_keys[i];
    }
    assert(false); /* the table names a path that it does not have */
    return NULL;
}

uint64_t config_key_bit(const char *path)
{
    return UINT64_C(1) << (config_key_of_path(path) - config_keys);
}

/* Appends like snprintf(3), cutting what does not fit. */
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

const char *config_key_nearest(const char *section, const char *name,
                               char buffer[CONFIG_TEXT_BYTES])
{
    struct nearest nearest = {.name = name, .distance = SIZE_MAX};

    buffer[0] = '\0';
    for (size_t i = 0; i < config_n_keys; i++) {
        const struct config_key *key = &config_keys[i];

        if (section == NULL)
            consider(&nearest, key, key->section);
        else if (strcmp(section, key->section) == 0)
            consider(&nearest, key, key->name);
    }
    if (nearest.key != NULL) {
        append(buffer, "%s", section == NULL ? nearest.key->section : nearest.key->path);
        return buffer;
    }
    for (size_t i = 0; i < config_n_keys; i++)
        consider(&nearest, &config_keys[i], config_keys[i].name);
    if (nearest.key == NULL)
        return NULL;
    append(buffer, "%s", nearest.key->path);
    return buffer;
}

const char *config_key_list(const char *section, char buffer[CONFIG_TEXT_BYTES])
{
    const char *previous = NULL;

    buffer[0] = '\0';
    for (size_t i = 0; i < config_n_keys; i++) {
        const struct config_key *key = &config_keys[i];
        const char *item = section == NULL ? key->section : key->name;

        if (section != NULL && strcmp(section, key->section) != 0)
            continue;
        if (previous == NULL || strcmp(previous, item) != 0)
            append(buffer, "%s%s", previous == NULL ? "" : ", ", item);
        previous = item;
    }
    return buffer;
}

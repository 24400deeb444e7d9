/* SPDX-License-Identifier: MIT */
/* A new key is a row here and a field in struct config. A row whose type does not fit its field
 * does not compile. */
#include "daemon/config/keys.h"

#include "common/region.h"
#include "daemon/config/config.h"

#include <assert.h>
#include <sys/un.h>
#include <syslog.h>

#define SOCKET_PATH_BYTES_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define GROUP_NAME_BYTES_MAX 255

#define KEY(section_, name_, type_, field_)                                                        \
    CONFIG_KEY(struct config, section_, name_, type_, field_)

#define NUMBER(section_, name_) KEY(section_, name_, CONFIG_NUMBER, uint32_t)
#define POWER_OF_TWO(section_, name_) KEY(section_, name_, CONFIG_POWER_OF_TWO, uint32_t)
#define MODE(section_, name_) KEY(section_, name_, CONFIG_MODE, uint32_t)
#define PATH(section_, name_) KEY(section_, name_, CONFIG_PATH, char *)
#define NAME(section_, name_) KEY(section_, name_, CONFIG_NAME, char *)
#define CHOICE(section_, name_) KEY(section_, name_, CONFIG_CHOICE, int)

static const struct config_choice levels[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {0},
};

#define OWNER_MEMBER(name_, type_, field_) CONFIG_MEMBER(struct config_owner, name_, type_, field_)

static const struct config_key owner_members[] = {
    {OWNER_MEMBER(first, CONFIG_NUMBER, uint32_t), .min = 1, .max = UINT32_MAX - 1,
     .help = "The first of the uids"},
    {OWNER_MEMBER(count, CONFIG_NUMBER, uint32_t), .min = 1, .max = UINT32_MAX,
     .help = "How many they are"},
    {OWNER_MEMBER(owner, CONFIG_USER, char *), .min = 1, .max = GROUP_NAME_BYTES_MAX,
     .help = "The user that they belong to"},
};

/* clang-format off: one key, one row */
static const struct config_key keys[] = {
    {PATH(control, socket), .min = 1, .max = SOCKET_PATH_BYTES_MAX,
     .value.text = "/run/fipc/control.sock", .help = "Where the broker listens"},
    {NUMBER(control, backlog), .min = 1, .max = 65535, .value.number = 1024,
     .help = "Connections that may wait to be accepted, and as many more for a slot"},
    {MODE(control, mode), .min = 0, .max = 0777, .value.number = 0660,
     .help = "Permissions of the socket: users that may write to it may connect"},
    {NAME(control, group), .min = 1, .max = GROUP_NAME_BYTES_MAX, .value.text = NULL,
     .help = "Group of the socket; null: the group that the broker runs as"},
    {NUMBER(slots, count), .min = 1, .max = 65536, .value.number = 4096,
     .help = "Clients that can be connected at the same time"},
    {NUMBER(slots, per_uid), .min = 0, .max = 65536, .value.number = 0,
     .help =
         "Slots that one user can have, as far as others leave them; 0: a quarter of slots.count"},
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
     .help = "Largest ring that a client may ask for; both rings of a client that is neither root "
             "nor the broker's user take less than 2 MiB together"},
    {POWER_OF_TWO(slots, stranger_ring_bytes), .min = FIPC_RING_BYTES_MIN, .max = 524288,
     .unit = "bytes", .value.number = 65536,
     .help = "Size of each ring of a client that is neither root nor the broker's user, unless it "
             "asks for another; a default above that is smaller stays in force"},
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
    {KEY(limits, owners, CONFIG_LIST, struct config_list), .members = owner_members,
     .n_members = sizeof(owner_members) / sizeof(owner_members[0]),
     .item_bytes = sizeof(struct config_owner),
     .help = "Uids that belong to a user, beside those of /etc/subuid: all uids of an owner have "
             "together what one user may have. The first entry that names a uid counts, and counts "
             "before /etc/subuid"},
    {CHOICE(log, level), .choices = levels, .value.number = LOG_INFO,
     .help = "The least important events that are logged"},
};
/* clang-format on */

static_assert(sizeof(keys) / sizeof(keys[0]) <= CONFIG_KEYS_MAX, "a bit for each");

const struct config_table config_table = {
    .keys = keys,
    .n_keys = sizeof(keys) / sizeof(keys[0]),
    .values_bytes = sizeof(struct config),
    .title = "Configuration of fipcd, the fipc message broker",
};

uint64_t config_key_bit(const char *path)
{
    return config_table_bit(&config_table, config_table_at(&config_table, path));
}

/* SPDX-License-Identifier: MIT */
#include "daemon/model/policy.h"

#include "common/name.h"
#include "common/region.h"
#include "daemon/config/config.h"

/* The smallest huge page of any CPU. */
#define HUGE_PAGE_BYTES (2u << 20)
/* For a stranger that asks for no number. */
#define STRANGER_PLACES 64u

bool policy_is_trusted_uid(uid_t own_uid, uid_t uid) { return uid == 0 || uid == own_uid; }

bool policy_is_trusted(uid_t own_uid, const struct fipc_identity *peer)
{
    return policy_is_trusted_uid(own_uid, peer->uid);
}

bool policy_may_serve(uid_t own_uid, const struct fipc_identity *peer, const char *name,
                      size_t name_bytes)
{
    return policy_is_trusted(own_uid, peer) && !fipc_name_is_reserved(name, name_bytes);
}

uint32_t policy_ring_bytes(uid_t own_uid, const struct fipc_identity *peer,
                           const struct config *config, uint32_t default_bytes)
{
    if (policy_is_trusted(own_uid, peer) || default_bytes < config->slots.stranger_ring_bytes)
        return default_bytes;
    return config->slots.stranger_ring_bytes;
}

uint32_t policy_places(uid_t own_uid, const struct fipc_identity *peer, uint32_t n_wanted)
{
    if (n_wanted == 0)
        n_wanted = policy_is_trusted(own_uid, peer) ? FIPC_PLACES_MAX : STRANGER_PLACES;
    if (n_wanted < FIPC_PLACES_MIN)
        return FIPC_PLACES_MIN;
    return n_wanted < FIPC_PLACES_MAX ? n_wanted : FIPC_PLACES_MAX;
}

bool policy_may_have_rings(uid_t own_uid, const struct fipc_identity *peer,
                           const struct config *config, uint32_t request_bytes,
                           uint32_t reply_bytes)
{
    if (request_bytes > config->slots.ring_bytes_max || reply_bytes > config->slots.ring_bytes_max)
        return false;
    return policy_is_trusted(own_uid, peer) ||
           fipc_region_size(request_bytes, reply_bytes, FIPC_PLACES_MAX) < HUGE_PAGE_BYTES;
}

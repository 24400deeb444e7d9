/* SPDX-License-Identifier: MIT */
#include "daemon/model/policy.h"

#include "common/name.h"
#include "common/region.h"
#include "daemon/base/peer.h"
#include "daemon/config/config.h"

#include <unistd.h>

/* The smallest there is, of any CPU. */
#define HUGE_PAGE_BYTES (2u << 20)

bool policy_is_trusted(const struct peer *peer) { return peer->uid == 0 || peer->uid == geteuid(); }

bool policy_may_serve(const struct peer *peer, const char *name, size_t name_bytes)
{
    return policy_is_trusted(peer) && !fipc_name_is_reserved(name, name_bytes);
}

bool policy_may_have_rings(const struct config *config, const struct peer *peer,
                           uint32_t request_bytes, uint32_t reply_bytes)
{
    if (request_bytes <= config->slots.request_ring_bytes &&
        reply_bytes <= config->slots.reply_ring_bytes)
        return true;
    if (request_bytes > config->slots.ring_bytes_max || reply_bytes > config->slots.ring_bytes_max)
        return false;
    return policy_is_trusted(peer) ||
           fipc_region_size(request_bytes, reply_bytes) < HUGE_PAGE_BYTES;
}

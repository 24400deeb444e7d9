/* SPDX-License-Identifier: MIT */
#include "daemon/policy.h"

#include "common/name.h"
#include "daemon/slot.h"

#include <unistd.h>

bool policy_may_serve(const struct peer *peer, const char *name, size_t name_bytes)
{
    return (peer->uid == 0 || peer->uid == geteuid()) && !fipc_name_is_reserved(name, name_bytes);
}

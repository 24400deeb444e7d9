/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_POLICY_H
#define FIPC_DAEMON_MODEL_POLICY_H

/* Who may do what. Trusted are root, and the user that the broker runs as. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct peer;

bool policy_is_trusted(const struct peer *peer);

/* Whether a client may answer the calls to a name: who is trusted may. The broker's own names are
 * nobody's. */
bool policy_may_serve(const struct peer *peer, const char *name, size_t name_bytes);

/* Whether a client may have rings of these sizes: all may have what the config gives to all, and
 * more as long as a huge page does not fit in; who is trusted, up to the config's limit. While
 * somebody makes a huge page of a region (MADV_COLLAPSE), whoever touches it waits. */
bool policy_may_have_rings(const struct config *config, const struct peer *peer,
                           uint32_t request_bytes, uint32_t reply_bytes);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_POLICY_H
#define FIPC_DAEMON_MODEL_POLICY_H

/* What a client may do. Trusted are root, and @own_uid: the user that the broker runs as. */
#include "common/os/os.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct config;

bool policy_is_trusted_uid(uid_t own_uid, uid_t uid);
bool policy_is_trusted(uid_t own_uid, const struct fipc_identity *peer);

/* Whether a client may answer the calls to a name: a trusted one may, unless the name is one of
 * those that the broker keeps for itself. */
bool policy_may_serve(uid_t own_uid, const struct fipc_identity *peer, const char *name,
                      size_t name_bytes);

/* The size of a ring that a client does not ask for. @default_bytes: the config's, of this ring */
uint32_t policy_ring_bytes(uid_t own_uid, const struct fipc_identity *peer,
                           const struct config *config, uint32_t default_bytes);

/* How many places for open requests a client gets. @n_wanted: as HELLO says; 0: all for a trusted
 * one, 64 for others, whose whole region takes memory */
uint32_t policy_places(uid_t own_uid, const struct fipc_identity *peer, uint32_t n_wanted);

/* Whether a client may have rings of these sizes: a trusted one up to the config's limit, others as
 * long as a huge page does not fit in. While a client makes a huge page of a region
 * (MADV_COLLAPSE), the broker would wait in each access to it. */
bool policy_may_have_rings(uid_t own_uid, const struct fipc_identity *peer,
                           const struct config *config, uint32_t request_bytes,
                           uint32_t reply_bytes);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CONFIG_OWNERS_LOAD_H
#define FIPC_DAEMON_CONFIG_OWNERS_LOAD_H

/* Which uids belong to whom, by limits.owners and by subuid(5). */
#include "daemon/config/owners.h"

struct config;

#define SUBUID_PATH "/etc/subuid"

/**
 * owners_load() - gather all owners
 * @subuid_path:  that file; one that does not exist names nobody
 * @owners:       in the empty state; on an error too it is for owners_deinit()
 *
 * limits.owners comes first. A line of the file that is not OWNER:FIRST:COUNT is left out, and
 * logged. The uids of an owner that nobody knows belong together all the same, to the first of
 * them.
 *
 * Blocks while it asks who a user is.
 *
 * Return: 0; -ENOMEM
 */
int owners_load(struct owners *owners, const struct config *config, const char *subuid_path);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_UID_MAP_H
#define FIPC_DAEMON_BASE_UID_MAP_H

#include <stdbool.h>

/* Whether every uid of the host has a number of its own here. In a user namespace (PrivateUsers=, a
 * rootless container) peers whose uid is not mapped all look like 65534: who may do what cannot be
 * told any more. Source: user_namespaces(7). True too where the map cannot be read. */
bool uid_map_is_whole(void);

#endif

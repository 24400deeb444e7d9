/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_POLICY_H
#define FIPC_DAEMON_POLICY_H

/* Who may do what with a name. */
#include <stdbool.h>
#include <stddef.h>

struct peer;

/* Whether a client may answer the calls to a name: root and whom the broker runs as may. The
 * broker's own names are nobody's. */
bool policy_may_serve(const struct peer *peer, const char *name, size_t name_bytes);

#endif

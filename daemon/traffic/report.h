/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_REPORT_H
#define FIPC_DAEMON_TRAFFIC_REPORT_H

/* What the broker tells about itself, as JSON documents. Each is returned to the caller, for
 * free(3); NULL: no memory. */
#include <stddef.h>
#include <stdint.h>

struct core;

char *report_stats(const struct core *core);

/* One page of the taken slots, or of the services, from number @first on, in at most @bytes_max
 * bytes; "next" is where the next page starts, or null. */
char *report_services(const struct core *core, uint32_t first, size_t bytes_max);
char *report_slots(const struct core *core, uint32_t first, size_t bytes_max);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_INTAKE_H
#define FIPC_DAEMON_TRAFFIC_INTAKE_H

/* Takes what open slots sent: requests to services, control records to the broker itself. */
#include <stdbool.h>
#include <stdint.h>

struct core;
struct slot;

/**
 * intake_serve() - give a slot its share of a turn
 *
 * Sends what waited for room, takes a bounded number of records, none long after @end_ns, rings the
 * client once.
 *
 * Return: how many records were sent and taken
 */
unsigned intake_serve(struct core *core, struct slot *slot, uint64_t end_ns);

/* Whether intake_serve() would do anything now. */
bool intake_has_work(struct core *core, struct slot *slot);

/* Whether a slot is not read because its client has not made room for answers. */
bool intake_waits_for_room(const struct core *core, struct slot *slot);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_DISPATCH_H
#define FIPC_DAEMON_DISPATCH_H

/* Takes what open slots sent: requests to services, control records to the broker itself. */
#include <stdbool.h>

struct broker;
struct slot;

/**
 * dispatch_serve() - give a slot its share of a turn
 *
 * Sends what waited for room, takes a bounded number of records, rings the client once. The slot
 * may be closed afterwards.
 *
 * Return: how many records were sent and taken
 */
unsigned dispatch_serve(struct broker *broker, struct slot *slot);

/* Whether dispatch_serve() would do anything now. */
bool dispatch_has_work(struct broker *broker, struct slot *slot);

/* Whether a slot is not read because its client has not made room for answers. */
bool dispatch_waits_for_room(struct slot *slot);

#endif

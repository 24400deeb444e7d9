/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_NOTICE_H
#define FIPC_DAEMON_TRAFFIC_NOTICE_H

/* What a client is told without having asked: that a service has room again, that a request in its
 * hands is void. It goes into the ring at once, or as soon as there is room. */
#include <stdint.h>

struct core;
struct slot;

/* A service that was full has room: @target. */
void notice_room(struct core *core, struct slot *slot, uint32_t target);

/* Nobody waits any more for the answer to the delivery of this number. */
void notice_cancel(struct core *core, struct slot *slot, uint32_t number, uint64_t id);

/* Sends what waits, while there is room. Return: how many; -EBADMSG the ring is corrupt */
int notice_send_waiting(struct slot *slot);

/* Forgets what waits. */
void notice_drop_all(struct slot *slot);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_PIDFD_H
#define FIPC_DAEMON_TRAFFIC_PIDFD_H

struct core;
struct fipc_header;
struct slot;

/* Answers a worker that asks for the pidfd of its caller: a packet with it on the lane, then an
 * ANNOUNCE in the ring, for which there is room. */
void pidfd_answer(struct core *core, struct slot *slot, const struct fipc_header *question);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_HELD_H
#define FIPC_DAEMON_LIFE_HELD_H

/*
 * Keeps the regions of strangers on their accounts until their memory is gone: base/gone tells when
 * that is, model/holding counts. Where the system has no watch left, a region counts for handler_ms
 * after its slot. Those of trusted clients count as long as their slot.
 */
#include <stdint.h>

struct core;
struct slot;

/* Return: 0; -ENOMEM. The poller exists. */
int held_init(struct core *core);
void held_deinit(struct core *core);

/* The region of a stranger's slot is about to be handed out. */
void held_begin(struct core *core, struct slot *slot);

/* The slot has no more use for its region. @until_ns: when it is gone for certain, should nothing
 * tell before */
void held_leave(struct core *core, struct slot *slot, uint64_t until_ns);

/* Something is gone, of this set of base/gone. */
void held_look(struct core *core, uint32_t set);

#endif

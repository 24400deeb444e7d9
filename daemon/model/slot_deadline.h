/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_SLOT_DEADLINE_H
#define FIPC_DAEMON_MODEL_SLOT_DEADLINE_H

/* How long a slot may live in the state that it is in: doorbell_ms, idle_ms, and handler_ms for who
 * does not drain. */
#include <stdint.h>

struct core;
struct slot;

/* From the slot's taking on. It costs nothing while messages flow: the timer looks at times that
 * they leave behind. */
void slot_timer_start(struct core *core, struct slot *slot);

/* Looks at the times again. What can begin at any time, a block or an idle time, is noticed before
 * it has lasted twice its span. */
void slot_timer_set(struct core *core, struct slot *slot, uint64_t now_ns);

/* The same for all slots, when the config changed. */
void slot_timers_set(struct core *core);

void slot_timer_stop(struct core *core, struct slot *slot);

#endif

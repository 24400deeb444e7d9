/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_SLOT_DEADLINE_H
#define FIPC_DAEMON_MODEL_SLOT_DEADLINE_H

/* How long a slot may live in the state that it is in: doorbell_ms, idle_ms, and handler_ms for a
 * client that does not take its replies. It costs nothing while messages flow: these functions look
 * at times that the messages leave behind. */
#include "common/control.h"

#include <stdint.h>

struct config;
struct slot;

/**
 * slot_deadline_ns() - when the slot has lived long enough, as things are now
 * @ret_reason:  why it ends then; untouched if it has no deadline
 *
 * Return: absolute nanoseconds; FIPC_NEVER if it may stay
 */
uint64_t slot_deadline_ns(const struct config *config, const struct slot *slot,
                          enum fipc_reason *ret_reason);

/**
 * slot_next_look_ns() - when to look at the deadline again
 *
 * A block or an idle time can begin at any time: each is noticed before it has lasted twice its
 * span. A slot whose bell has to wait is looked at when it may be rung. One whose region is not
 * filled goes on at once.
 *
 * Return: absolute nanoseconds: @now_ns, or a millisecond after it at the earliest
 */
uint64_t slot_next_look_ns(const struct config *config, const struct slot *slot, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_SLOT_CLOSE_H
#define FIPC_DAEMON_LIFE_SLOT_CLOSE_H

#include "common/control.h"

struct broker;
struct slot;

/**
 * slot_close() - end a slot's life, whatever state it is in
 * @reason:  told to the client (REFUSED while it is greeting, GOODBYE after that), counted, and
 * logged unless the client left by its own will
 *
 * Its live handlers end as dropped. The slot is free afterwards: don't touch it again.
 */
void slot_close(struct broker *broker, struct slot *slot, enum fipc_reason reason);

#endif

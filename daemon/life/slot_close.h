/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_SLOT_CLOSE_H
#define FIPC_DAEMON_LIFE_SLOT_CLOSE_H

#include <stdbool.h>

struct closer;
struct core;
struct greeting;
struct slot;

/**
 * slot_close() - go on with the end of a slot that was marked, whatever state it is in
 *
 * The live handlers of the slot end as dropped, its names are left, the client gets the reason
 * (REFUSED while it is greeting, GOODBYE after that), which is counted, and logged unless the
 * client left by its own will, and what it has is closed: a part a call, none of which takes
 * long. Threads and depth: the turn alone calls this, outside all else.
 *
 * Return: whether the slot is free now
 */
bool slot_close(struct core *core, struct greeting *greeting, struct closer *closer,
                struct slot *slot);

#endif

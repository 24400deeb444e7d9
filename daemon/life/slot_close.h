/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_SLOT_CLOSE_H
#define FIPC_DAEMON_LIFE_SLOT_CLOSE_H

struct closer;
struct core;
struct greeting;
struct slot;

/**
 * slot_close() - close a slot that was taken from slot_table.ending, whatever state it is in
 *
 * The client gets the reason (REFUSED while it is greeting, GOODBYE after that), it is counted, and
 * logged unless the client left by its own will. The live handlers of the slot end as dropped. The
 * slot is free afterwards. Threads and depth: the turn alone calls this, outside all else.
 */
void slot_close(struct core *core, struct greeting *greeting, struct closer *closer,
                struct slot *slot);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_GREETING_H
#define FIPC_DAEMON_LIFE_GREETING_H

#include "daemon/base/deadline.h"
#include "daemon/model/slot.h"

#include <sys/queue.h>

struct core;

TAILQ_HEAD(slot_list, slot);

struct greeting {
    struct core *core;
    /* WELCOMEs that wait because the kernel takes no more fds in flight from us: unix(7),
     * ETOOMANYREFS */
    struct slot_list due;
    struct deadline retry; /* set while one is due */
    int pagemap_fd;        /* of our own memory; -1: the kernel has none */
};

/**
 * greeting_receive() - take the HELLO of a slot that is greeting, if it has come
 *
 * A session is welcome, a one-shot is served; anything else is refused with a reason. While its
 * account is in debt for slow calls on its files, nothing is taken: daemon/model/toll.h.
 */
void greeting_receive(struct greeting *greeting, struct slot *slot);

/* Goes on with a slot that is not done, when its account has its turn: fills the next part of its
 * region; watches its lane again if its account was in debt, and is no more. */
void greeting_look_again(struct greeting *greeting, struct slot *slot);

/**
 * greeting_take_bell() - open the session of a slot that is welcomed, whose bell was rung
 *
 * If its region is not sealed, or has holes, it is refused.
 */
void greeting_take_bell(struct greeting *greeting, struct slot *slot);

void greeting_init(struct greeting *greeting, struct core *core);
void greeting_deinit(struct greeting *greeting);

/* A slot ends: its WELCOME is not due any more. */
void greeting_forget(struct greeting *greeting, struct slot *slot);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_SPARE_H
#define FIPC_DAEMON_LIFE_SPARE_H

/* Gives memory back to the system that a burst of clients or calls needed: the ends of tables in
 * small steps, a second after the burst, then what malloc(3) keeps. */
#include "daemon/base/deadline.h"

struct closer;
struct core;

struct spare {
    struct core *core;
    struct closer *closer;
    struct deadline step; /* set while there is something to give back */
};

/* Has malloc(3) keep little by itself. */
void spare_init(struct spare *spare, struct core *core, struct closer *closer);

/* Looks whether there is much to give back; costs next to nothing. */
void spare_look(struct spare *spare);

#endif

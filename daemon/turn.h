/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TURN_H
#define FIPC_DAEMON_TURN_H

/*
 * The top of the house: it alone lets time pass. Slots that are active now are polled in memory
 * while the turn spins; all others ring their bell, which the poller watches. The broker blocks
 * only when every open slot is armed and was looked at after that. What the floors below marked is
 * done here: slots that ended are closed, deadlines that are over are called.
 */
#include "common/spin.h"
#include "daemon/base/deadline.h"

#include <stdbool.h>

struct admission;
struct closer;
struct core;
struct greeting;
struct spare;
struct status;

struct turn {
    struct core *core;
    struct admission *admission;
    struct closer *closer;
    struct greeting *greeting;
    struct spare *spare;
    struct status *status;
    struct fipc_spin spin;
    bool spinning;
    struct deadline catch_up; /* of the log, and of texts for systemd */
};

/**
 * turn_init() - make the poller and the hot set of @turn->core
 * @turn:  its other pointers are set; they are used from turn_run() on
 *
 * Return: 0; a negative errno
 */
int turn_init(struct turn *turn);
void turn_deinit(struct turn *turn);

/* Takes what the config says of it, and looks at the deadlines of all slots again. */
void turn_reconfigure(struct turn *turn);

/* Turns until poller_stop(), or until a broker that stops has no handler left. */
void turn_run(struct turn *turn);

/* Ends and closes all slots, however long it takes. */
void turn_close_all(struct turn *turn);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_STATUS_H
#define FIPC_DAEMON_LIFE_STATUS_H

/* Tells the service manager how the broker is: sd_notify(3). Does nothing where there is none. */
#include "daemon/base/deadline.h"

#include <stdint.h>

struct core;

struct status {
    struct core *core;
    uint64_t watchdog_ns;
    struct deadline watchdog;
    struct deadline change;    /* set: the status changed, a message follows soon */
    uint32_t reported_n_taken; /* slots in use, as last sent */
};

void status_init(struct status *status, struct core *core);

/* Clears the deadlines. Does nothing the second time. */
void status_deinit(struct status *status);

void status_ready(struct status *status);
void status_reloading(void);
void status_stopping(const struct status *status);

/* Once in a turn: sends a changed status, but at most once in a second. */
void status_look(struct status *status);

#endif

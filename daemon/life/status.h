/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_STATUS_H
#define FIPC_DAEMON_LIFE_STATUS_H

/* Tells the service manager how the broker is: sd_notify(3). Does nothing where there is none. */
#include <ev.h>
#include <stdint.h>

struct broker;

struct notify {
    ev_timer watchdog;
    ev_timer status;       /* active: the status changed and is told soon */
    uint32_t told_n_taken; /* slots in use, as last told */
};

void notify_init(struct broker *broker);

/* Stops the timers. Does nothing the second time. */
void notify_deinit(struct broker *broker);

void notify_ready(struct broker *broker);
void notify_reloading(void);
void notify_stopping(const struct broker *broker);

/* Once in a turn: what changed is told, but at most once in a second. */
void notify_look_at_status(struct broker *broker);

#endif

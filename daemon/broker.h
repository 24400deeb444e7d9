/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BROKER_H
#define FIPC_DAEMON_BROKER_H

/* All that one broker is. One thread, the event loop's, touches it. */
#include "daemon/config/config.h"
#include "daemon/life/admission.h"
#include "daemon/life/closer.h"
#include "daemon/life/greeting.h"
#include "daemon/life/listener.h"
#include "daemon/life/spare.h"
#include "daemon/life/status.h"
#include "daemon/model/core.h"
#include "daemon/turn.h"

#include <stdbool.h>

struct broker {
    struct core core;
    struct turn turn;
    struct listener listener;
    struct admission admission;
    struct greeting greeting;
    struct closer closer;
    struct status status;
    struct spare spare;
    struct deadline drain;
};

/**
 * broker_init() - make a broker that listens
 * @config:  consumed, also on failure
 *
 * Errors are logged. Return: 0; a negative errno
 */
int broker_init(struct broker *broker, struct config *config);
void broker_deinit(struct broker *broker);

/* Serves until a signal ends it, and drains. */
void broker_run(struct broker *broker);

/* Puts a new config in force. control.* stays as it was: the socket is bound. @config is consumed.
 */
void broker_reconfigure(struct broker *broker, struct config *config);

/* Starts to stop: open calls may end within drain_ms. A second call stops at once. */
void broker_stop(struct broker *broker);

#endif

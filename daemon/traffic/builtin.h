/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_BUILTIN_H
#define FIPC_DAEMON_TRAFFIC_BUILTIN_H

/* The services of the broker itself: fipc.delay, fipc.echo, fipc.list, fipc.ping, fipc.stats. */
#include "daemon/model/service.h"

extern const struct builtin builtins[];
extern const uint32_t builtin_count;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_DISPATCH_H
#define FIPC_CLIENT_DISPATCH_H

#include <stdbool.h>

struct fipc_client;

/* Whether a callback or a handler can be run. */
bool fipc_dispatch_has_work(const struct fipc_client *client);

/* Whether something would come over a connection that is not there. */
bool fipc_dispatch_needs_connection(const struct fipc_client *client);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_CALL_H
#define FIPC_CLIENT_CALL_H

/* A call, from its arguments to its reply. */
#include "client/base/wire.h"

#include <fipc/client.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_client;

/**
 * fipc_call_init() - check the arguments of a user, and begin the call
 *
 * Return: 0; -EINVAL; -ECHILD
 */
int fipc_call_init(struct fipc_call *ret_call, const struct fipc_client *client,
                   const char *service, const void *data, size_t size, unsigned flags,
                   int timeout_ms);

/**
 * fipc_call_run() - connect if need be, resolve the name, send the request, wait for the reply
 * @ret_reply:  on success the reply, returned to the caller; NULL: not wanted
 *
 * The client's lock is held on entry and exit, and released meanwhile.
 *
 * Return: as fipc_call()
 */
int fipc_call_run(struct fipc_client *client, const struct fipc_call *call,
                  fipc_message **ret_reply);

#endif

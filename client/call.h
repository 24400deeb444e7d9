/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_CALL_H
#define FIPC_CLIENT_CALL_H

/* A call, from its arguments to its reply. */
#include <fipc/client.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_call {
    const char *service; /* borrowed, not terminated */
    size_t service_bytes;
    const void *data; /* borrowed */
    size_t size;
    struct fipc_message *loan; /* instead of both; NULL: none */
    unsigned flags;
    int timeout_ms;
    uint64_t started_ns; /* from when on the timeout counts */
};

/* Return: the length of a service's name; 0 it is none */
size_t fipc_service_bytes(const char *service);

/* Whether a call's flags, timeout and request are allowed. Return: 0; -EINVAL */
int fipc_call_check(const void *data, size_t size, unsigned flags, int timeout_ms);

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

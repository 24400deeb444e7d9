/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_CALL_H
#define FIPC_CLIENT_CALL_H

/* A call, from its arguments to its reply. */
#include "common/control.h"
#include "common/message.h"
#include <fipc/client.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_client;
struct fipc_pending;

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
 * fipc_call_init() - check what a user gave, and begin the call
 *
 * Return: 0; -EINVAL; -ECHILD
 */
int fipc_call_init(struct fipc_call *ret_call, const struct fipc_client *client,
                   const char *service, const void *data, size_t size, unsigned flags,
                   int timeout_ms);

/* The question for a service's number. */
struct fipc_ask {
    unsigned char packet[sizeof(struct fipc_control_header) + sizeof(struct fipc_named) +
                         FIPC_NAME_BYTES_MAX];
    size_t size;
};

/* @waits: until somebody serves it. Return: 0; -EMSGSIZE */
int fipc_ask_encode(struct fipc_ask *ask, const char *service, size_t service_bytes, bool waits);

/* When a call that began then is over; at the broker's longest in any case. */
uint64_t fipc_call_deadline(const struct fipc_client *client, uint64_t started_ns, int timeout_ms);

/* What is left, on the wire: never 0. */
uint64_t fipc_remaining_ns(uint64_t deadline_ns, uint64_t now_ns);

/* @flags: as users give them */
struct fipc_header fipc_request_header(uint32_t target, unsigned flags, uint64_t remaining_ns);

/* Whether a request that nobody has seen should be sent again, after its service was opened again
 * or has room; what was known of the service is brought up to date. */
bool fipc_is_to_be_sent_again(struct fipc_client *client, const struct fipc_pending *answer,
                              const char *service, size_t service_bytes, unsigned flags);

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

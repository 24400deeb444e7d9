/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_BASE_WIRE_H
#define FIPC_CLIENT_BASE_WIRE_H

/* A call as the user gives it, and its form on the wire: names, flags, times. */
#include "common/control.h"
#include "common/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_message;

struct fipc_call {
    const char *service; /* borrowed, not terminated */
    size_t service_bytes;
    const void *data; /* borrowed */
    size_t size;
    struct fipc_message *loan; /* instead of both; NULL: no loan */
    unsigned flags;
    int timeout_ms;
    uint64_t started_ns; /* the timeout counts from here */
};

/* Return: the length of a service's name; 0 if it is invalid */
size_t fipc_service_bytes(const char *service);

/* Checks a call's flags, timeout and request. Return: 0; -EINVAL */
int fipc_call_check(const void *data, size_t size, unsigned flags, int timeout_ms);

/* The span of a timeout as users give it. Return: nanoseconds; FIPC_NEVER for -1 */
uint64_t fipc_timeout_ns(int timeout_ms);

/* When a call ends: after its timeout, and after the broker's longest in any case.
 * @handler_ms: a call's longest life, by the broker's welcome */
uint64_t fipc_call_deadline(uint32_t handler_ms, uint64_t started_ns, int timeout_ms);

/* The remaining time on the wire, where 0 means the longest. Return: at least 1 */
uint64_t fipc_remaining_ns(uint64_t deadline_ns, uint64_t now_ns);

/* @flags: as users give them */
struct fipc_header fipc_request_header(uint32_t target, unsigned flags, uint64_t remaining_ns);

/* A control packet about one name, for a ring. */
struct fipc_packet {
    unsigned char
        bytes[sizeof(struct fipc_control_header) + sizeof(struct fipc_serve) + FIPC_NAME_BYTES_MAX];
    size_t size;
};

/* The question for a service's number.
 * @waits: the broker answers when a client serves the name. Return: 0; -EMSGSIZE */
int fipc_packet_ask(struct fipc_packet *packet, const char *service, size_t service_bytes,
                    bool waits);

/* The offer to serve a name. Return: 0; -EMSGSIZE */
int fipc_packet_serve(struct fipc_packet *packet, const char *name, size_t name_bytes,
                      uint32_t concurrency);

/* The question for the pidfd of a caller. Return: 0; -EMSGSIZE */
int fipc_packet_pidfd(struct fipc_packet *packet);

#endif

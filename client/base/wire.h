/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_BASE_WIRE_H
#define FIPC_CLIENT_BASE_WIRE_H

/* A call as the user gives it, and its form on the wire: names, flags, times. */
#include "common/clock.h"
#include "common/control.h"
#include "common/message.h"

#include <errno.h>
#include <fipc/client.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The broker ends a call that takes too long: its answer has this much more time to come. */
#define FIPC_GRACE_NS (500 * FIPC_NS_PER_MS)

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
static inline size_t fipc_service_bytes(const char *service)
{
    size_t bytes = service != NULL ? strnlen(service, FIPC_NAME_BYTES_MAX + 1) : 0;

    return fipc_name_is_valid(service, bytes) ? bytes : 0;
}

/* Checks a call's flags, timeout and request. Return: 0; -EINVAL */
static inline int fipc_call_check(const void *data, size_t size, unsigned flags, int timeout_ms)
{
    if ((data == NULL && size > 0) ||
        (flags & ~(FIPC_WAIT_SERVICE | FIPC_NO_WAIT | FIPC_IDEMPOTENT)) != 0 || timeout_ms < -1)
        return -EINVAL;
    return 0;
}

/* The span of a timeout as users give it. Return: nanoseconds; FIPC_NEVER for -1 */
static inline uint64_t fipc_timeout_ns(int timeout_ms)
{
    return timeout_ms < 0 ? FIPC_NEVER : (uint64_t)timeout_ms * FIPC_NS_PER_MS;
}

/* When a call ends: after its timeout, and after the broker's longest in any case.
 * @handler_ms: a call's longest life, by the broker's welcome */
static inline uint64_t fipc_call_deadline(uint32_t handler_ms, uint64_t started_ns, int timeout_ms)
{
    uint64_t span_ns = fipc_timeout_ns(timeout_ms);
    uint64_t longest_ns = handler_ms * FIPC_NS_PER_MS + FIPC_GRACE_NS;

    return fipc_deadline_after(started_ns, span_ns < longest_ns ? span_ns : longest_ns);
}

/* The remaining time on the wire, where 0 means the longest. Return: at least 1 */
static inline uint64_t fipc_remaining_ns(uint64_t deadline_ns, uint64_t now_ns)
{
    return deadline_ns > now_ns ? deadline_ns - now_ns : 1;
}

/* @flags: as users give them */
static inline struct fipc_header fipc_request_header(uint32_t target, unsigned flags,
                                                     uint64_t remaining_ns)
{
    return (struct fipc_header){
        .kind = FIPC_KIND_REQUEST,
        .flags = (uint16_t)(((flags & FIPC_WAIT_SERVICE) != 0 ? FIPC_REQUEST_WAIT_SERVICE : 0) |
                            ((flags & FIPC_NO_WAIT) != 0 ? FIPC_REQUEST_NO_WAIT : 0) |
                            ((flags & FIPC_IDEMPOTENT) != 0 ? FIPC_REQUEST_IDEMPOTENT : 0)),
        .target = target,
        .remaining_ns = remaining_ns,
    };
}

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

/* The offer to serve a name. @handle: of this client. Return: 0; -EMSGSIZE */
int fipc_packet_serve(struct fipc_packet *packet, const char *name, size_t name_bytes,
                      uint32_t concurrency, uint64_t handle);

/* The question for the pidfd of a caller. Return: 0; -EMSGSIZE */
int fipc_packet_pidfd(struct fipc_packet *packet);

#endif

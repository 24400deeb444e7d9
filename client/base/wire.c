/* SPDX-License-Identifier: MIT */
#include "client/base/wire.h"

#include "common/clock.h"

#include <errno.h>
#include <fipc/client.h>
#include <string.h>

#define FLAGS_KNOWN (FIPC_WAIT_SERVICE | FIPC_NO_WAIT | FIPC_IDEMPOTENT)

/* The broker ends a call that takes too long: its answer has this much more time to come. */
#define GRACE_NS (500 * FIPC_NS_PER_MS)

static_assert(FIPC_NAME_MAX == FIPC_NAME_BYTES_MAX,
              "a name that users may use is one for the wire");
static_assert(sizeof(struct fipc_named) == sizeof(struct fipc_serve) &&
                  sizeof(struct fipc_nothing) <= sizeof(struct fipc_serve),
              "a packet has room for each of its bodies");

size_t fipc_service_bytes(const char *service)
{
    size_t bytes = service != NULL ? strnlen(service, FIPC_NAME_BYTES_MAX + 1) : 0;

    return fipc_name_is_valid(service, bytes) ? bytes : 0;
}

int fipc_call_check(const void *data, size_t size, unsigned flags, int timeout_ms)
{
    if ((data == NULL && size > 0) || (flags & ~FLAGS_KNOWN) != 0 || timeout_ms < -1)
        return -EINVAL;
    return 0;
}

/* ---- times ---- */

uint64_t fipc_timeout_ns(int timeout_ms)
{
    return timeout_ms < 0 ? FIPC_NEVER : (uint64_t)timeout_ms * FIPC_NS_PER_MS;
}

uint64_t fipc_call_deadline(uint32_t handler_ms, uint64_t started_ns, int timeout_ms)
{
    uint64_t span_ns = fipc_timeout_ns(timeout_ms);
    uint64_t longest_ns = handler_ms * FIPC_NS_PER_MS + GRACE_NS;

    return fipc_deadline_after(started_ns, span_ns < longest_ns ? span_ns : longest_ns);
}

uint64_t fipc_remaining_ns(uint64_t deadline_ns, uint64_t now_ns)
{
    return deadline_ns > now_ns ? deadline_ns - now_ns : 1;
}

/* ---- records ---- */

static uint16_t request_flags(unsigned flags)
{
    return (uint16_t)(((flags & FIPC_WAIT_SERVICE) != 0 ? FIPC_REQUEST_WAIT_SERVICE : 0) |
                      ((flags & FIPC_NO_WAIT) != 0 ? FIPC_REQUEST_NO_WAIT : 0) |
                      ((flags & FIPC_IDEMPOTENT) != 0 ? FIPC_REQUEST_IDEMPOTENT : 0));
}

struct fipc_header fipc_request_header(uint32_t target, unsigned flags, uint64_t remaining_ns)
{
    return (struct fipc_header){
        .kind = FIPC_KIND_REQUEST,
        .flags = request_flags(flags),
        .target = target,
        .remaining_ns = remaining_ns,
    };
}

static int packet_encode(struct fipc_packet *packet, const struct fipc_control *control)
{
    return fipc_control_encode(control, packet->bytes, sizeof(packet->bytes), &packet->size);
}

int fipc_packet_ask(struct fipc_packet *packet, const char *service, size_t service_bytes,
                    bool waits)
{
    const struct fipc_control control = {
        .type = waits ? FIPC_CONTROL_WAIT : FIPC_CONTROL_OPEN,
        .open = {.name_bytes = (uint32_t)service_bytes},
        .name = service,
    };

    return packet_encode(packet, &control);
}

int fipc_packet_serve(struct fipc_packet *packet, const char *name, size_t name_bytes,
                      uint32_t concurrency)
{
    const struct fipc_control control = {
        .type = FIPC_CONTROL_SERVE,
        .serve = {.name_bytes = (uint32_t)name_bytes, .concurrency = concurrency},
        .name = name,
    };

    return packet_encode(packet, &control);
}

int fipc_packet_pidfd(struct fipc_packet *packet)
{
    const struct fipc_control control = {.type = FIPC_CONTROL_PIDFD};

    return packet_encode(packet, &control);
}

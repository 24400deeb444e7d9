/* SPDX-License-Identifier: MIT */
#include "client/base/wire.h"

static_assert(FIPC_NAME_MAX == FIPC_NAME_BYTES_MAX,
              "a name that users may use is one for the wire");
static_assert(sizeof(struct fipc_named) <= sizeof(struct fipc_serve) &&
                  sizeof(struct fipc_nothing) <= sizeof(struct fipc_serve),
              "a packet has room for each of its bodies");

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
                      uint32_t concurrency, uint64_t handle)
{
    const struct fipc_control control = {
        .type = FIPC_CONTROL_SERVE,
        .serve = {.name_bytes = (uint32_t)name_bytes, .concurrency = concurrency, .handle = handle},
        .name = name,
    };

    return packet_encode(packet, &control);
}

int fipc_packet_pidfd(struct fipc_packet *packet)
{
    const struct fipc_control control = {.type = FIPC_CONTROL_PIDFD};

    return packet_encode(packet, &control);
}

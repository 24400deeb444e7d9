/* SPDX-License-Identifier: MIT */
/* The opener of a region takes its geometry from the greeting, never from the memory. */
#include "common/region.h"

#include "common/os/os.h"

#include <errno.h>

/* Lies before the request ring, so that the control block ends up in the middle of a page. */
#define EDGE_BYTES ((FIPC_REGION_PAGE - sizeof(struct fipc_control_block)) / 2)

static bool sizes_valid(uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    return fipc_ring_bytes_valid(request_ring_bytes) && fipc_ring_bytes_valid(reply_ring_bytes);
}

static struct fipc_region region_at(void *base, uint32_t request_ring_bytes,
                                    uint32_t reply_ring_bytes)
{
    return (struct fipc_region){
        .base = base,
        .size = fipc_region_size(request_ring_bytes, reply_ring_bytes),
        .request_ring_bytes = request_ring_bytes,
        .reply_ring_bytes = reply_ring_bytes,
    };
}

static void region_start(const struct fipc_region *region)
{
    struct fipc_control_block *control = fipc_region_control(region);

    fipc_ring_positions_init(&control->request,
                             fipc_region_request_start(region->request_ring_bytes));
    fipc_ring_positions_init(&control->reply, 0);
    fipc_end_init(&control->client);
    fipc_end_init(&control->broker);
}

int fipc_region_create(struct fipc_region *ret_region, int *ret_fd, const char *name,
                       uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    void *base;
    int r;

    if (!sizes_valid(request_ring_bytes, reply_ring_bytes))
        return -EINVAL;
    r = fipc_memory_create(&base, ret_fd, name,
                           fipc_region_size(request_ring_bytes, reply_ring_bytes));
    if (r < 0)
        return r;
    *ret_region = region_at(base, request_ring_bytes, reply_ring_bytes);
    region_start(ret_region);
    return 0;
}

int fipc_region_open(struct fipc_region *ret_region, int fd, uint32_t request_ring_bytes,
                     uint32_t reply_ring_bytes)
{
    void *base;
    int r;

    if (!sizes_valid(request_ring_bytes, reply_ring_bytes))
        return -EINVAL;
    r = fipc_memory_open(&base, fd, fipc_region_size(request_ring_bytes, reply_ring_bytes));
    if (r < 0)
        return r;
    *ret_region = region_at(base, request_ring_bytes, reply_ring_bytes);
    return 0;
}

void fipc_region_deinit(struct fipc_region *region)
{
    fipc_memory_close(region->base, region->size);
    *region = FIPC_REGION_EMPTY;
}

bool fipc_ring_bytes_valid(uint32_t bytes)
{
    return bytes >= FIPC_RING_BYTES_MIN && bytes <= FIPC_RING_BYTES_MAX &&
           (bytes & (bytes - 1)) == 0;
}

size_t fipc_region_size(uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    return FIPC_REGION_PAGE + (size_t)request_ring_bytes + reply_ring_bytes;
}

unsigned char *fipc_region_request_ring(const struct fipc_region *region)
{
    return (unsigned char *)region->base + EDGE_BYTES;
}

struct fipc_control_block *fipc_region_control(const struct fipc_region *region)
{
    unsigned char *control = fipc_region_request_ring(region) + region->request_ring_bytes;

    return (struct fipc_control_block *)(void *)control;
}

unsigned char *fipc_region_reply_ring(const struct fipc_region *region)
{
    return (unsigned char *)(fipc_region_control(region) + 1);
}

uint64_t fipc_region_request_start(uint32_t request_ring_bytes)
{
    return request_ring_bytes - EDGE_BYTES;
}

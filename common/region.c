/* SPDX-License-Identifier: MIT */
/* The opener of a region takes its geometry from the greeting, never from the memory. */
#include "common/region.h"

#include "common/os/os.h"

#include <errno.h>

/* The control block and the first places, between the rings. */
#define MIDDLE_BYTES                                                                               \
    (sizeof(struct fipc_control_block) + FIPC_PLACES_MIN * sizeof(struct fipc_place))
/* Lies before the request ring, so that this ends up in the middle of a page. */
#define EDGE_BYTES ((FIPC_REGION_PAGE - MIDDLE_BYTES) / 2)

static bool sizes_valid(uint32_t request_ring_bytes, uint32_t reply_ring_bytes, uint32_t n_places)
{
    return fipc_ring_bytes_valid(request_ring_bytes) && fipc_ring_bytes_valid(reply_ring_bytes) &&
           n_places >= FIPC_PLACES_MIN && n_places <= FIPC_PLACES_MAX;
}

static struct fipc_region region_at(void *base, uint32_t request_ring_bytes,
                                    uint32_t reply_ring_bytes, uint32_t n_places)
{
    return (struct fipc_region){
        .base = base,
        .size = fipc_region_size(request_ring_bytes, reply_ring_bytes, n_places),
        .request_ring_bytes = request_ring_bytes,
        .reply_ring_bytes = reply_ring_bytes,
        .n_places = n_places,
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
                       uint32_t request_ring_bytes, uint32_t reply_ring_bytes, uint32_t n_places)
{
    void *base;
    int r;

    if (!sizes_valid(request_ring_bytes, reply_ring_bytes, n_places))
        return -EINVAL;
    r = fipc_memory_create(&base, ret_fd, name,
                           fipc_region_size(request_ring_bytes, reply_ring_bytes, n_places));
    if (r < 0)
        return r;
    *ret_region = region_at(base, request_ring_bytes, reply_ring_bytes, n_places);
    region_start(ret_region);
    return 0;
}

int fipc_region_open(struct fipc_region *ret_region, int fd, uint32_t request_ring_bytes,
                     uint32_t reply_ring_bytes, uint32_t n_places)
{
    void *base;
    int r;

    if (!sizes_valid(request_ring_bytes, reply_ring_bytes, n_places))
        return -EINVAL;
    r = fipc_memory_open(&base, fd,
                         fipc_region_size(request_ring_bytes, reply_ring_bytes, n_places));
    if (r < 0)
        return r;
    *ret_region = region_at(base, request_ring_bytes, reply_ring_bytes, n_places);
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

/* The pages behind the reply ring. */
static size_t more_places_bytes(uint32_t n_places)
{
    size_t bytes = (n_places - FIPC_PLACES_MIN) * sizeof(struct fipc_place);

    return (bytes + FIPC_REGION_PAGE - 1) / FIPC_REGION_PAGE * FIPC_REGION_PAGE;
}

size_t fipc_region_size(uint32_t request_ring_bytes, uint32_t reply_ring_bytes, uint32_t n_places)
{
    return FIPC_REGION_PAGE + (size_t)request_ring_bytes + reply_ring_bytes +
           more_places_bytes(n_places);
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

static struct fipc_place *first_places(const struct fipc_region *region)
{
    return (struct fipc_place *)(void *)(fipc_region_control(region) + 1);
}

unsigned char *fipc_region_reply_ring(const struct fipc_region *region)
{
    return (unsigned char *)(first_places(region) + FIPC_PLACES_MIN);
}

struct fipc_place *fipc_region_place(const struct fipc_region *region, uint32_t number)
{
    unsigned char *more =
        (unsigned char *)region->base + region->size - more_places_bytes(region->n_places);

    if (number < FIPC_PLACES_MIN)
        return first_places(region) + number;
    return (struct fipc_place *)(void *)more + (number - FIPC_PLACES_MIN);
}

void fipc_region_hand_over(const struct fipc_region *region, uint32_t number, uint64_t id,
                           uint64_t token, uint64_t handle, int32_t pid)
{
    struct fipc_place *place;

    if (region->base == NULL)
        return;
    place = fipc_region_place(region, number);
    place->token = token;
    place->handle = handle;
    place->pid = pid;
    /* release: a client that finds the id after a crash finds the rest of this hand-over too */
    atomic_store_explicit(&place->id, id, memory_order_release);
}

void fipc_region_take_back(const struct fipc_region *region, uint32_t number)
{
    if (region->base == NULL)
        return;
    /* relaxed: the client looks after the broker's end only */
    atomic_store_explicit(&fipc_region_place(region, number)->id, 0, memory_order_relaxed);
}

uint64_t fipc_region_request_start(uint32_t request_ring_bytes)
{
    return request_ring_bytes - EDGE_BYTES;
}

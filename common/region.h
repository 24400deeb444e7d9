/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_REGION_H
#define FIPC_COMMON_REGION_H

/*
 * The memory that the two ends of a channel share: one sealed memfd with both rings and, between
 * them, the control block.
 *
 *      +--------+--------------+---------------+--------+------------+--------+-------------+
 *      | unused | request ring | control block | places | reply ring | unused | more places |
 *      | 1280 B | 2^n B        | 512 B         | 1024 B | 2^m B      | 1280 B | whole pages |
 *      +--------+--------------+---------------+--------+------------+--------+-------------+
 *                         |<------- one page, 4096 B ------->|
 *
 * The client fills the request ring from 1280 bytes before its end on, the broker the reply ring
 * from its beginning, so that the first messages of both touch one page: a page fault costs more
 * than the call that it serves.
 *
 *      control block:    0  tail of the request ring
 *                       64  head of the request ring
 *                      128  tail of the reply ring
 *                      192  head of the reply ring
 *                      256  end word of the client, its CLOSING flag
 *                      320  end word of the broker, its CLOSING flag
 *                      384  reserved, zero
 *
 *      a place:          0  id of the request that was handed to a worker in it; 0: none was
 *                        8  token of this hand-over
 *                       16  handle of the worker's library
 *                       24  pid of the worker
 *                       28  reserved, zero
 *
 * Each request that is open has a place, which its client's library chose. The broker writes there
 * before a worker can see the request, and never reads it: after a crash the client can learn from
 * its places which of its requests were handed over, and to whom. The first 32 places are in the
 * page of the control block, the others behind the reply ring.
 *
 * Sizes and positions are part of the wire: both ends compute them from the two ring sizes and the
 * number of places in WELCOME.
 */
#include "common/end.h"
#include "common/ring.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIPC_REGION_PAGE 4096u
#define FIPC_RING_BYTES_MIN FIPC_REGION_PAGE
#define FIPC_RING_BYTES_MAX (UINT32_C(1) << 30)

struct fipc_control_block {
    struct fipc_ring_positions request;
    struct fipc_ring_positions reply;
    struct fipc_end client;
    struct fipc_end broker;
    unsigned char reserved[128];
};

static_assert(sizeof(struct fipc_control_block) == 512, "the wire's control block is 512 bytes");
static_assert(offsetof(struct fipc_control_block, reply) == 128 &&
                  offsetof(struct fipc_control_block, client) == 256 &&
                  offsetof(struct fipc_control_block, broker) == 320,
              "the wire's control block is as drawn");

struct fipc_place {
    _Atomic uint64_t id;
    uint64_t token;
    uint64_t handle;
    int32_t pid;
    uint32_t reserved;
};

static_assert(sizeof(struct fipc_place) == 32, "the wire's place is 32 bytes");

/* Those in the page of the control block, and the most that there may be. */
#define FIPC_PLACES_MIN 32u
#define FIPC_PLACES_MAX 1024u

struct fipc_region {
    void *base; /* NULL: the empty state */
    size_t size;
    uint32_t request_ring_bytes;
    uint32_t reply_ring_bytes;
    uint32_t n_places;
};

#define FIPC_REGION_EMPTY ((struct fipc_region){.base = NULL})

/**
 * fipc_region_create() - make and start a region for another end to open
 * @ret_region:           the region; free it with fipc_region_deinit()
 * @ret_fd:               its memory, for the other end; returned to the caller
 * @name:                 shown in /proc/PID/maps as "memfd:<name>"
 * @request_ring_bytes:   a power of two, FIPC_RING_BYTES_MIN to FIPC_RING_BYTES_MAX; likewise
 * @reply_ring_bytes
 * @n_places:             FIPC_PLACES_MIN to FIPC_PLACES_MAX
 *
 * The rings are empty, both ends awake. The maker leaves the region alone until
 * fipc_memory_is_sealed().
 *
 * Return: 0; -EINVAL if a size is bad; else as fipc_memory_create()
 */
int fipc_region_create(struct fipc_region *ret_region, int *ret_fd, const char *name,
                       uint32_t request_ring_bytes, uint32_t reply_ring_bytes, uint32_t n_places);

/**
 * fipc_region_open() - map a region that the other end made
 * @fd:  its memory; borrowed, may be closed afterwards
 *
 * Seals the memory for good. A child of fork(2) does not inherit the mapping.
 *
 * Return: 0; -EINVAL if a size is bad; else as fipc_memory_open()
 */
int fipc_region_open(struct fipc_region *ret_region, int fd, uint32_t request_ring_bytes,
                     uint32_t reply_ring_bytes, uint32_t n_places);

/* Unmaps; the empty state stays. Safe on an empty region. */
void fipc_region_deinit(struct fipc_region *region);

/* Whether a ring may have this size. */
bool fipc_ring_bytes_valid(uint32_t bytes);

/* Bytes of the region that holds rings of these sizes, and @n_places. */
size_t fipc_region_size(uint32_t request_ring_bytes, uint32_t reply_ring_bytes, uint32_t n_places);

struct fipc_control_block *fipc_region_control(const struct fipc_region *region);

/* The memory of the rings; positions are masked by the ring's size. */
unsigned char *fipc_region_request_ring(const struct fipc_region *region);
unsigned char *fipc_region_reply_ring(const struct fipc_region *region);

/* The place with this number, below n_places. */
struct fipc_place *fipc_region_place(const struct fipc_region *region, uint32_t number);

/* Writes into a place that a request is about to be handed to a worker: before the worker can see
 * it. Like the other nothing on an empty region, which clients without a channel have. */
void fipc_region_hand_over(const struct fipc_region *region, uint32_t number, uint64_t id,
                           uint64_t token, uint64_t handle, int32_t pid);
/* The request was taken back from the worker, which had not seen it. */
void fipc_region_take_back(const struct fipc_region *region, uint32_t number);

/* The position at which the request ring of this size starts its life; the reply ring starts at 0.
 */
uint64_t fipc_region_request_start(uint32_t request_ring_bytes);

#endif

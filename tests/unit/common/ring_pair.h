/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_UNIT_COMMON_RING_PAIR_H
#define FIPC_TESTS_UNIT_COMMON_RING_PAIR_H

/* Both ends of one ring in private memory between guards. The test plays whatever peer it likes. */
#include "common/ring.h"
#include "tests/unit/fixture.h"

#include <errno.h>

#define CAPACITY 4096u
#define HEADER ((uint32_t)sizeof(struct fipc_header))
#define PAYLOAD_MAX (CAPACITY / 2 - HEADER)
#define N_PLACES ((int)(CAPACITY / FIPC_RECORD_ALIGN)) /* where a record can start */

#define PLACES_PER_RUN 16

/* Runs a body for each int place where a record can start; each run of the loop test is a process,
 * and takes PLACES_PER_RUN of them. */
#define PLACES_TEST(name_)                                                                         \
    static void name_##_at(int place);                                                             \
    LOOP_TEST(name_, N_PLACES / PLACES_PER_RUN)                                                    \
    {                                                                                              \
        for (int i = 0; i < PLACES_PER_RUN; i++)                                                   \
            name_##_at(_i *PLACES_PER_RUN + i);                                                    \
    }                                                                                              \
    static void name_##_at(int place)

struct ring_pair {
    struct fipc_ring_positions shared;
    struct fipc_producer producer;
    struct fipc_consumer consumer;
    unsigned char *memory;
};

/* Both ends anew, the ring empty, at another position. */
static inline void ring_pair_restart(struct ring_pair *ring, uint64_t position)
{
    fipc_ring_positions_init(&ring->shared, position);
    fipc_producer_init(&ring->producer, &ring->shared, ring->memory, CAPACITY, position);
    fipc_consumer_init(&ring->consumer, &ring->shared, ring->memory, CAPACITY, position);
}

static inline void ring_pair_init(struct ring_pair *ring)
{
    ring->memory = guarded_new(CAPACITY);
    ring_pair_restart(ring, 0);
}

static inline void ring_pair_deinit(struct ring_pair *ring)
{
    guarded_free(ring->memory, CAPACITY);
}

static inline uint64_t span_of(uint64_t payload_size)
{
    return (HEADER + payload_size + FIPC_RECORD_ALIGN - 1) / FIPC_RECORD_ALIGN * FIPC_RECORD_ALIGN;
}

static inline uint64_t shared_tail(const struct ring_pair *ring)
{
    return atomic_load_explicit(&ring->shared.tail, memory_order_relaxed);
}

static inline uint64_t shared_head(const struct ring_pair *ring)
{
    return atomic_load_explicit(&ring->shared.head, memory_order_relaxed);
}

/* A header that differs from others in every field. Its size is the ring's to set. */
static inline struct fipc_header header_of(uint64_t id)
{
    return (struct fipc_header){
        .size = UINT32_MAX,
        .kind = (uint16_t)(FIPC_KIND_REQUEST + id % 1000),
        .flags = (uint16_t)~id,
        .target = (uint32_t)(id * 3),
        .status = -(int32_t)(id % 100),
        .id = id,
        .remaining_ns = id * UINT64_C(0x100000001),
    };
}

/* Sends @size bytes that tell of @id. */
static inline int send_record(struct ring_pair *ring, uint64_t id, size_t size)
{
    unsigned char payload[PAYLOAD_MAX + 1];
    struct fipc_header header = header_of(id);

    pattern_fill(payload, size < sizeof(payload) ? size : sizeof(payload), id);
    return fipc_producer_send(&ring->producer, &header, size > 0 ? payload : NULL, size);
}

/* A record is the one that send_record() sent. */
static inline void expect_record_is(const struct fipc_header *header, const void *payload,
                                    uint64_t id, size_t size)
{
    struct fipc_header expected = header_of(id);

    expected.size = HEADER + (uint32_t)size;
    EXPECT(memcmp(header, &expected, sizeof(expected)) == 0);
    EXPECT(fipc_payload_size(header) == size);
    EXPECT(pattern_matches(payload, size, id));
}

/* Takes and releases skip records. Return: as fipc_consumer_take(), of what follows, which stays
 * taken. */
static inline int take_past_skips(struct ring_pair *ring, struct fipc_header *ret_header,
                                  const void **ret_payload)
{
    int r;

    while ((r = fipc_consumer_take(&ring->consumer, ret_header, ret_payload)) == 0 &&
           ret_header->kind == FIPC_KIND_SKIP)
        fipc_consumer_release(&ring->consumer);
    return r;
}

/* Takes the record that send_record() sent. */
static inline void expect_record(struct ring_pair *ring, uint64_t id, size_t size)
{
    struct fipc_header header;
    const void *payload;

    EXPECT(take_past_skips(ring, &header, &payload) == 0);
    expect_record_is(&header, payload, id, size);
    fipc_consumer_release(&ring->consumer);
}

static inline void expect_empty(struct ring_pair *ring)
{
    struct fipc_header header;
    const void *payload;

    EXPECT(take_past_skips(ring, &header, &payload) == -EAGAIN);
}

#endif

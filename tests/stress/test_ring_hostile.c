/* SPDX-License-Identifier: MIT */
/*
 * A peer that writes into the shared memory while we use it, between any two of our instructions.
 * It may have any answer that the header names, and garbage in its own payload; it may not make us
 * touch a byte outside the ring (the guards of ring_pair.h would say so) or use anything but
 * validated bytes.
 */
#include "common/clock.h"
#include "common/os/os.h"
#include "tests/unit/common/ring_pair.h"

#include <pthread.h>
#include <sched.h>

#define FOR_NS (FIPC_NS_PER_S / 2)

static struct ring_pair ring;
static _Atomic bool stop;

/* A word as one of the wire: mostly small, aligned or nearly so, or near a bound. */
static uint32_t hostile_word(uint64_t *random)
{
    static const uint32_t bounds[] = {
        0, 1, 31, 32, 33, 64, 96, 2047, 2048, 2049, 4064, CAPACITY, CAPACITY + 32, UINT32_MAX};

    return bounds[random_below(random, sizeof(bounds) / sizeof(bounds[0]))];
}

static void scribble_header(uint64_t *random)
{
    uint32_t size = hostile_word(random);
    uint16_t kind = (uint16_t)random_below(random, 4);
    unsigned char *at = ring.memory + random_below(random, CAPACITY / HEADER) * HEADER;

    __atomic_store_n((uint32_t *)(void *)at, size, __ATOMIC_RELAXED);
    __atomic_store_n((uint16_t *)(void *)(at + 4), kind, __ATOMIC_RELAXED);
}

/* Near the position that the other side has published: mostly plausible. */
static uint64_t hostile_position(uint64_t near, uint64_t *random)
{
    uint64_t offset = random_below(random, 8) == 0 ? random_next(random) : hostile_word(random);

    return random_below(random, 4) == 0 ? near - offset : near + offset;
}

static void *play_producer(void *argument)
{
    uint64_t random = 1;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        uint64_t head = atomic_load_explicit(&ring.shared.head, memory_order_relaxed);

        for (int i = 0; i < 16; i++)
            scribble_header(&random);
        atomic_store_explicit(&ring.shared.tail, hostile_position(head, &random),
                              memory_order_relaxed);
    }
    return argument;
}

static void *play_consumer(void *argument)
{
    uint64_t random = 2;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        uint64_t tail = atomic_load_explicit(&ring.shared.tail, memory_order_relaxed);

        scribble_header(&random);
        atomic_store_explicit(&ring.shared.head, hostile_position(tail, &random),
                              memory_order_relaxed);
    }
    return argument;
}

static void run_against(void *(*peer)(void *), void (*step)(uint64_t *random))
{
    uint64_t until_ns = fipc_now_ns() + FOR_NS, random = 3;
    pthread_t thread;

    ring_pair_init(&ring);
    ring_pair_restart(&ring, UINT64_MAX - 64 * (uint64_t)CAPACITY + 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, peer, NULL), 0);
    while (fipc_now_ns() < until_ns)
        for (int i = 0; i < 256; i++)
            step(&random);
    atomic_store(&stop, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ring_pair_deinit(&ring);
}

static uint64_t n_taken, n_refused, n_empty;

static void take_once(uint64_t *random)
{
    unsigned char copy[CAPACITY];
    struct fipc_header header;
    const void *payload;
    size_t size, offset;
    int r = fipc_consumer_take(&ring.consumer, &header, &payload);

    (void)random;
    n_refused += r == -EBADMSG;
    n_empty += r == -EAGAIN;
    if (r < 0) {
        EXPECT(r == -EBADMSG || r == -EAGAIN);
        /* a real consumer would end here; this one goes on where the peer says that it is */
        ring.consumer.tail = ring.consumer.head;
        return;
    }
    size = fipc_payload_size(&header);
    offset = (size_t)((const unsigned char *)payload - ring.memory);
    EXPECT(offset <= CAPACITY && size <= CAPACITY - offset);
    EXPECT(header.kind == FIPC_KIND_SKIP || header.size <= CAPACITY / 2);
    EXPECT(header.kind != FIPC_KIND_CORRUPT);
    memcpy(copy, payload, size);
    fipc_consumer_release(&ring.consumer);
    n_taken++;
}

GROUP(hostile_peer, .timeout = 60, .fixtures = {HOLDINGS_KEPT});

TEST(consumer_stays_inside_the_ring_whatever_its_producer_does)
{
    run_against(play_producer, take_once);
    ck_assert_uint_gt(n_taken, 0);
    ck_assert_uint_gt(n_refused, 0);
}

static uint64_t n_sent;

static void send_once(uint64_t *random)
{
    static const unsigned char payload[PAYLOAD_MAX];
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST};
    uint64_t tail = ring.producer.tail;
    int r =
        fipc_producer_send(&ring.producer, &header, payload, random_below(random, PAYLOAD_MAX + 1));

    EXPECT(r == 0 || r == -EBADMSG || r == -EAGAIN);
    n_refused += r == -EBADMSG;
    n_sent += r == 0;
    EXPECT(ring.producer.tail - ring.producer.head <= CAPACITY);
    EXPECT(r == 0 || ring.producer.tail == tail);
}

TEST(producer_stays_inside_the_ring_whatever_its_consumer_does)
{
    run_against(play_consumer, send_once);
    ck_assert_uint_gt(n_sent, 0);
    ck_assert_uint_gt(n_refused, 0);
}

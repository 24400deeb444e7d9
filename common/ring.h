/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_RING_H
#define FIPC_COMMON_RING_H

/*
 * A queue of records in shared memory with one producer and one consumer. Positions are
 * free-running 64-bit counts of bytes: the producer owns the tail, the consumer the head. A record
 * is a struct fipc_header and its payload, contiguous, and starts at a multiple of
 * FIPC_RECORD_ALIGN. If a record does not fit before the end of the memory, a skip record fills the
 * rest.
 *
 *      tail: written up to here          head: taken up to here
 *      0 <= tail - head <= capacity, both multiples of FIPC_RECORD_ALIGN
 *
 * Each end keeps its own position, the peer's last good position and the geometry in private
 * memory.
 */
#include "common/message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Where the compiler needs a lock for an atomic of 64 bits, that lock is one of this process alone.
 */
static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
              "fipc needs a CPU with lock-free atomics of 64 bits");

#define FIPC_RECORD_ALIGN ((uint32_t)sizeof(struct fipc_header))

/* The shared part; common/region.h draws its place. */
struct fipc_ring_positions {
    _Alignas(64) _Atomic uint64_t tail;
    _Alignas(64) _Atomic uint64_t head;
};

/* Room for one record that is not sent yet. fipc_producer_send() holds one for a moment. */
struct fipc_loan {
    void *payload; /* where to write the payload; borrowed until commit or abort */
    uint32_t size; /* of the payload */
    bool in_place; /* false: another record overtook it, and a skip record is in its place */
    uint64_t position;
};

struct fipc_producer {
    struct fipc_ring_positions *shared;
    unsigned char *memory;
    uint32_t capacity;
    uint64_t tail; /* ours; every record before it is written, or a skip about to be published */
    uint64_t head; /* the consumer's last good position */
    struct fipc_loan *in_place; /* the loan that starts at the tail, or NULL */
    struct fipc_loan *pinned;   /* the loan that was overtaken: records step over its span */
};

struct fipc_consumer {
    struct fipc_ring_positions *shared;
    const unsigned char *memory;
    uint32_t capacity;
    uint64_t head; /* ours */
    uint64_t tail; /* the producer's last good position */
    uint64_t span; /* of the record that was taken and not released yet; 0: none */
};

/* Sets both positions of an empty ring, before it is shared. */
void fipc_ring_positions_init(struct fipc_ring_positions *shared, uint64_t position);

/* The largest payload that one record of a ring of this size carries: half the ring, less its
 * header. */
uint32_t fipc_ring_payload_max(uint32_t capacity);

/**
 * fipc_producer_init() - become the producer of an empty ring
 * @shared:    its positions; borrowed, must outlive the producer, likewise @memory
 * @capacity:  bytes at @memory, a power of two
 * @position:  where the ring starts: the argument of fipc_ring_positions_init()
 */
void fipc_producer_init(struct fipc_producer *producer, struct fipc_ring_positions *shared,
                        void *memory, uint32_t capacity, uint64_t position);

/**
 * fipc_producer_reserve() - claim room for one record
 * @size:      payload in bytes, 0 to fipc_ring_payload_max()
 * @ret_loan:  the room; stays where it is until commit or abort, since the producer may refer to it
 *
 * Never blocks, makes no system call. One other loan may be open. The new one overtakes it: the
 * producer publishes a skip record in its place at once, and steps over its span until it ends.
 * Until then -EAGAIN may last, however much the consumer takes, if the record is larger than a
 * third of the space beside the open loan. Threads: the producer's only, or under its lock.
 *
 * Return: 0; -EAGAIN if there is no room now; -EMSGSIZE if the record can never fit; -EBADMSG if
 * the peer corrupted the ring (close the channel)
 */
int fipc_producer_reserve(struct fipc_producer *producer, size_t size, struct fipc_loan *ret_loan);

/**
 * fipc_producer_commit() - publish a reserved record
 * @loan:    from fipc_producer_reserve(), still in_place; this ends it. A loan that was overtaken
 *           needs a private copy, fipc_producer_abort(), then fipc_producer_send()
 * @header:  all but its size, which this function sets
 *
 * Does not wake the consumer: see fipc_channel_ring(). Threads: as fipc_producer_reserve().
 */
void fipc_producer_commit(struct fipc_producer *producer, struct fipc_loan *loan,
                          const struct fipc_header *header);

/* Gives reserved room back unused. Threads: as fipc_producer_reserve(). */
void fipc_producer_abort(struct fipc_producer *producer, struct fipc_loan *loan);

/**
 * fipc_producer_send() - reserve, copy and commit one record
 * @payload:  borrowed; NULL is allowed where @size is 0
 *
 * Return: as fipc_producer_reserve()
 */
int fipc_producer_send(struct fipc_producer *producer, const struct fipc_header *header,
                       const void *payload, size_t size);

/**
 * fipc_producer_has_room() - look whether a record would fit
 * @size:  payload in bytes
 *
 * Return: 1 if it fits; 0 if it does not fit now; -EMSGSIZE, -EBADMSG as fipc_producer_reserve()
 */
int fipc_producer_has_room(struct fipc_producer *producer, size_t size);

/**
 * fipc_producer_was_taken() - look whether the consumer passed a record, after it ended
 * @position:  the producer's tail right after the record was committed
 *
 * While the consumer may still be at work only true is final. The record counts as taken if the
 * consumer's position is impossible.
 */
bool fipc_producer_was_taken(const struct fipc_producer *producer, uint64_t position);

/**
 * fipc_producer_keeps() - look whether a record's bytes stay though another one is reserved
 * @position:  where the first one began: fipc_loan.position
 * @size:      payload of the other one, in bytes
 *
 * The consumer may have passed the first record, so that its room may be used again. True is final
 * until the next reservation; false may be too careful.
 */
bool fipc_producer_keeps(const struct fipc_producer *producer, uint64_t position, size_t size);

/* Become the consumer of an empty ring; arguments as for fipc_producer_init(). */
void fipc_consumer_init(struct fipc_consumer *consumer, struct fipc_ring_positions *shared,
                        const void *memory, uint32_t capacity, uint64_t position);

/* Whether the producer moved since the last look: a hint from one relaxed load, for a spinning
 * consumer. */
bool fipc_consumer_has_news(const struct fipc_consumer *consumer);

/**
 * fipc_consumer_take() - look at the oldest record
 * @ret_header:   a private copy, its size, kind and place validated; a skip record is a record too,
 * and work
 * @ret_payload:  in the shared memory: the producer can change these bytes at any moment; borrowed
 * until release
 *
 * Never blocks, makes no system call. Taking again without a release gives the same record.
 * Threads: the consumer's only.
 *
 * Return: 0; -EAGAIN if the ring is empty; -EBADMSG if the peer corrupted it (close the channel)
 */
int fipc_consumer_take(struct fipc_consumer *consumer, struct fipc_header *ret_header,
                       const void **ret_payload);

/* Payload bytes of a record whose header fipc_consumer_take() validated. */
static inline uint32_t fipc_payload_size(const struct fipc_header *header)
{
    return header->size - (uint32_t)sizeof(*header);
}

/* Gives the room of the taken record back to the producer. Does not wake it: see
 * fipc_channel_ring(). */
void fipc_consumer_release(struct fipc_consumer *consumer);

/* Whether half the ring is free: enough to wake a producer that waits for room. */
bool fipc_consumer_left_room(const struct fipc_consumer *consumer);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The peer may be hostile: it maps the same memory and can change anything in it at any moment. So
 * this file loads every shared word once, atomically, into a local, validates the local and uses
 * the local; it never takes capacity or positions from the region. The peer can achieve -EBADMSG,
 * or garbage in its own payload.
 *
 * A loan that another reservation overtakes pins its span: its owner may still write there, even
 * after the consumer passed the skip record that covers it. Until the loan ends, the producer steps
 * over the span by another skip record in every lap.
 */
#include "common/ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The memory has no declared type; headers are read from it as words. */
typedef uint64_t __attribute__((may_alias)) ring_word;

#define HEADER_WORDS (sizeof(struct fipc_header) / sizeof(ring_word))

static uint64_t record_span(uint64_t payload_size)
{
    uint64_t align = FIPC_RECORD_ALIGN;

    return (sizeof(struct fipc_header) + payload_size + align - 1) & ~(align - 1);
}

static uint64_t until_wrap(uint32_t capacity, uint64_t position)
{
    return capacity - (position & (capacity - 1));
}

void fipc_ring_positions_init(struct fipc_ring_positions *shared, uint64_t position)
{
    /* relaxed: the ring is not shared yet */
    atomic_store_explicit(&shared->tail, position, memory_order_relaxed);
    atomic_store_explicit(&shared->head, position, memory_order_relaxed);
}

uint32_t fipc_ring_payload_max(uint32_t capacity)
{
    return capacity / 2 - (uint32_t)sizeof(struct fipc_header);
}

/* ---- producer ---- */

void fipc_producer_init(struct fipc_producer *producer, struct fipc_ring_positions *shared,
                        void *memory, uint32_t capacity, uint64_t position)
{
    *producer = (struct fipc_producer){
        .shared = shared,
        .memory = memory,
        .capacity = capacity,
        .tail = position,
        .head = position,
    };
}

static unsigned char *producer_at(const struct fipc_producer *producer, uint64_t position)
{
    return producer->memory + (position & (producer->capacity - 1));
}

static void producer_publish(struct fipc_producer *producer)
{
    /* release: pairs with the acquire load in fipc_consumer_take(); the record's bytes arrive with
     * it */
    atomic_store_explicit(&producer->shared->tail, producer->tail, memory_order_release);
}

static uint64_t producer_free(const struct fipc_producer *producer)
{
    return producer->capacity - (producer->tail - producer->head);
}

/* Looks at the consumer's head only when the known free space is not enough. Return: 1 if there is
 * room; 0 if there is none now; -EBADMSG */
static int producer_find_room(struct fipc_producer *producer, uint64_t needed)
{
    uint64_t head;

    if (producer_free(producer) >= needed)
        return 1;

    /* acquire: pairs with the release store in fipc_consumer_release(); its reads end before we
     * write there */
    head = atomic_load_explicit(&producer->shared->head, memory_order_acquire);
    if (head - producer->head > producer->tail - producer->head || head % FIPC_RECORD_ALIGN != 0)
        return -EBADMSG;
    producer->head = head;
    return producer_free(producer) >= needed;
}

static void producer_write_skip(struct fipc_producer *producer, uint64_t span)
{
    struct fipc_header skip = {.size = (uint32_t)span, .kind = FIPC_KIND_SKIP};

    memcpy(producer_at(producer, producer->tail), &skip, sizeof(skip));
    producer->tail += span;
}

/* One skip record up to the end of the memory, and one after it: none begins inside a span that it
 * steps over. */
static void producer_skip_to(struct fipc_producer *producer, uint64_t position)
{
    while (producer->tail != position) {
        uint64_t left = until_wrap(producer->capacity, producer->tail);
        uint64_t span = position - producer->tail;

        producer_write_skip(producer, left < span ? left : span);
    }
}

/* Turns the span of the loan at the tail into a skip record and pins it: another record overtakes
 * the loan. */
static void producer_overtake(struct fipc_producer *producer)
{
    struct fipc_loan *loan = producer->in_place;

    assert(producer->pinned == NULL);
    loan->in_place = false;
    producer->in_place = NULL;
    producer->pinned = loan;
    producer_write_skip(producer, record_span(loan->size));
    producer_publish(producer);
}

/* Where a record would go: after the span of a loan that it overtakes, and after all that it must
 * skip. */
struct placement {
    uint64_t position;
    uint64_t needed; /* from the tail to the record's end */
};

/* Bytes from @position to the end of the pinned loan, if a record there would lie on it; 0: it
 * would not. */
static uint64_t until_past_pinned(const struct fipc_producer *producer, uint64_t position,
                                  uint64_t span)
{
    uint64_t mask = producer->capacity - 1, start = position & mask, pinned, pinned_span;

    if (producer->pinned == NULL)
        return 0;
    pinned = producer->pinned->position & mask;
    pinned_span = record_span(producer->pinned->size);
    return start < pinned + pinned_span && pinned < start + span ? pinned + pinned_span - start : 0;
}

/* The next position from @position on where a record fits before the end, beside the pinned loan.
 */
static uint64_t next_place(const struct fipc_producer *producer, uint64_t position, uint64_t span)
{
    uint64_t start = position, step = 1;

    while (step > 0 && position - start < producer->capacity) {
        uint64_t left = until_wrap(producer->capacity, position);

        step = left < span ? left : until_past_pinned(producer, position, span);
        position += step;
    }
    return position;
}

static int producer_place(struct fipc_producer *producer, size_t size,
                          struct placement *ret_placement)
{
    uint64_t overtaken, span;

    if (size > fipc_ring_payload_max(producer->capacity))
        return -EMSGSIZE;

    overtaken = producer->in_place != NULL ? record_span(producer->in_place->size) : 0;
    span = record_span(size);
    ret_placement->position = next_place(producer, producer->tail + overtaken, span);
    ret_placement->needed = ret_placement->position + span - producer->tail;
    return producer_find_room(producer, ret_placement->needed);
}

int fipc_producer_has_room(struct fipc_producer *producer, size_t size)
{
    struct placement placement;

    return producer_place(producer, size, &placement);
}

int fipc_producer_reserve(struct fipc_producer *producer, size_t size, struct fipc_loan *ret_loan)
{
    struct placement placement;
    int r;

    r = producer_place(producer, size, &placement);
    if (r <= 0)
        return r < 0 ? r : -EAGAIN;

    if (producer->in_place != NULL)
        producer_overtake(producer);
    producer_skip_to(producer, placement.position);
    *ret_loan = (struct fipc_loan){
        .payload = producer_at(producer, producer->tail) + sizeof(struct fipc_header),
        .size = (uint32_t)size,
        .in_place = true,
        .position = producer->tail,
    };
    producer->in_place = ret_loan;
    return 0;
}

void fipc_producer_commit(struct fipc_producer *producer, struct fipc_loan *loan,
                          const struct fipc_header *header)
{
    struct fipc_header complete = *header;

    assert(producer->in_place == loan);
    complete.size = (uint32_t)sizeof(complete) + loan->size;
    memcpy(producer_at(producer, producer->tail), &complete, sizeof(complete));
    producer->tail += record_span(loan->size);
    producer->in_place = NULL;
    producer_publish(producer);
}

int fipc_producer_send(struct fipc_producer *producer, const struct fipc_header *header,
                       const void *payload, size_t size)
{
    struct fipc_loan loan;
    int r;

    r = fipc_producer_reserve(producer, size, &loan);
    if (r < 0)
        return r;
    if (size > 0)
        memcpy(loan.payload, payload, size);
    fipc_producer_commit(producer, &loan, header);
    return 0;
}

void fipc_producer_abort(struct fipc_producer *producer, struct fipc_loan *loan)
{
    if (loan->in_place) {
        assert(producer->in_place == loan);
        producer->in_place = NULL;
    } else {
        assert(producer->pinned == loan);
        producer->pinned = NULL;
    }
}

bool fipc_producer_was_taken(const struct fipc_producer *producer, uint64_t position)
{
    /* relaxed: nothing is read or written on the strength of it; the consumer is gone */
    uint64_t head = atomic_load_explicit(&producer->shared->head, memory_order_relaxed);
    uint64_t left = producer->tail - head;

    return left <= producer->tail - position || left > producer->tail - producer->head;
}

/* A skip record that fills the end of the ring is shorter than the record that did not fit there.
 */
bool fipc_producer_keeps(const struct fipc_producer *producer, uint64_t position, size_t size)
{
    uint64_t end = producer->tail + 2 * record_span(size);

    if (producer->in_place != NULL)
        end += 2 * record_span(producer->in_place->size);
    if (producer->pinned != NULL)
        end += 2 * record_span(producer->pinned->size);
    return end - position <= producer->capacity;
}

/* ---- consumer ---- */

void fipc_consumer_init(struct fipc_consumer *consumer, struct fipc_ring_positions *shared,
                        const void *memory, uint32_t capacity, uint64_t position)
{
    *consumer = (struct fipc_consumer){
        .shared = shared,
        .memory = memory,
        .capacity = capacity,
        .head = position,
        .tail = position,
    };
}

bool fipc_consumer_has_news(const struct fipc_consumer *consumer)
{
    /* relaxed: only a hint; fipc_consumer_take() looks again */
    return atomic_load_explicit(&consumer->shared->tail, memory_order_relaxed) != consumer->head;
}

/* Loads the tail; the caller has read every record that it knew of. */
static int consumer_find_tail(struct fipc_consumer *consumer)
{
    /* acquire: pairs with the release store in producer_publish() */
    uint64_t tail = atomic_load_explicit(&consumer->shared->tail, memory_order_acquire);
    uint64_t used = tail - consumer->head;

    if (used == 0)
        return -EAGAIN;
    if (used > consumer->capacity || used % FIPC_RECORD_ALIGN != 0)
        return -EBADMSG;
    consumer->tail = tail;
    return 0;
}

static struct fipc_header header_load(const unsigned char *memory)
{
    union {
        uint64_t words[HEADER_WORDS];
        struct fipc_header header;
    } copy;

    for (size_t i = 0; i < HEADER_WORDS; i++) {
        /* relaxed: ordered by the acquire load of the tail; atomic only so that each word is read
         * once */
        copy.words[i] =
            __atomic_load_n((const ring_word *)(const void *)memory + i, __ATOMIC_RELAXED);
    }
    return copy.header;
}

int fipc_consumer_take(struct fipc_consumer *consumer, struct fipc_header *ret_header,
                       const void **ret_payload)
{
    struct fipc_header header;
    const unsigned char *record;
    uint64_t span, limit;
    int r;

    if (consumer->tail == consumer->head) {
        r = consumer_find_tail(consumer);
        if (r < 0)
            return r;
    }

    record = consumer->memory + (consumer->head & (consumer->capacity - 1));
    header = header_load(record);
    if (header.kind == FIPC_KIND_CORRUPT || header.size < sizeof(header) ||
        (header.kind != FIPC_KIND_SKIP && header.size > consumer->capacity / 2))
        return -EBADMSG;

    span = record_span(header.size - sizeof(header));
    limit = until_wrap(consumer->capacity, consumer->head);
    if (span > consumer->tail - consumer->head || span > limit)
        return -EBADMSG;

    consumer->span = span;
    *ret_header = header;
    *ret_payload = record + sizeof(header);
    return 0;
}

void fipc_consumer_release(struct fipc_consumer *consumer)
{
    assert(consumer->span > 0);
    consumer->head += consumer->span;
    consumer->span = 0;
    /* release: pairs with the acquire load in producer_find_room(); our reads end before the room
     * is free */
    atomic_store_explicit(&consumer->shared->head, consumer->head, memory_order_release);
}

bool fipc_consumer_left_room(const struct fipc_consumer *consumer)
{
    return consumer->capacity - (consumer->tail - consumer->head) >= consumer->capacity / 2;
}

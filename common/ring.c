/* SPDX-License-Identifier: MIT */
/*
 * The peer may be hostile: it maps the same memory and can change anything in it at any moment. So
 * every shared word is loaded once, atomically, into a local, validated there and used from there;
 * capacity and positions are never taken from the region. What the peer can achieve is -EBADMSG, or
 * garbage in its own payload.
 *
 * A loan that is overtaken by another reservation pins its span: its owner may still write there,
 * so that the room is not used again before the loan ends, even where the consumer has long passed
 * the skip record that covers it.
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
    uint64_t used = producer->tail - producer->head;

    if (producer->pinned != NULL) {
        uint64_t pinned = producer->tail - producer->pinned->position;

        used = pinned > used ? pinned : used;
    }
    return producer->capacity - used;
}

/* Looks at the consumer's head only when what is known to be free is not enough. 1: room; 0: none
 * now. */
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

/* Keeps the span of a loan from being used again; the oldest loan comes first. */
static void producer_pin(struct fipc_producer *producer, struct fipc_loan *loan)
{
    struct fipc_loan **link = &producer->pinned;

    while (*link != NULL && producer->tail - (*link)->position > producer->tail - loan->position)
        link = &(*link)->next;
    loan->next = *link;
    *link = loan;
}

static void producer_unpin(struct fipc_producer *producer, const struct fipc_loan *loan)
{
    struct fipc_loan **link = &producer->pinned;

    while (*link != loan)
        link = &(*link)->next;
    *link = loan->next;
}

/* Turns the span of the loan at the tail into a skip record and pins it: somebody overtakes the
 * loan. */
static void producer_overtake(struct fipc_producer *producer)
{
    struct fipc_loan *loan = producer->in_place;

    loan->in_place = false;
    producer->in_place = NULL;
    producer_pin(producer, loan);
    producer_write_skip(producer, record_span(loan->size));
    producer_publish(producer);
}

/* What a record of @span needs before it can be written: itself, a skip to the wrap, an overtaken
 * loan. */
struct placement {
    uint64_t skip;
    uint64_t needed;
};

static int producer_place(struct fipc_producer *producer, size_t size,
                          struct placement *ret_placement)
{
    uint64_t overtaken, span, left;

    if (size > fipc_ring_payload_max(producer->capacity))
        return -EMSGSIZE;

    overtaken = producer->in_place != NULL ? record_span(producer->in_place->size) : 0;
    span = record_span(size);
    left = until_wrap(producer->capacity, producer->tail + overtaken);
    ret_placement->skip = left < span ? left : 0;
    ret_placement->needed = overtaken + ret_placement->skip + span;
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
    if (placement.skip > 0)
        producer_write_skip(producer, placement.skip);
    *ret_loan = (struct fipc_loan){
        .payload = producer_at(producer, producer->tail) + sizeof(struct fipc_header),
        .size = (uint32_t)size,
        .in_place = true,
        .position = producer->tail,
    };
    producer->in_place = ret_loan;
    return 0;
}

/* Publishes the loan at the tail, whose payload is in place. */
static void producer_finish(struct fipc_producer *producer, const struct fipc_loan *loan,
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
        memmove(loan.payload, payload, size); /* an overtaken loan may be copied over itself */
    producer_finish(producer, &loan, header);
    return 0;
}

/*
 * The loan's own span is room for the copy too, or a large loan would wait for room that no
 * consumer can make. The copy starts where the loan does or before it, so that no header is written
 * over what is still to be copied.
 */
static int producer_commit_copy(struct fipc_producer *producer, struct fipc_loan *loan,
                                const struct fipc_header *header)
{
    int r;

    producer_unpin(producer, loan);
    r = fipc_producer_send(producer, header, loan->payload, loan->size);
    if (r < 0)
        producer_pin(producer, loan);
    return r;
}

int fipc_producer_commit(struct fipc_producer *producer, struct fipc_loan *loan,
                         const struct fipc_header *header)
{
    if (!loan->in_place)
        return producer_commit_copy(producer, loan, header);
    producer_finish(producer, loan, header);
    return 0;
}

void fipc_producer_abort(struct fipc_producer *producer, struct fipc_loan *loan)
{
    if (loan->in_place) {
        assert(producer->in_place == loan);
        producer->in_place = NULL;
    } else {
        producer_unpin(producer, loan);
    }
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

/* Finds how much is published; the caller has read all that it knew of. */
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
        header.size > consumer->capacity / 2)
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

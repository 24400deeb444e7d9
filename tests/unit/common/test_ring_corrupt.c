/* SPDX-License-Identifier: MIT */
/*
 * The ring with a hostile peer: whatever stands in the shared positions and headers, the answer is
 * -EBADMSG, nothing is consumed or written, and no byte outside the ring is touched (the guards of
 * ring_pair.h would say so).
 */
#include "tests/unit/common/ring_pair.h"

static struct ring_pair ring;

static void make_ring(void) { ring_pair_init(&ring); }

static void drop_ring(void) { ring_pair_deinit(&ring); }

static void store_tail(uint64_t tail)
{
    atomic_store_explicit(&ring.shared.tail, tail, memory_order_release);
}

static void store_head(uint64_t head)
{
    atomic_store_explicit(&ring.shared.head, head, memory_order_release);
}

/* Writes a header as a hostile producer would and publishes @published bytes from there. */
static void publish_header(struct fipc_header header, uint64_t published)
{
    memcpy(ring.memory + ring.consumer.head % CAPACITY, &header, sizeof(header));
    store_tail(ring.consumer.head + published);
}

/* Where positions start: at 0, at the middle, around 2^63 and shortly before 2^64. */
static const uint64_t starts[] = {
    0,
    CAPACITY / 2,
    5 * CAPACITY - 32,
    UINT64_C(1) << 63,
    UINT64_MAX - CAPACITY + 1,
    UINT64_MAX - 31,
};

/* ---- the consumer's side ---- */

static void expect_take_refused(void)
{
    struct fipc_consumer consumer = ring.consumer;
    struct fipc_header header = header_of(7), untouched = header;
    const void *payload = &header;
    uint64_t head = shared_head(&ring);

    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), -EBADMSG);
    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), -EBADMSG);

    ck_assert_mem_eq(&header, &untouched, sizeof(header));
    ck_assert_ptr_eq(payload, &header);
    ck_assert_uint_eq(ring.consumer.head, consumer.head);
    ck_assert_uint_eq(ring.consumer.span, 0);
    ck_assert_uint_eq(shared_head(&ring), head);
}

/* Of a hostile tail from the consumer's head, which the tail had reached. */
static const int64_t bad_tails[] = {
    -32,                    /* backwards */
    -(int64_t)CAPACITY,     /* backwards, a round */
    (int64_t)CAPACITY + 32, /* more than there is */
    2 * (int64_t)CAPACITY,  /* likewise, to the same place */
    INT64_MAX - 31,         /* far ahead */
    INT64_MIN,              /* as far from both sides */
    1,                      /* misaligned, and so on */
    16,
    31,
    33,
    48,
    (int64_t)CAPACITY - 1,
    (int64_t)CAPACITY - 31,
};

/* Wherever the consumer looked, it would find a good header. */
static void fill_with_good_headers(void)
{
    struct fipc_header header = {.size = HEADER, .kind = FIPC_KIND_REQUEST};

    for (uint32_t place = 0; place < CAPACITY; place += HEADER)
        memcpy(ring.memory + place, &header, sizeof(header));
}

GROUP(consumer, .fixtures = {HOLDINGS_KEPT, {make_ring, drop_ring}});

LOOP_TEST(tail_that_cannot_be_is_refused, COUNT_OF(bad_tails))
{
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        ring_pair_restart(&ring, starts[i]);
        ck_assert_int_eq(send_record(&ring, 1, 100), 0);
        expect_record(&ring, 1, 100);
        fill_with_good_headers();

        store_tail(ring.consumer.head + (uint64_t)bad_tails[_i]);
        expect_take_refused();
    }
}

TEST(exactly_full_ring_is_no_error)
{
    struct fipc_header header = {.size = HEADER, .kind = FIPC_KIND_REPLY};
    const void *payload;

    publish_header(header, CAPACITY);

    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), 0);
    ck_assert_uint_eq(header.size, HEADER);
}

/* A header at @place of the ring with @published bytes from there on. */
struct header_case {
    uint32_t size;
    uint16_t kind;
    uint64_t place;
    uint64_t published;
};

static const struct header_case bad_headers[] = {
    {0, FIPC_KIND_CORRUPT, 0, 32},                            /* a hole */
    {0, FIPC_KIND_CORRUPT, 0, CAPACITY},                      /* a large one */
    {HEADER, FIPC_KIND_CORRUPT, 0, CAPACITY},                 /* no kind */
    {100, FIPC_KIND_CORRUPT, 64, CAPACITY},                   /* likewise */
    {0, FIPC_KIND_REQUEST, 0, CAPACITY},                      /* smaller than itself */
    {1, FIPC_KIND_SKIP, 0, CAPACITY},                         /* likewise */
    {HEADER - 1, FIPC_KIND_REPLY, 0, CAPACITY},               /* likewise */
    {CAPACITY / 2 + 1, FIPC_KIND_REQUEST, 0, CAPACITY},       /* over half the ring */
    {CAPACITY + 32, FIPC_KIND_SKIP, 0, CAPACITY},             /* a skip over all the ring */
    {UINT32_MAX, FIPC_KIND_SKIP, 0, CAPACITY},                /* likewise */
    {CAPACITY, FIPC_KIND_REQUEST, 0, CAPACITY},               /* likewise */
    {UINT32_MAX, FIPC_KIND_REQUEST, 0, CAPACITY},             /* a span that is 0 in 32 bits */
    {UINT32_MAX - 31, FIPC_KIND_REQUEST, 0, CAPACITY},        /* likewise */
    {UINT32_C(1) << 31, FIPC_KIND_REQUEST, 0, CAPACITY},      /* negative */
    {HEADER + 1, FIPC_KIND_REQUEST, 0, 32},                   /* more than published */
    {65, FIPC_KIND_REQUEST, 96, 64},                          /* likewise, by its padding */
    {2048, FIPC_KIND_REQUEST, 0, 2016},                       /* likewise */
    {HEADER + 1, FIPC_KIND_REQUEST, CAPACITY - 32, CAPACITY}, /* past the wrap */
    {97, FIPC_KIND_REQUEST, CAPACITY - 96, CAPACITY},         /* likewise, by its padding */
    {2048, FIPC_KIND_SKIP, CAPACITY - 2016, CAPACITY},        /* likewise, a skip */
};

LOOP_TEST(header_that_cannot_be_is_refused, COUNT_OF(bad_headers))
{
    const struct header_case *bad = &bad_headers[_i];
    struct fipc_header header = {.size = bad->size, .kind = bad->kind, .id = 1};

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        ring_pair_restart(&ring, starts[i] / CAPACITY * CAPACITY + bad->place);
        publish_header(header, bad->published);
        expect_take_refused();
    }
}

/* As far as a header may go. */
static const struct header_case good_headers[] = {
    {HEADER, FIPC_KIND_REQUEST, 0, 32},
    {HEADER, FIPC_KIND_SKIP, CAPACITY - 32, 32},
    {64, FIPC_KIND_REQUEST, 96, 64},
    {33, FIPC_KIND_REQUEST, 96, 64},
    {96, FIPC_KIND_REQUEST, CAPACITY - 96, CAPACITY},
    {CAPACITY / 2, FIPC_KIND_REQUEST, 0, CAPACITY / 2},
    {CAPACITY / 2, FIPC_KIND_SKIP, CAPACITY / 2, CAPACITY / 2},
    {CAPACITY / 2 + 32, FIPC_KIND_SKIP, 32, CAPACITY / 2 + 32}, /* over a loan, for instance */
    {CAPACITY, FIPC_KIND_SKIP, 0, CAPACITY},
    {CAPACITY / 2 - 31, UINT16_MAX, CAPACITY / 2, CAPACITY},
};

LOOP_TEST(header_at_the_edge_of_what_can_be_is_taken, COUNT_OF(good_headers))
{
    const struct header_case *good = &good_headers[_i];
    struct fipc_header header = {.size = good->size, .kind = good->kind, .id = 1};
    uint64_t span = span_of(good->size - HEADER);
    struct fipc_header taken;
    const void *payload;

    ring_pair_restart(&ring, good->place);
    publish_header(header, good->published);

    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &taken, &payload), 0);
    ck_assert_mem_eq(&taken, &header, sizeof(taken));
    ck_assert_ptr_eq(payload, ring.memory + good->place + HEADER);
    fipc_consumer_release(&ring.consumer);
    ck_assert_uint_eq(shared_head(&ring), good->place + span);
}

TEST(record_after_good_ones_is_checked_too)
{
    ck_assert_int_eq(send_record(&ring, 1, 100), 0);
    ck_assert_int_eq(send_record(&ring, 2, 100), 0);
    ck_assert_int_eq(send_record(&ring, 3, 100), 0);
    memset(ring.memory + span_of(100), 0, HEADER); /* a hole over the second */

    expect_record(&ring, 1, 100);
    expect_take_refused();
}

TEST(header_changed_after_take_does_not_move_release)
{
    struct fipc_header header;
    const void *payload;

    ck_assert_int_eq(send_record(&ring, 1, 100), 0);
    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), 0);
    memset(ring.memory, 0xff, CAPACITY);

    fipc_consumer_release(&ring.consumer);
    ck_assert_uint_eq(shared_head(&ring), span_of(100));
    expect_empty(&ring);
}

TEST(own_position_is_never_taken_from_the_shared_memory)
{
    ck_assert_int_eq(send_record(&ring, 1, 100), 0);
    ck_assert_int_eq(send_record(&ring, 2, 100), 0);
    store_head(UINT64_MAX); /* it is the consumer's: a peer may write it, the consumer goes on */

    expect_record(&ring, 1, 100);
    ck_assert_uint_eq(shared_head(&ring), span_of(100));
    expect_record(&ring, 2, 100);

    store_tail(3); /* likewise the producer's */
    ck_assert_int_eq(send_record(&ring, 3, 100), 0);
    ck_assert_uint_eq(shared_tail(&ring), 3 * span_of(100));
    expect_record(&ring, 3, 100);
}

/* ---- the producer's side ---- */

/* The ring is full: half of it was taken before, and the producer knows it. */
static void fill_ring(uint64_t start)
{
    ring_pair_restart(&ring, start / CAPACITY * CAPACITY);
    ck_assert_int_eq(send_record(&ring, 1, PAYLOAD_MAX), 0);
    expect_record(&ring, 1, PAYLOAD_MAX);
    ck_assert_int_eq(send_record(&ring, 2, PAYLOAD_MAX), 0);
    ck_assert_int_eq(send_record(&ring, 3, PAYLOAD_MAX), 0); /* looks at the head */
    ck_assert_uint_eq(ring.producer.tail - ring.producer.head, CAPACITY);
}

static void expect_sending_refused(void)
{
    struct fipc_loan loan = {.payload = &ring, .size = 77}, untouched = loan;
    struct fipc_producer producer = ring.producer;
    unsigned char memory[CAPACITY];

    memcpy(memory, ring.memory, CAPACITY);

    ck_assert_int_eq(fipc_producer_has_room(&ring.producer, 0), -EBADMSG);
    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, 0, &loan), -EBADMSG);
    ck_assert_int_eq(send_record(&ring, 4, 100), -EBADMSG);

    ck_assert_mem_eq(&loan, &untouched, sizeof(loan));
    ck_assert_mem_eq(&ring.producer, &producer, sizeof(producer));
    ck_assert_mem_eq(ring.memory, memory, CAPACITY);
    ck_assert_uint_eq(shared_tail(&ring), producer.tail);
}

/* Of a hostile head from the last good one, in a full ring. */
static const int64_t bad_heads[] = {
    (int64_t)CAPACITY + 32, /* beyond the tail */
    2 * (int64_t)CAPACITY,  /* likewise */
    -32,                    /* backwards */
    -(int64_t)CAPACITY / 2, /* backwards, to where it was once */
    -(int64_t)CAPACITY,     /* backwards, a round */
    INT64_MAX - 31,         /* far ahead */
    INT64_MIN,              /* as far from both sides */
    1,                      /* misaligned, and so on */
    8,
    31,
    33,
    48,
    (int64_t)CAPACITY - 1,
};

GROUP(producer, .fixtures = {HOLDINGS_KEPT, {make_ring, drop_ring}});

LOOP_TEST(head_that_cannot_be_is_refused, COUNT_OF(bad_heads))
{
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        fill_ring(starts[i]);
        store_head(ring.producer.head + (uint64_t)bad_heads[_i]);
        expect_sending_refused();
    }
}

TEST(head_at_the_tail_is_no_error)
{
    fill_ring(0);
    store_head(ring.producer.tail);

    ck_assert_int_eq(send_record(&ring, 4, PAYLOAD_MAX), 0);
}

TEST(head_of_a_ring_never_filled_may_not_pass_its_tail)
{
    ck_assert_int_eq(send_record(&ring, 1, PAYLOAD_MAX), 0);
    ck_assert_int_eq(send_record(&ring, 2, PAYLOAD_MAX - 32), 0);
    store_head(CAPACITY);
    ck_assert_int_eq(send_record(&ring, 3, 32), -EBADMSG);
}

TEST(bad_head_is_found_while_a_loan_is_stepped_over)
{
    struct fipc_loan loan;

    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, 1000, &loan), 0);
    pattern_fill(loan.payload, 1000, 1);
    ck_assert_int_eq(send_record(&ring, 2, PAYLOAD_MAX), 0);
    ck_assert_int_eq(send_record(&ring, 3, 960), 0);
    store_head(ring.producer.tail + 32);

    expect_sending_refused();
    ck_assert(pattern_matches(loan.payload, loan.size, 1));
    fipc_producer_abort(&ring.producer, &loan);
    expect_sending_refused();
}

/* ---- what became of a record ---- */

GROUP(taken, .fixtures = {HOLDINGS_KEPT, {make_ring, drop_ring}});

LOOP_TEST(record_was_taken_once_the_head_passed_its_end, COUNT_OF(starts))
{
    ring_pair_restart(&ring, starts[_i]);
    for (uint64_t id = 0; id < 200; id++) {
        uint64_t positions[3];

        for (size_t i = 0; i < 3; i++) {
            EXPECT(send_record(&ring, id + i, 100 * i) == 0);
            positions[i] = ring.producer.tail;
        }
        for (size_t taken = 0; taken < 3; taken++) {
            for (size_t i = 0; i < 3; i++)
                EXPECT(fipc_producer_was_taken(&ring.producer, positions[i]) == (i < taken));
            expect_record(&ring, id + taken, 100 * taken);
        }
        for (size_t i = 0; i < 3; i++)
            EXPECT(fipc_producer_was_taken(&ring.producer, positions[i]));
    }
}

LOOP_TEST(head_that_cannot_be_counts_as_taken, COUNT_OF(starts))
{
    fill_ring(starts[_i]);
    for (int i = 0; i < COUNT_OF(bad_heads); i++) {
        if (bad_heads[i] % (int64_t)FIPC_RECORD_ALIGN != 0)
            continue; /* inside the ring: some records were passed, some not */
        store_head(ring.producer.head + (uint64_t)bad_heads[i]);
        ck_assert(fipc_producer_was_taken(&ring.producer, ring.producer.tail));
        ck_assert(fipc_producer_was_taken(&ring.producer, ring.producer.tail - CAPACITY / 2));
    }
}

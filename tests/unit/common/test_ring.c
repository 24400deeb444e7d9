/* SPDX-License-Identifier: MIT */
/* The ring between two honest ends: every record arrives once, in order, as it was sent, wherever
 * it lies. */
#include "tests/unit/common/ring_pair.h"

static struct ring_pair ring;

static void make_ring(void) { ring_pair_init(&ring); }

static void drop_ring(void) { ring_pair_deinit(&ring); }

/* Of payloads: every edge of a record's span, and the largest. */
static const size_t sizes[] = {
    0, 1, 31, 32, 33, 63, 64, 65, 100, 991, 992, 993, 1000, 2015, PAYLOAD_MAX - 1, PAYLOAD_MAX,
};

/* ---- one record ---- */

GROUP(one_record, .fixtures = {HOLDINGS_KEPT, {make_ring, drop_ring}});

LOOP_TEST(record_arrives_as_it_was_sent, COUNT_OF(sizes))
{
    size_t size = sizes[_i];
    struct fipc_header header;
    const void *payload;

    ck_assert_int_eq(send_record(&ring, 0x123456789abcdef, size), 0);

    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), 0);
    expect_record_is(&header, payload, 0x123456789abcdef, size);
}

TEST(taking_an_empty_ring_finds_nothing_and_touches_no_result)
{
    struct fipc_header header = header_of(7), untouched = header;
    const void *payload = &header;

    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), -EAGAIN);

    ck_assert_mem_eq(&header, &untouched, sizeof(header));
    ck_assert_ptr_eq(payload, &header);
}

TEST(taking_again_without_release_gives_the_same_record)
{
    struct fipc_header header;
    const void *payload;

    ck_assert_int_eq(send_record(&ring, 1, 40), 0);
    ck_assert_int_eq(send_record(&ring, 2, 50), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), 0);
        expect_record_is(&header, payload, 1, 40);
    }
    ck_assert_uint_eq(shared_head(&ring), 0);

    fipc_consumer_release(&ring.consumer);
    expect_record(&ring, 2, 50);
}

TEST(record_is_invisible_before_its_commit)
{
    struct fipc_header header = header_of(1);
    struct fipc_loan loan;

    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, 10, &loan), 0);
    ck_assert(!fipc_consumer_has_news(&ring.consumer));
    expect_empty(&ring);

    pattern_fill(loan.payload, 10, 1);
    fipc_producer_commit(&ring.producer, &loan, &header);
    ck_assert(fipc_consumer_has_news(&ring.consumer));
    expect_record(&ring, 1, 10);
    ck_assert(!fipc_consumer_has_news(&ring.consumer));
}

TEST(room_is_free_again_only_after_release)
{
    struct fipc_header header;
    const void *payload;

    ck_assert_int_eq(send_record(&ring, 1, PAYLOAD_MAX), 0);
    ck_assert_int_eq(send_record(&ring, 2, PAYLOAD_MAX), 0);
    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), 0);
    ck_assert_int_eq(send_record(&ring, 3, 0), -EAGAIN);

    fipc_consumer_release(&ring.consumer);
    ck_assert_int_eq(send_record(&ring, 3, PAYLOAD_MAX), 0);
}

/* ---- the wrap ---- */

/* Sends and takes records of one size until the ring was gone round twice. */
static void go_round(uint64_t start, size_t size)
{
    uint64_t n_records = 2 * (uint64_t)CAPACITY / span_of(size) + 2;

    ring_pair_restart(&ring, start);
    for (uint64_t id = 0; id < n_records; id++) {
        uint64_t tail = shared_tail(&ring), left = CAPACITY - tail % CAPACITY;
        uint64_t skip = left < span_of(size) ? left : 0;

        EXPECT(send_record(&ring, id, size) == 0);
        EXPECT(shared_tail(&ring) == tail + skip + span_of(size));
        expect_record(&ring, id, size);
        EXPECT(shared_head(&ring) == shared_tail(&ring));
    }
}

GROUP(wrap, .fixtures = {HOLDINGS_KEPT, {make_ring, drop_ring}});

PLACES_TEST(records_go_round_from_every_place)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        go_round((uint64_t)place * FIPC_RECORD_ALIGN, sizes[i]);
}

PLACES_TEST(records_go_round_while_positions_pass_2_to_the_64)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        go_round((uint64_t)place * FIPC_RECORD_ALIGN - CAPACITY, sizes[i]);
}

PLACES_TEST(largest_record_fits_into_an_empty_ring_at_every_place)
{
    ring_pair_restart(&ring, (uint64_t)place * FIPC_RECORD_ALIGN);

    ck_assert_int_eq(fipc_producer_has_room(&ring.producer, PAYLOAD_MAX), 1);
    ck_assert_int_eq(send_record(&ring, 1, PAYLOAD_MAX), 0);
    expect_record(&ring, 1, PAYLOAD_MAX);
}

PLACES_TEST(skip_is_written_only_where_a_record_does_not_fit)
{
    uint64_t start = (uint64_t)place * FIPC_RECORD_ALIGN, left = CAPACITY - start % CAPACITY;
    struct fipc_header header;
    const void *payload;

    for (size_t size = 0; size <= PAYLOAD_MAX; size += 31) {
        ring_pair_restart(&ring, start);
        ck_assert_int_eq(send_record(&ring, 1, size), 0);

        ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), 0);
        if (left >= span_of(size)) {
            ck_assert_uint_eq(header.kind, header_of(1).kind);
            continue;
        }
        ck_assert_uint_eq(header.kind, FIPC_KIND_SKIP);
        ck_assert_uint_eq(header.size, left);
        fipc_consumer_release(&ring.consumer);
        ck_assert_uint_eq(shared_head(&ring), start + left);
    }
}

PLACES_TEST(skip_of_an_aborted_reservation_is_no_lost_room)
{
    struct fipc_loan loan;

    ring_pair_restart(&ring, (uint64_t)place * FIPC_RECORD_ALIGN);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fipc_producer_reserve(&ring.producer, PAYLOAD_MAX, &loan), 0);
        fipc_producer_abort(&ring.producer, &loan);
        expect_empty(&ring);
    }
    ck_assert_int_eq(send_record(&ring, 1, PAYLOAD_MAX), 0);
    expect_record(&ring, 1, PAYLOAD_MAX);
}

LOOP_TEST(mixed_sizes_keep_their_order_and_contents, 8)
{
    uint64_t random = (uint64_t)_i, sent = 0, taken = 0;
    static size_t sent_sizes[20000];

    ring_pair_restart(&ring, random_next(&random) / FIPC_RECORD_ALIGN * FIPC_RECORD_ALIGN);
    while (taken < sizeof(sent_sizes) / sizeof(sent_sizes[0])) {
        if (sent < sizeof(sent_sizes) / sizeof(sent_sizes[0]) && random_below(&random, 2) == 0) {
            uint64_t limit = random_below(&random, 8) == 0 ? PAYLOAD_MAX + 1 : 200;

            sent_sizes[sent] = random_below(&random, limit);
            sent += send_record(&ring, sent, sent_sizes[sent]) == 0;
        } else if (taken < sent) {
            expect_record(&ring, taken, sent_sizes[taken]);
            taken++;
        }
    }
    expect_empty(&ring);
}

/* ---- full ---- */

/* Payloads whose records fill the ring to the last byte. */
static const size_t filling_sizes[] = {PAYLOAD_MAX, 992, 480, 224, 96, 65, 32, 1, 0};

GROUP(full, .fixtures = {HOLDINGS_KEPT, {make_ring, drop_ring}});

LOOP_TEST(ring_is_filled_to_the_last_byte_and_no_further, COUNT_OF(filling_sizes))
{
    size_t size = filling_sizes[_i];
    uint64_t n_records = CAPACITY / span_of(size);

    ring_pair_restart(&ring, UINT64_MAX - CAPACITY / 2 + 1);
    for (uint64_t id = 0; id < n_records; id++)
        ck_assert_int_eq(send_record(&ring, id, size), 0);
    ck_assert_int_eq(fipc_producer_has_room(&ring.producer, 0), 0);
    ck_assert_int_eq(send_record(&ring, 99, 0), -EAGAIN);

    expect_record(&ring, 0, size);
    ck_assert_int_eq(send_record(&ring, n_records, size), 0);
    ck_assert_int_eq(send_record(&ring, 99, 0), -EAGAIN);
    for (uint64_t id = 1; id <= n_records; id++)
        expect_record(&ring, id, size);
    expect_empty(&ring);
}

TEST(refused_for_lack_of_room_leaves_everything_untouched)
{
    struct fipc_loan loan = {.payload = &ring, .size = 77}, untouched = loan;
    unsigned char memory[CAPACITY];
    struct fipc_producer producer;

    ck_assert_int_eq(send_record(&ring, 1, PAYLOAD_MAX), 0);
    ck_assert_int_eq(send_record(&ring, 2, 1000), 0);
    memcpy(memory, ring.memory, CAPACITY);
    producer = ring.producer;

    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, 1000, &loan), -EAGAIN);
    ck_assert_int_eq(send_record(&ring, 3, 1000), -EAGAIN);

    ck_assert_mem_eq(&loan, &untouched, sizeof(loan));
    ck_assert_mem_eq(&ring.producer, &producer, sizeof(producer));
    ck_assert_mem_eq(ring.memory, memory, CAPACITY);
    ck_assert_uint_eq(shared_tail(&ring), producer.tail);
}

static const size_t too_large_sizes[] = {
    PAYLOAD_MAX + 1,        PAYLOAD_MAX + 32, CAPACITY, CAPACITY - HEADER, UINT32_MAX - 31u,
#if SIZE_MAX > UINT32_MAX
    (size_t)UINT32_MAX + 1, /* 0 if cut to 32 bits */
#endif
    SIZE_MAX - HEADER,      SIZE_MAX,
};

LOOP_TEST(record_over_half_the_ring_is_refused_for_ever, COUNT_OF(too_large_sizes))
{
    struct fipc_loan loan = {.payload = &ring, .size = 77}, untouched = loan;
    struct fipc_producer producer = ring.producer;
    struct fipc_header header = header_of(1);
    size_t size = too_large_sizes[_i];

    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, size, &loan), -EMSGSIZE);
    ck_assert_int_eq(fipc_producer_has_room(&ring.producer, size), -EMSGSIZE);
    ck_assert_int_eq(fipc_producer_send(&ring.producer, &header, &ring, size), -EMSGSIZE);

    ck_assert_mem_eq(&loan, &untouched, sizeof(loan));
    ck_assert_mem_eq(&ring.producer, &producer, sizeof(producer));
    ck_assert_uint_eq(shared_tail(&ring), 0);
}

TEST(payload_max_is_half_the_ring_less_a_header)
{
    ck_assert_uint_eq(fipc_ring_payload_max(4096), 2016);
    ck_assert_uint_eq(fipc_ring_payload_max(65536), 32736);
    ck_assert_uint_eq(fipc_ring_payload_max(UINT32_C(1) << 30), (UINT32_C(1) << 29) - 32);
}

PLACES_TEST(has_room_says_what_reserve_does)
{
    uint64_t random = (uint64_t)place;

    for (int i = 0; i < 100; i++) {
        size_t size = random_below(&random, PAYLOAD_MAX + 1);
        int room;
        struct fipc_loan loan;

        ring_pair_restart(&ring, (uint64_t)place * FIPC_RECORD_ALIGN);
        for (uint64_t n = random_below(&random, 5); n > 0; n--)
            (void)send_record(&ring, 0, random_below(&random, PAYLOAD_MAX + 1));

        room = fipc_producer_has_room(&ring.producer, size);
        ck_assert_int_eq(fipc_producer_reserve(&ring.producer, size, &loan), room ? 0 : -EAGAIN);
    }
}

TEST(room_is_left_from_half_the_ring_on)
{
    for (uint64_t id = 0; id < CAPACITY / HEADER; id++)
        ck_assert_int_eq(send_record(&ring, id, 0), 0);
    for (uint64_t id = 0; id < CAPACITY / HEADER; id++) {
        expect_record(&ring, id, 0);
        ck_assert_int_eq(fipc_consumer_left_room(&ring.consumer), id + 1 >= CAPACITY / HEADER / 2);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Loans: room that is written before it is sent. Others may send meanwhile; whatever the order, a
 * committed loan arrives once with what its owner wrote, an aborted one never, and nobody else's
 * record lands on an open one.
 */
#include "tests/unit/common/ring_pair.h"

static struct ring_pair ring;

static void make_ring(void) { ring_pair_init(&ring); }

static void drop_ring(void) { ring_pair_deinit(&ring); }

/* Reserves and writes what send_record() would have sent. */
static int open_loan(struct fipc_loan *loan, uint64_t id, size_t size)
{
    int r = fipc_producer_reserve(&ring.producer, size, loan);

    if (r == 0)
        pattern_fill(loan->payload, size, id);
    return r;
}

/* Sends a loan, as a copy where others overtook it. It has ended, also where there is no room for
 * that. */
static int commit_loan(struct fipc_loan *loan, uint64_t id)
{
    struct fipc_header header = header_of(id);
    unsigned char copy[PAYLOAD_MAX];

    if (loan->in_place) {
        fipc_producer_commit(&ring.producer, loan, &header);
        return 0;
    }
    memcpy(copy, loan->payload, loan->size);
    fipc_producer_abort(&ring.producer, loan);
    return fipc_producer_send(&ring.producer, &header, copy, loan->size);
}

/* Fills the ring with records of their header alone. Return: how many. */
static uint64_t fill_up(uint64_t first_id)
{
    uint64_t n_records = 0;

    while (send_record(&ring, first_id + n_records, 0) == 0)
        n_records++;
    return n_records;
}

static void expect_records(uint64_t first_id, uint64_t n_records)
{
    for (uint64_t id = first_id; id < first_id + n_records; id++)
        expect_record(&ring, id, 0);
}

/* ---- one loan ---- */

GROUP(one_loan, .fixtures = {HOLDINGS_KEPT, {make_ring, drop_ring}});

TEST(committed_loan_arrives_from_where_it_was_written)
{
    struct fipc_header header;
    struct fipc_loan loan;
    const void *payload;

    ck_assert_int_eq(open_loan(&loan, 1, 100), 0);
    ck_assert_uint_eq(loan.size, 100);
    ck_assert_int_eq(commit_loan(&loan, 1), 0);

    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), 0);
    ck_assert_ptr_eq(payload, loan.payload);
    expect_record_is(&header, payload, 1, 100);
}

TEST(aborted_loan_leaves_no_trace)
{
    struct fipc_producer producer = ring.producer;
    struct fipc_loan loan;

    ck_assert_int_eq(open_loan(&loan, 1, PAYLOAD_MAX), 0);
    fipc_producer_abort(&ring.producer, &loan);

    ck_assert_mem_eq(&ring.producer, &producer, sizeof(producer));
    expect_empty(&ring);
}

TEST(overtaken_loan_is_announced_as_a_skip_at_once)
{
    struct fipc_loan loan, second;
    struct fipc_header header;
    const void *payload;

    ck_assert_int_eq(open_loan(&loan, 1, 100), 0);
    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, 0, &second), 0);

    ck_assert(!loan.in_place);
    ck_assert_int_eq(fipc_consumer_take(&ring.consumer, &header, &payload), 0);
    ck_assert_uint_eq(header.kind, FIPC_KIND_SKIP);
    ck_assert_uint_eq(header.size, span_of(100));
}

TEST(failed_reservation_overtakes_nobody)
{
    struct fipc_loan loan, second;

    ck_assert_int_eq(send_record(&ring, 1, PAYLOAD_MAX), 0);
    ck_assert_int_eq(open_loan(&loan, 2, 1000), 0);
    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, 1000, &second), -EAGAIN);
    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, PAYLOAD_MAX + 1, &second), -EMSGSIZE);

    ck_assert(loan.in_place);
    ck_assert_uint_eq(shared_tail(&ring), CAPACITY / 2);
    ck_assert_int_eq(commit_loan(&loan, 2), 0);
    expect_record(&ring, 1, PAYLOAD_MAX);
    expect_record(&ring, 2, 1000);
}

/* ---- an overtaken loan pins its span ---- */

GROUP(overtaken_loan, .fixtures = {HOLDINGS_KEPT, {make_ring, drop_ring}});

PLACES_TEST(nobody_writes_on_an_overtaken_loan_although_the_consumer_passed_it)
{
    size_t size = (size_t)place * 31 % (PAYLOAD_MAX + 1);
    uint64_t n_records = 0;
    struct fipc_loan loan;

    ring_pair_restart(&ring, (uint64_t)place * FIPC_RECORD_ALIGN);
    ck_assert_int_eq(open_loan(&loan, 1, size), 0);
    for (int lap = 0; lap < 3; lap++) {
        uint64_t n = fill_up(100 + n_records);

        expect_records(100 + n_records, n);
        n_records += n;
    }

    ck_assert(pattern_matches(loan.payload, size, 1));
    ck_assert_int_eq(commit_loan(&loan, 1), 0);
    expect_record(&ring, 1, size);
    expect_empty(&ring);
    ck_assert_uint_eq(fill_up(0), CAPACITY / HEADER);
}

TEST(overtaken_loan_takes_room_from_every_lap_until_it_ends)
{
    struct fipc_loan loan;

    ck_assert_int_eq(open_loan(&loan, 1, PAYLOAD_MAX), 0);
    ck_assert_int_eq(send_record(&ring, 2, 0), 0);
    expect_record(&ring, 2, 0);
    for (uint64_t lap = 0; lap < 3; lap++) {
        uint64_t n_records = fill_up(100 * lap);

        ck_assert_uint_le(n_records, CAPACITY / 2 / HEADER);
        ck_assert_uint_ge(n_records, CAPACITY / 2 / HEADER - 2);
        expect_records(100 * lap, n_records);
    }

    fipc_producer_abort(&ring.producer, &loan);
    expect_empty(&ring);
    expect_records(0, fill_up(0));
    ck_assert_uint_eq(fill_up(0), CAPACITY / HEADER);
}

PLACES_TEST(records_of_any_size_go_round_beside_an_open_loan)
{
    uint64_t random = (uint64_t)place;
    struct fipc_loan loan;

    ring_pair_restart(&ring, (uint64_t)place * FIPC_RECORD_ALIGN - CAPACITY);
    ck_assert_int_eq(open_loan(&loan, 1, 700), 0);
    for (uint64_t id = 10; id < 300; id++) {
        size_t size = random_below(&random, PAYLOAD_MAX + 1);

        if (send_record(&ring, id, size) == 0)
            expect_record(&ring, id, size);
        else /* neither before the loan, nor after it, nor after the wrap */
            EXPECT(span_of(size) > (CAPACITY - span_of(700)) / 3);
    }
    ck_assert(pattern_matches(loan.payload, 700, 1));
    fipc_producer_abort(&ring.producer, &loan);
}

TEST(full_ring_with_an_open_loan_says_so)
{
    struct fipc_loan loan, refused;

    ck_assert_int_eq(open_loan(&loan, 1, PAYLOAD_MAX), 0);
    (void)fill_up(100);
    ck_assert_int_eq(fipc_producer_has_room(&ring.producer, 0), 0);
    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, 0, &refused), -EAGAIN);
    ck_assert(pattern_matches(loan.payload, PAYLOAD_MAX, 1));
    fipc_producer_abort(&ring.producer, &loan);
}

/* Sends records of the largest sizes that go somewhere, and takes them. */
static void send_whatever_fits(void)
{
    struct fipc_header header;
    const void *payload;

    for (int n = 0; n < 40; n++) {
        size_t size = 992;

        while (size > 0 && send_record(&ring, 60, size) < 0)
            size -= 32;
    }
    while (take_past_skips(&ring, &header, &payload) == 0)
        fipc_consumer_release(&ring.consumer);
}

/* No header of a skip may lie inside what it steps over. */
PLACES_TEST(skips_end_before_an_open_loan_or_step_over_all_of_it)
{
    for (size_t size = 0; size <= PAYLOAD_MAX; size = 2 * size + HEADER) {
        struct fipc_loan loan;

        ring_pair_restart(&ring, (uint64_t)place * FIPC_RECORD_ALIGN);
        EXPECT(open_loan(&loan, 1, size) == 0);
        for (int lap = 0; lap < 3; lap++)
            send_whatever_fits();
        EXPECT(pattern_matches(loan.payload, size, 1));
        fipc_producer_abort(&ring.producer, &loan);
    }
}

/* ---- an overtaken loan and the one that overtook it ---- */

static const size_t sizes[] = {0, 33, 300, 450, 700};

#define N_SIZES COUNT_OF(sizes)

/* Bits of a way to end both. */
enum { OLDER_FIRST = 1, COMMIT_FIRST = 2, COMMIT_SECOND = 4, N_WAYS = 8 };

static void end_loan(struct fipc_loan *loan, uint64_t id, bool commit)
{
    EXPECT(pattern_matches(loan->payload, loan->size, id));
    if (commit)
        EXPECT(commit_loan(loan, id) == 0);
    else
        fipc_producer_abort(&ring.producer, loan);
}

static void end_both(struct fipc_loan loans[2], int way)
{
    uint64_t first = way & OLDER_FIRST ? 0 : 1, second = 1 - first;

    end_loan(&loans[first], first, way & COMMIT_FIRST);
    end_loan(&loans[second], second, way & COMMIT_SECOND);
    if (way & COMMIT_FIRST)
        expect_record(&ring, first, loans[first].size);
    if (way & COMMIT_SECOND)
        expect_record(&ring, second, loans[second].size);
    expect_empty(&ring);
}

GROUP(two_loans, .fixtures = {HOLDINGS_KEPT, {make_ring, drop_ring}});

LOOP_TEST(loans_end_in_any_order, N_SIZES *N_SIZES)
{
    size_t older = sizes[_i / N_SIZES], newer = sizes[_i % N_SIZES];
    struct fipc_loan loans[2];

    for (int way = 0; way < N_WAYS; way++) {
        for (uint64_t place = 0; place < CAPACITY; place += FIPC_RECORD_ALIGN) {
            ring_pair_restart(&ring, place);
            EXPECT(open_loan(&loans[0], 0, older) == 0);
            EXPECT(open_loan(&loans[1], 1, newer) == 0);
            end_both(loans, way);
            EXPECT(ring.producer.pinned == NULL && ring.producer.in_place == NULL);
            expect_records(0, fill_up(0)); /* publishes the skip of an aborted loan */
            EXPECT(fill_up(0) == CAPACITY / HEADER);
        }
    }
}

/* ---- all of it together ---- */

static struct open_loan {
    struct fipc_loan loan;
    uint64_t id;
    size_t size;
    bool open;
} kept;

/* What the consumer has to find, in order. */
static struct {
    uint64_t id;
    size_t size;
} expected[CAPACITY / HEADER];
static uint64_t n_sent, n_taken;

static void expect_later(uint64_t id, size_t size)
{
    uint64_t place = n_sent++ % (CAPACITY / HEADER);

    expected[place].id = id;
    expected[place].size = size;
}

static size_t random_size(uint64_t *random)
{
    return random_below(random, random_below(random, 4) == 0 ? PAYLOAD_MAX + 1 : 200);
}

/* Opens the loan that stays open, or ends it. */
static void step_loan(struct open_loan *loan, uint64_t id, uint64_t *random)
{
    if (!loan->open) {
        loan->id = id;
        loan->size = random_size(random);
        loan->open = open_loan(&loan->loan, id, loan->size) == 0;
        return;
    }
    EXPECT(pattern_matches(loan->loan.payload, loan->size, loan->id));
    if (random_below(random, 3) == 0)
        fipc_producer_abort(&ring.producer, &loan->loan);
    else if (commit_loan(&loan->loan, loan->id) == 0)
        expect_later(loan->id, loan->size);
    loan->open = false;
}

LOOP_TEST(any_mixture_of_a_loan_and_records_arrives_whole, 16)
{
    uint64_t random = (uint64_t)_i;

    ring_pair_restart(&ring, random_next(&random) / FIPC_RECORD_ALIGN * FIPC_RECORD_ALIGN);
    for (uint64_t id = 0; id < 20000; id++) {
        size_t size = random_size(&random);

        switch (random_below(&random, 6)) {
        case 0:
            step_loan(&kept, id, &random);
            break;
        case 1:
        case 2:
            if (send_record(&ring, id, size) == 0)
                expect_later(id, size);
            break;
        default:
            if (n_taken == n_sent)
                break;
            expect_record(&ring, expected[n_taken % (CAPACITY / HEADER)].id,
                          expected[n_taken % (CAPACITY / HEADER)].size);
            n_taken++;
        }
    }
    ck_assert_uint_gt(n_taken, 1000);
}

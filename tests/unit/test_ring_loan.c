/* SPDX-License-Identifier: MIT */
/*
 * Loans: room that is written before it is sent. Others may send meanwhile; whatever the order, a
 * committed loan arrives once with what its owner wrote, an aborted one never, and nobody else's
 * record lands on an open one.
 */
#include "tests/unit/ring_pair.h"

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

START_TEST(committed_loan_arrives_from_where_it_was_written)
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
END_TEST

START_TEST(aborted_loan_leaves_no_trace)
{
    struct fipc_producer producer = ring.producer;
    struct fipc_loan loan;

    ck_assert_int_eq(open_loan(&loan, 1, PAYLOAD_MAX), 0);
    fipc_producer_abort(&ring.producer, &loan);

    ck_assert_mem_eq(&ring.producer, &producer, sizeof(producer));
    expect_empty(&ring);
}
END_TEST

START_TEST(overtaken_loan_is_announced_as_a_skip_at_once)
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
END_TEST

START_TEST(failed_reservation_overtakes_nobody)
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
END_TEST

/* ---- an overtaken loan pins its span ---- */

START_TEST(nobody_writes_on_an_overtaken_loan_although_the_consumer_passed_it)
{
    size_t size = (size_t)_i * 31 % (PAYLOAD_MAX + 1);
    uint64_t n_records = 0;
    struct fipc_loan loan;

    ring_pair_restart(&ring, (uint64_t)_i * FIPC_RECORD_ALIGN);
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
END_TEST

START_TEST(overtaken_loan_takes_room_from_every_lap_until_it_ends)
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
END_TEST

START_TEST(records_of_any_size_go_round_beside_an_open_loan)
{
    uint64_t random = (uint64_t)_i;
    struct fipc_loan loan;

    ring_pair_restart(&ring, (uint64_t)_i * FIPC_RECORD_ALIGN - CAPACITY);
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
END_TEST

START_TEST(full_ring_with_an_open_loan_says_so)
{
    struct fipc_loan loan, refused;

    ck_assert_int_eq(open_loan(&loan, 1, PAYLOAD_MAX), 0);
    (void)fill_up(100);
    ck_assert_int_eq(fipc_producer_has_room(&ring.producer, 0), 0);
    ck_assert_int_eq(fipc_producer_reserve(&ring.producer, 0, &refused), -EAGAIN);
    ck_assert(pattern_matches(loan.payload, PAYLOAD_MAX, 1));
    fipc_producer_abort(&ring.producer, &loan);
}
END_TEST

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

/* Opens loans with records of @gap bytes between them. */
static void open_with_gaps(struct fipc_loan loans[3], size_t gap)
{
    for (uint64_t id = 0; id < 3; id++) {
        EXPECT(open_loan(&loans[id], id, 600) == 0);
        if (gap == 0)
            continue;
        EXPECT(send_record(&ring, 50, gap - HEADER) == 0);
        expect_record(&ring, 50, gap - HEADER);
    }
}

/* No header of a skip may lie inside what it steps over. */
START_TEST(several_loans_side_by_side_are_stepped_over_together)
{
    for (size_t gap = 0; gap < 512; gap = 2 * gap + HEADER) {
        struct fipc_loan loans[3];

        ring_pair_restart(&ring, (uint64_t)_i * FIPC_RECORD_ALIGN);
        open_with_gaps(loans, gap);
        for (int lap = 0; lap < 3; lap++)
            send_whatever_fits();
        for (uint64_t id = 0; id < 3; id++) {
            EXPECT(pattern_matches(loans[id].payload, 600, id));
            fipc_producer_abort(&ring.producer, &loans[id]);
        }
    }
}
END_TEST

/* ---- several loans ---- */

#define N_LOANS 4
#define N_ORDERS 24
#define N_ENDS (1 << N_LOANS) /* a bit for each loan: committed, or aborted */

static void order_of(int number, int order[N_LOANS])
{
    int left[N_LOANS] = {0, 1, 2, 3};

    for (int i = 0; i < N_LOANS; i++) {
        int n_left = N_LOANS - i, taken = number % n_left;

        number /= n_left;
        order[i] = left[taken];
        left[taken] = left[n_left - 1];
    }
}

static void end_loans(struct fipc_loan loans[N_LOANS], const size_t sizes[N_LOANS],
                      const int order[N_LOANS], int committed)
{
    for (int i = 0; i < N_LOANS; i++) {
        int loan = order[i];

        EXPECT(pattern_matches(loans[loan].payload, sizes[loan], (uint64_t)loan));
        if (committed & 1 << loan)
            EXPECT(commit_loan(&loans[loan], (uint64_t)loan) == 0);
        else
            fipc_producer_abort(&ring.producer, &loans[loan]);
    }
    for (int i = 0; i < N_LOANS; i++)
        if (committed & 1 << order[i])
            expect_record(&ring, (uint64_t)order[i], sizes[order[i]]);
    expect_empty(&ring);
}

START_TEST(loans_end_in_any_order)
{
    static const size_t sizes[N_LOANS] = {300, 0, 450, 33};
    struct fipc_loan loans[N_LOANS];
    int order[N_LOANS];

    order_of(_i, order);
    for (int committed = 0; committed < N_ENDS; committed++) {
        /* every third place; all orders together begin at all of them */
        for (uint64_t place = (uint64_t)_i % 3 * FIPC_RECORD_ALIGN; place < CAPACITY;
             place += 3 * (uint64_t)FIPC_RECORD_ALIGN) {
            ring_pair_restart(&ring, place);
            for (uint64_t id = 0; id < N_LOANS; id++)
                EXPECT(open_loan(&loans[id], id, sizes[id]) == 0);
            end_loans(loans, sizes, order, committed);
            EXPECT(ring.producer.pinned == NULL && ring.producer.in_place == NULL);
            expect_records(0,
                           fill_up(0)); /* publishes the skip that an aborted loan may have left */
            EXPECT(fill_up(0) == CAPACITY / HEADER);
        }
    }
}
END_TEST

/* ---- all of it together ---- */

#define N_OPEN_MAX 5

static struct open_loan {
    struct fipc_loan loan;
    uint64_t id;
    size_t size;
    bool open;
} open_loans[N_OPEN_MAX];

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

static void step_loan(struct open_loan *loan, uint64_t id, uint64_t *random)
{
    if (!loan->open) {
        loan->id = id;
        loan->size = random_size(random);
        loan->open = open_loan(&loan->loan, id, loan->size) == 0;
        return;
    }
    EXPECT(pattern_matches(loan->loan.payload, loan->size, loan->id));
    if (random_below(random, 3) == 0) {
        fipc_producer_abort(&ring.producer, &loan->loan);
        loan->open = false;
    } else {
        if (commit_loan(&loan->loan, loan->id) == 0)
            expect_later(loan->id, loan->size);
        loan->open = false;
    }
}

START_TEST(any_mixture_of_loans_and_records_arrives_whole)
{
    uint64_t random = (uint64_t)_i;

    ring_pair_restart(&ring, random_next(&random) / FIPC_RECORD_ALIGN * FIPC_RECORD_ALIGN);
    for (uint64_t id = 0; id < 20000; id++) {
        size_t size = random_size(&random);

        switch (random_below(&random, 4)) {
        case 0:
            step_loan(&open_loans[random_below(&random, N_OPEN_MAX)], id, &random);
            break;
        case 1:
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
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_loan");
    TCase *one = add_case(suite, "one loan");
    TCase *pinned = add_case(suite, "overtaken loan");
    TCase *several = add_case(suite, "several loans");

    tcase_add_checked_fixture(one, make_ring, drop_ring);
    tcase_add_test(one, committed_loan_arrives_from_where_it_was_written);
    tcase_add_test(one, aborted_loan_leaves_no_trace);
    tcase_add_test(one, overtaken_loan_is_announced_as_a_skip_at_once);
    tcase_add_test(one, failed_reservation_overtakes_nobody);

    tcase_add_checked_fixture(pinned, make_ring, drop_ring);
    tcase_add_loop_test(pinned, nobody_writes_on_an_overtaken_loan_although_the_consumer_passed_it,
                        0, N_PLACES);
    tcase_add_test(pinned, overtaken_loan_takes_room_from_every_lap_until_it_ends);

    tcase_add_loop_test(pinned, records_of_any_size_go_round_beside_an_open_loan, 0, N_PLACES);
    tcase_add_test(pinned, full_ring_with_an_open_loan_says_so);
    tcase_add_loop_test(pinned, several_loans_side_by_side_are_stepped_over_together, 0, N_PLACES);

    tcase_add_checked_fixture(several, make_ring, drop_ring);
    tcase_add_loop_test(several, loans_end_in_any_order, 0, N_ORDERS);
    tcase_add_loop_test(several, any_mixture_of_loans_and_records_arrives_whole, 0, 16);
    return run_suite(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * Producer and consumer in two threads of one process, so that ThreadSanitizer sees both: every
 * byte of a record is ordered by the release of the tail and the acquire of it, every byte of free
 * room by those of the head. Nobody sleeps here, so that nothing depends on fences, which
 * ThreadSanitizer does not model.
 */
#include "tests/unit/common/ring_pair.h"

#include <pthread.h>
#include <sched.h>

static struct ring_pair ring;
static uint64_t n_records;

static size_t size_of_record(uint64_t id)
{
    uint64_t random = id;

    return random_below(&random, random_below(&random, 16) == 0 ? PAYLOAD_MAX + 1 : 100);
}

/* Sends one record through the loans that are open. Return: as fipc_producer_send(). */
static int send_by_loan(uint64_t id)
{
    struct fipc_header header = header_of(id);
    struct fipc_loan overtaken, loan;
    int r = fipc_producer_reserve(&ring.producer, 64, &overtaken);

    if (r < 0)
        return r;
    pattern_fill(overtaken.payload, 64, id);
    r = fipc_producer_reserve(&ring.producer, size_of_record(id), &loan);
    if (r == 0) {
        pattern_fill(loan.payload, loan.size, id);
        fipc_producer_commit(&ring.producer, &loan, &header);
    }
    fipc_producer_abort(&ring.producer, &overtaken);
    return r;
}

static void *produce(void *argument)
{
    for (uint64_t id = 0; id < n_records; id++)
        while ((id % 8 == 0 ? send_by_loan(id) : send_record(&ring, id, size_of_record(id))) < 0)
            (void)sched_yield();
    return argument;
}

GROUP(two_threads, .timeout = 100, .fixtures = {HOLDINGS_KEPT});

TEST(every_record_arrives_as_it_was_sent)
{
    struct fipc_header header;
    const void *payload;
    pthread_t producer;

    n_records = scaled(300000);
    ring_pair_init(&ring);
    ring_pair_restart(&ring, UINT64_MAX - CAPACITY + 1);
    ck_assert_int_eq(pthread_create(&producer, NULL, produce, NULL), 0);
    for (uint64_t id = 0; id < n_records; id++) {
        int r;

        while ((r = take_past_skips(&ring, &header, &payload)) == -EAGAIN)
            (void)sched_yield();
        EXPECT(r == 0);
        expect_record_is(&header, payload, id, size_of_record(id));
        fipc_consumer_release(&ring.consumer);
    }
    ck_assert_int_eq(pthread_join(producer, NULL), 0);
    expect_empty(&ring);
    ring_pair_deinit(&ring);
}

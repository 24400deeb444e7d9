/* SPDX-License-Identifier: MIT */
/* After a burst the broker gives the memory back that it needed for it. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

#define KIB 1024
#define SESSIONS 20
#define CALLS 1000  /* of each */
#define QUEUED 900  /* of one user at most 1024, and 8 MiB */
#define BYTES 8000u /* of each of them */

/* An allocator that keeps what was freed, to find who uses it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEPS_FREED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KEEPS_FREED true
#endif
#endif
#ifndef KEEPS_FREED
#define KEEPS_FREED false
#endif

static struct test_broker broker;
static struct test_witness witness;
static struct raw_client clients[SESSIONS];
static long long kib_before;

/* Of its memory that no file is behind. */
static long long resident_kib(void)
{
    char path[64], line[256];
    long long kib = 0;
    FILE *status;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)broker.pid);
    status = fopen(path, "re");
    ck_assert_ptr_nonnull(status);
    while (fgets(line, sizeof(line), status) != NULL)
        (void)sscanf(line, "RssAnon: %lld", &kib);
    (void)fclose(status);
    return kib;
}

static void start(void)
{
    test_broker_init(&broker);
    test_broker_start_with(&broker, "{}");
    test_witness_open(&witness, &broker);
    for (int i = 0; i < SESSIONS; i++) {
        clients[i] = RAW_CLIENT_EMPTY;
        ck_assert_int_eq(raw_open_session(&clients[i], broker.socket, 0, 0), 0);
    }
    kib_before = resident_kib();
}

static void stop(void)
{
    for (int i = 0; i < SESSIONS; i++)
        raw_close(&clients[i]);
    test_witness_close(&witness);
    test_broker_deinit(&broker);
}

static void send_many(struct raw_client *client, uint32_t target, int count, const void *data,
                      size_t size)
{
    uint64_t id;

    for (int i = 0; i < count; i++)
        TEST_WAIT_FOR(raw_send_request(client, target, data, size, &id) == 0);
}

static void expect_given_back(long long burst_kib)
{
    long long peak_kib = resident_kib();

    ck_assert_int_gt(peak_kib, kib_before + burst_kib);
    for (int i = 0; i < SESSIONS; i++)
        raw_close(&clients[i]);
    TEST_WAIT_FOR(test_witness_number(&witness, "handlers.live") == 1);
    TEST_WAIT_FOR(resident_kib() < (KEEPS_FREED ? peak_kib - 2 * KIB : kib_before + 512));
    test_witness_check(&witness);
}

GROUP(spare, .timeout = 60, .fixtures = {{start, stop}});

TEST(tables_get_small_again)
{
    uint32_t delay;

    for (int i = 0; i < SESSIONS; i++) {
        ck_assert_int_eq(raw_open_name(&clients[i], "fipc.delay", &delay), 0);
        send_many(&clients[i], delay, CALLS, "20000", 5);
    }
    TEST_WAIT_FOR(test_witness_number(&witness, "handlers.live") >= SESSIONS * CALLS);
    expect_given_back(3 * KIB);
}

TEST(copies_of_queued_requests_leave_nothing)
{
    static char data[BYTES];
    uint32_t target;

    ck_assert_int_eq(raw_serve(&clients[0], "com.example.busy", 1, &target), 0);
    ck_assert_int_eq(raw_open_name(&clients[1], "com.example.busy", &target), 0);
    send_many(&clients[1], target, QUEUED, data, sizeof(data));
    TEST_WAIT_FOR(test_witness_number(&witness, "handlers.live") >= QUEUED);
    if (!KEEPS_FREED)
        expect_given_back(6 * KIB);
}

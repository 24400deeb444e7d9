/* SPDX-License-Identifier: MIT */
/* Between WELCOME and the first bell: nobody looks into a region before its client has sealed it,
 * since a process that touches a hole while it is punched waits for the end of it. */
#include "common/region.h"
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_BYTES 65536u
#define STRANGER 60001

static struct test_broker broker;
static struct test_witness witness;
static struct raw_client client; /* welcomed, and its region as it came */
static int fds, regions;         /* without it */

static long long number(const char *path) { return test_witness_number(&witness, path); }

static void connect_as(uid_t uid)
{
    static const struct fipc_hello hello = {.request_ring_bytes = RING_BYTES,
                                            .reply_ring_bytes = RING_BYTES};

    client = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(seteuid(uid), 0);
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_hello(&client, &hello), 0);
    ck_assert_int_eq(raw_await_welcome(&client), 0);
    ck_assert_int_eq(seteuid(getuid()), 0);
}

static void start_with(const char *config)
{
    test_broker_init(&broker);
    test_broker_start_with(&broker, config);
    test_witness_open(&witness, &broker);
    fds = test_broker_count_fds(&broker);
    regions = test_broker_count_regions(&broker);
}

static void start(void)
{
    start_with("{}");
    connect_as(getuid());
}

static void start_in_a_hurry(void)
{
    start_with("{\"timeouts\": {\"doorbell_ms\": 100}}");
    connect_as(getuid());
}

static void start_for_a_stranger(void)
{
    start_with("{\"control\": {\"mode\": \"0666\"}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    connect_as(STRANGER);
}

static void stop(void)
{
    raw_close(&client);
    test_witness_close(&witness);
    test_broker_deinit(&broker);
}

static void ring(void)
{
    const struct fipc_bell bell = {.kind = FIPC_BELL_EVENTFD, .fd = client.bell_fd};

    ck_assert_int_eq(fipc_bell_ring(&bell), 0);
}

/* The client gets the reason, the broker counts and logs it, and nothing of the client is left. */
static void check_refused(enum fipc_reason reason)
{
    char text[128];

    ck_assert_int_eq(raw_receive_packet(&client), 0);
    ck_assert_int_eq(client.packet.type, FIPC_CONTROL_REFUSED);
    ck_assert_str_eq(fipc_reason_name(client.packet.refused.reason), fipc_reason_name(reason));
    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    (void)snprintf(text, sizeof(text), "slots.refused.%s", fipc_reason_name(reason));
    ck_assert_int_eq(number(text), 1);
    (void)snprintf(text, sizeof(text), "refused: %s", fipc_reason_name(reason));
    ck_assert_int_eq(test_broker_log_lines(&broker, text), 1);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == fds);
    ck_assert_int_eq(test_broker_count_regions(&broker), regions);
    test_witness_check(&witness);
}

GROUP(patient, .fixtures = {{start, stop}});

TEST(bell_before_the_seals_is_refused)
{
    ring();
    check_refused(FIPC_REASON_NOT_SEALED);
}

TEST(region_counts_from_the_first_bell_on)
{
    struct fipc_region region;

    ck_assert_int_eq(fipc_region_open(&region, client.region_fd, RING_BYTES, RING_BYTES,
                                      client.welcome.n_places),
                     0);
    memset(region.base, 0xff, region.size); /* corrupt wherever one looks */
    test_witness_check(&witness);
    ck_assert_int_eq(number("slots.welcomed"), 1);

    ring();
    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    ck_assert_int_eq(number("slots.closed.corrupt ring"), 1);
    fipc_region_deinit(&region);
}

TEST(who_says_more_than_hello_is_refused)
{
    ck_assert_int_eq(raw_send_bytes(&client, "more", 4, NULL, 0), 0);
    check_refused(FIPC_REASON_UNEXPECTED);
}

TEST(who_dies_without_a_bell_leaves_nothing)
{
    raw_close(&client);
    TEST_WAIT_FOR(number("slots.taken") == 1);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == fds);
    ck_assert_int_eq(test_broker_count_regions(&broker), regions);
}

TEST(stopping_broker_does_not_wait_for_the_bell)
{
    test_broker_stop(&broker);
    ck_assert_int_eq(raw_receive_packet(&client), 0);
    ck_assert_int_eq(client.packet.type, FIPC_CONTROL_REFUSED);
    ck_assert_int_eq((int)client.packet.refused.reason, FIPC_REASON_STOPPING);
}

GROUP(hurried, .fixtures = {{start_in_a_hurry, stop}});

/* The broker does not look into an unsealed region in the end either. */
TEST(who_never_rings_is_refused_in_time)
{
    void *memory = mmap(NULL, fipc_region_size(RING_BYTES, RING_BYTES, client.welcome.n_places),
                        PROT_READ | PROT_WRITE, MAP_SHARED, client.region_fd, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    memset(memory, 0xff, fipc_region_size(RING_BYTES, RING_BYTES, client.welcome.n_places));
    check_refused(FIPC_REASON_NO_REQUEST);
    for (size_t i = 0; i < fipc_region_size(RING_BYTES, RING_BYTES, client.welcome.n_places); i++) {
        if (((const unsigned char *)memory)[i] != 0xff)
            ck_abort_msg("byte %zu was written", i);
    }
    (void)munmap(memory, fipc_region_size(RING_BYTES, RING_BYTES, client.welcome.n_places));
}

/* ---- of a user whom the broker does not trust ---- */

static size_t resident_bytes(void)
{
    struct stat status;

    ck_assert_int_eq(fstat(client.region_fd, &status), 0);
    return (size_t)status.st_blocks * 512;
}

GROUP(strange, .fixtures = {{start_for_a_stranger, stop}}, .needs_root = "be two users");

TEST(all_pages_of_a_stranger_are_there_from_the_start)
{
    ck_assert_uint_eq(client.welcome.n_places, 64);
    ck_assert_uint_eq(resident_bytes(),
                      fipc_region_size(RING_BYTES, RING_BYTES, client.welcome.n_places));
    raw_close(&client);
    connect_as(getuid());
    ck_assert_uint_eq(resident_bytes(), FIPC_REGION_PAGE);
}

TEST(stranger_who_seals_is_served)
{
    raw_close(&client);
    ck_assert_int_eq(seteuid(STRANGER), 0);
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
    ck_assert_int_eq(seteuid(getuid()), 0);
    TEST_WAIT_FOR(number("slots.open") == 2);
    test_witness_check(&witness);
}

/* A process that has a page for itself alone can have it written out, and make the broker wait for
 * that. */
LOOP_TEST(stranger_who_punched_a_hole_is_refused_although_he_seals,
          2 * RING_BYTES / FIPC_REGION_PAGE + 1)
{
    struct fipc_region region;

    ck_assert_int_eq(fallocate(client.region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                               _i * (off_t)FIPC_REGION_PAGE, FIPC_REGION_PAGE),
                     0);
    ck_assert_int_eq(fipc_region_open(&region, client.region_fd, RING_BYTES, RING_BYTES,
                                      client.welcome.n_places),
                     0);
    memset(region.base, 1, region.size);
    ring();
    check_refused(FIPC_REASON_NOT_SEALED);
    fipc_region_deinit(&region);
}

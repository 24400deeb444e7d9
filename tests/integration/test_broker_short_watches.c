/* SPDX-License-Identifier: MIT */
/* The system has no watch left for the memory of strangers: it counts for a time then. */
#include "tests/integration/fail_broker.h"
#include "tests/suite.h"

#include <sys/stat.h>
#include <unistd.h>

#define STRANGER 60001

static struct test_broker broker;
static struct fail_calls *calls;
static struct test_witness witness;

static void set_up(void)
{
    test_broker_init(&broker);
    calls = fail_calls_open(&broker);
    fail_broker_start_with(&broker, "{\"control\": {\"mode\": \"0666\"},"
                                    " \"timeouts\": {\"handler_ms\": 300}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    test_witness_open(&witness, &broker);
}

static void tear_down(void)
{
    test_witness_close(&witness);
    calls = fail_calls_close(calls);
    test_broker_deinit(&broker);
}

/* A session that its client leaves, keeping its memory. Return: an fd of that */
static int leave_session_of_stranger(void)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int fd;

    ck_assert_int_eq(seteuid(STRANGER), 0);
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
    ck_assert_int_eq(seteuid(getuid()), 0);
    fd = fd_steal(&client.region_fd);
    raw_close(&client);
    return fd;
}

GROUP(watches, .timeout = 60, .fixtures = {{set_up, tear_down}}, .needs_root = "be two users");

TEST(memory_that_nothing_tells_of_counts_for_a_time)
{
    int kept_fd;

    fail_always(calls, FAIL_INOTIFY);
    kept_fd = leave_session_of_stranger();
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.held") == 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "fs.inotify.max_user_watches"), 1);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.held") == 0);

    fail_never(calls, FAIL_INOTIFY);
    (void)close(kept_fd);
    kept_fd = leave_session_of_stranger();
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.held") == 1);
    (void)close(kept_fd);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.held") == 0);
    test_witness_check(&witness);
}

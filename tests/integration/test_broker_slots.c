/* SPDX-License-Identifier: MIT */
/* Who gets a slot, how long it may keep it, and what happens to those for whom there is none now.
 */
#include "tests/integration/broker.h"
#include "tests/integration/raw_client.h"
#include "tests/suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define NOBODY 65534

static struct test_broker broker;
static struct raw_client clients[CLIENTS_MAX];

static void start_with(const char *json) { test_broker_start_with(&broker, json); }

static void setup(void)
{
    test_broker_init(&broker);
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i] = RAW_CLIENT_EMPTY;
}

static void teardown(void)
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        raw_close(&clients[i]);
    test_broker_stop(&broker);
    test_broker_deinit(&broker);
}

static void open_session(struct raw_client *client)
{
    ck_assert_int_eq(raw_open_session(client, broker.socket, 0, 0), 0);
}

/* Connects and says how long it is ready to wait for a slot. */
static void knock(struct raw_client *client, uint32_t wait_ms)
{
    const struct fipc_hello hello = {.wait_ms = wait_ms};

    ck_assert_int_eq(raw_connect(client, broker.socket), 0);
    ck_assert_int_eq(raw_send_hello(client, &hello), 0);
}

static void ck_assert_goodbye(struct raw_client *client, enum fipc_reason expected)
{
    enum fipc_reason reason;

    ck_assert_int_eq(raw_receive_goodbye(client, &reason), 0);
    ck_assert_str_eq(fipc_reason_name(reason), fipc_reason_name(expected));
}

static void ck_assert_refused(struct raw_client *client, enum fipc_reason expected)
{
    ck_assert_int_eq(raw_receive_welcome(client), -ECONNREFUSED);
    ck_assert_str_eq(fipc_reason_name(client->packet.refused.reason), fipc_reason_name(expected));
}

/* A number of fipc.stats, asked for by a one-shot. */
static long long number(const char *path)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    long long value;

    ck_assert_int_eq(raw_call_once(&client, broker.socket, "fipc.stats", NULL, 0), 0);
    value = test_report_number(client.packet.data, client.packet.oneshot_reply.data_bytes, path);
    raw_close(&client);
    return value;
}

static long long n_waiting(void) { return number("slots.waiting"); }

static bool has_answer(const struct raw_client *client)
{
    struct pollfd lane = {.fd = client->lane_fd, .events = POLLIN};

    return poll(&lane, 1, 0) > 0;
}

/* ---- how long a slot lives ---- */

GROUP(life, .timeout = 30, .fixtures = {{setup, teardown}});

TEST(connection_without_hello_is_refused_after_doorbell_ms)
{
    start_with("{\"timeouts\": {\"doorbell_ms\": 200}}");
    ck_assert_int_eq(raw_connect(&clients[0], broker.socket), 0);
    ck_assert_refused(&clients[0], FIPC_REASON_NO_REQUEST);
}

TEST(session_without_a_request_is_closed_after_doorbell_ms)
{
    start_with("{\"timeouts\": {\"doorbell_ms\": 200}}");
    open_session(&clients[0]);
    ck_assert_goodbye(&clients[0], FIPC_REASON_NO_REQUEST);
}

TEST(idle_session_is_closed_after_idle_ms_without_a_warning)
{
    uint32_t target;

    start_with("{\"timeouts\": {\"idle_ms\": 200}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.echo", &target), 0);
    ck_assert_goodbye(&clients[0], FIPC_REASON_IDLE);
    ck_assert_int_eq(test_broker_log_lines(&broker, "warning"), 0);
}

TEST(session_with_an_open_call_is_never_idle)
{
    uint32_t target;
    uint64_t id;

    start_with("{\"timeouts\": {\"idle_ms\": 100}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.delay", &target), 0);
    ck_assert_int_eq(raw_send_request(&clients[0], target, "500", 3, &id), 0);
    ck_assert_int_eq(raw_receive_record(&clients[0]), 0);
    ck_assert_uint_eq(clients[0].header.kind, FIPC_KIND_REPLY);
    ck_assert_uint_eq(clients[0].header.id, id);
    ck_assert_goodbye(&clients[0], FIPC_REASON_IDLE);
}

TEST(idle_time_begins_when_the_last_call_ends)
{
    uint32_t target;
    uint64_t answered_ns;

    start_with("{\"timeouts\": {\"idle_ms\": 300}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.delay", &target), 0);
    ck_assert_int_eq(raw_call(&clients[0], target, "500", 3), 0);
    answered_ns = fipc_now_ns();
    ck_assert_int_eq(raw_wait_hang_up(&clients[0]), 0);
    ck_assert_uint_ge(fipc_now_ns() - answered_ns, 250 * FIPC_NS_PER_MS);
}

TEST(idle_ms_of_zero_closes_nobody)
{
    uint32_t target;

    start_with("{\"timeouts\": {\"idle_ms\": 0, \"doorbell_ms\": 50, \"handler_ms\": 50}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.echo", &target), 0);
    /* others come and go for longer than any of the times above */
    for (uint64_t end_ns = fipc_now_ns() + 300 * FIPC_NS_PER_MS; fipc_now_ns() < end_ns;)
        ck_assert_int_eq(number("slots.closed.idle for too long"), 0);
    ck_assert_int_eq(raw_call(&clients[0], target, "x", 1), 0);
}

/* Sends echoes until the reply ring and then the broker's patience with it are full. */
static void stop_draining(struct raw_client *client, uint32_t target)
{
    char data[1500] = {0};
    uint64_t id;

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(raw_send_request(client, target, data, sizeof(data), &id), 0);
}

TEST(client_that_does_not_take_its_replies_is_closed_after_handler_ms)
{
    uint32_t target;

    start_with("{\"timeouts\": {\"handler_ms\": 300, \"idle_ms\": 100}}");
    ck_assert_int_eq(raw_open_session(&clients[0], broker.socket, 8192, 4096), 0);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.echo", &target), 0);
    stop_draining(&clients[0], target);
    ck_assert_int_eq(raw_wait_hang_up(&clients[0]), 0);
    ck_assert_int_eq(number("slots.closed.replies not taken in time"), 1);
    ck_assert_int_ge(number("handlers.dropped"), 1);
}

TEST(client_that_drains_slowly_is_kept)
{
    uint32_t target;
    int taken = 0;

    start_with("{\"timeouts\": {\"handler_ms\": 400, \"idle_ms\": 0}}");
    ck_assert_int_eq(raw_open_session(&clients[0], broker.socket, 16384, 4096), 0);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.echo", &target), 0);
    stop_draining(&clients[0], target);
    stop_draining(&clients[0], target);
    for (; taken < 8; taken++) {
        /* less than handler_ms for each, more for all of them */
        for (uint64_t end_ns = fipc_now_ns() + 100 * FIPC_NS_PER_MS; fipc_now_ns() < end_ns;)
            test_pause();
        ck_assert_int_eq(raw_receive_record(&clients[0]), 0);
        ck_assert_uint_eq(clients[0].header.kind, FIPC_KIND_REPLY);
    }
    ck_assert_int_eq(raw_call(&clients[0], target, "x", 1), 0);
}

TEST(death_of_a_client_frees_its_slot_at_once)
{
    start_with("{\"slots\": {\"count\": 1}}");
    for (int i = 0; i < 50; i++) {
        open_session(&clients[0]);
        raw_close(&clients[0]);
    }
}

/* ---- the waiting room ---- */

GROUP(waiting, .timeout = 30, .fixtures = {{setup, teardown}});

TEST(who_finds_no_slot_waits_and_is_served_first_come_first_served)
{
    start_with("{\"slots\": {\"count\": 3, \"per_uid\": 2}}");
    open_session(&clients[0]);
    open_session(&clients[1]);
    for (int i = 2; i < 5; i++) {
        knock(&clients[i], 10000); /* the kernel's queue keeps their order */
    }
    raw_close(&clients[0]);
    ck_assert_int_eq(raw_receive_welcome(&clients[2]), 0);
    ck_assert(!has_answer(&clients[3]));
    raw_close(&clients[1]);
    ck_assert_int_eq(raw_receive_welcome(&clients[3]), 0);
    ck_assert(!has_answer(&clients[4]));
    raw_close(&clients[2]);
    ck_assert_int_eq(raw_receive_welcome(&clients[4]), 0);
}

TEST(who_waits_is_refused_at_its_own_deadline)
{
    uint64_t start_ns;

    start_with("{\"slots\": {\"count\": 1}, \"timeouts\": {\"doorbell_ms\": 60000}}");
    open_session(&clients[0]);
    start_ns = fipc_now_ns();
    knock(&clients[1], 300);
    ck_assert_refused(&clients[1], FIPC_REASON_QUOTA);
    ck_assert_uint_ge(fipc_now_ns() - start_ns, 250 * FIPC_NS_PER_MS);
}

TEST(who_says_hello_late_has_his_own_deadline_too)
{
    const struct fipc_hello hello = {.wait_ms = 300};
    struct test_witness witness;

    start_with(
        "{\"slots\": {\"count\": 2, \"per_uid\": 2}, \"timeouts\": {\"doorbell_ms\": 60000}}");
    open_session(&clients[0]);
    test_witness_open(&witness, &broker);
    ck_assert_int_eq(raw_connect(&clients[1], broker.socket), 0);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.waiting") == 1);
    ck_assert_int_eq(raw_send_hello(&clients[1], &hello), 0);
    ck_assert_refused(&clients[1], FIPC_REASON_QUOTA);
    test_witness_close(&witness);
}

TEST(place_of_a_waiting_client_that_hangs_up_is_free)
{
    int n_fds;

    start_with("{\"slots\": {\"count\": 2, \"per_uid\": 2}, \"control\": {\"backlog\": 2}}");
    n_fds = test_broker_count_fds(&broker) + 4; /* two of a session each */
    open_session(&clients[0]);
    open_session(&clients[1]);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == n_fds);
    for (int i = 0; i < 20; i++) {
        knock(&clients[2], 10000);
        TEST_WAIT_FOR(test_broker_count_fds(&broker) == n_fds + 1);
        raw_close(&clients[2]);
        TEST_WAIT_FOR(test_broker_count_fds(&broker) == n_fds);
    }
    knock(&clients[3], 10000);
    raw_close(&clients[0]);
    ck_assert_int_eq(raw_receive_welcome(&clients[3]), 0);
    raw_close(&clients[1]);
    TEST_WAIT_FOR(n_waiting() == 0);
}

TEST(waiting_room_is_bounded)
{
    start_with("{\"slots\": {\"count\": 2, \"per_uid\": 2}, \"control\": {\"backlog\": 4},"
               " \"timeouts\": {\"doorbell_ms\": 60000}}");
    open_session(&clients[0]);
    open_session(&clients[1]);
    for (int i = 2; i < 6; i++)
        knock(&clients[i], 60000);
    knock(&clients[6], 60000);
    ck_assert_refused(&clients[6], FIPC_REASON_QUOTA);
    ck_assert_uint_gt(clients[6].packet.refused.retry_ms, 0);
    raw_close(&clients[0]);
    ck_assert_int_eq(raw_receive_welcome(&clients[2]), 0);
}

/* ---- what one user may have ---- */

/* Runs a part of a test as another user. Return: what it returned. */
static int as_nobody(int (*part)(void))
{
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
            _exit(99);
        _exit(part());
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_one_session(void)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int r = raw_open_session(&client, broker.socket, 0, 0);

    raw_close(&client);
    return r == 0 ? 0 : 1;
}

GROUP(quota, .timeout = 30, .fixtures = {{setup, teardown}});

TEST(user_at_its_quota_leaves_the_rest_to_others)
{
    if (geteuid() != 0) {
        (void)printf("SKIP: only root can be two users\n");
        start_with("{}");
        return;
    }
    start_with("{\"slots\": {\"count\": 3, \"per_uid\": 2}, \"control\": {\"mode\": \"0666\"}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    open_session(&clients[0]);
    open_session(&clients[1]);
    knock(&clients[2], 60000);
    ck_assert_int_eq(as_nobody(open_one_session), 0);
    ck_assert(!has_answer(&clients[2]));
}

static void reload(const char *json, const char *log_line)
{
    int before = test_broker_log_lines(&broker, log_line);

    test_broker_write_config(&broker, json);
    ck_assert_int_eq(kill(broker.pid, SIGHUP), 0);
    TEST_WAIT_FOR(test_broker_log_lines(&broker, log_line) > before);
}

/* The largest rings that a stranger may ask for, and what is more. Return: 0 all is as it should be
 */
static int ask_for_rings(void)
{
    static const struct {
        uint32_t request_bytes, reply_bytes;
        int error;
    } rings[] = {
        {524288, 524288, 0},
        {1048576, 524288, 0},
        {524288, 1048576, 0},
        {1048576, 1048576, -ECONNREFUSED},
        {2097152, 4096, -ECONNREFUSED},
        {4096, 2097152, -ECONNREFUSED},
    };

    for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
        struct raw_client client = RAW_CLIENT_EMPTY;
        int r =
            raw_open_session(&client, broker.socket, rings[i].request_bytes, rings[i].reply_bytes);

        if (r != rings[i].error ||
            (r != 0 && client.packet.refused.reason != FIPC_REASON_RING_BYTES))
            return (int)i + 1;
        raw_close(&client);
    }
    return 0;
}

static int open_large_session(void)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int r = raw_open_session(&client, broker.socket, 1048576, 2097152);

    raw_close(&client);
    return r == 0 ? 0 : 1;
}

/* Whoever touches a region of which its client makes a huge page waits meanwhile. */
TEST(stranger_has_no_room_for_a_huge_page)
{
    struct raw_client root = RAW_CLIENT_EMPTY;

    if (geteuid() != 0) {
        (void)printf("SKIP: only root can be two users\n");
        start_with("{}");
        return;
    }
    start_with("{\"control\": {\"mode\": \"0666\"}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    ck_assert_int_eq(as_nobody(ask_for_rings), 0);
    ck_assert_int_ne(as_nobody(open_large_session), 0);
    ck_assert_int_eq(raw_open_session(&root, broker.socket, 16777216, 16777216), 0);
    raw_close(&root);

    reload("{\"control\": {\"mode\": \"0666\"}, \"slots\": {\"request_ring_bytes\": 1048576,"
           " \"reply_ring_bytes\": 2097152}}",
           "config reloaded");
    ck_assert_int_eq(as_nobody(open_large_session), 0);
}

#define BURST (CLIENTS_MAX - 1)

/* Return: how many of them got no session */
static int open_many_at_once(void)
{
    struct raw_client many[BURST];
    const struct fipc_hello hello = {.wait_ms = 10000};
    int failed = 0;

    for (int i = 0; i < BURST; i++) {
        many[i] = RAW_CLIENT_EMPTY;
        failed += raw_connect(&many[i], broker.socket) < 0 || raw_send_hello(&many[i], &hello) < 0;
    }
    for (int i = 0; i < BURST; i++) {
        failed += raw_receive_welcome(&many[i]) < 0;
        raw_close(&many[i]);
    }
    return failed;
}

TEST(who_waits_for_his_quota_is_in_nobodys_way)
{
    if (geteuid() != 0) {
        (void)printf("SKIP: only root can be two users\n");
        start_with("{}");
        return;
    }
    /* a single place in the waiting room for each */
    start_with("{\"slots\": {\"count\": 100, \"per_uid\": 15},"
               " \"control\": {\"mode\": \"0666\", \"backlog\": 6}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    for (int i = 0; i < BURST; i++)
        open_session(&clients[i]);
    knock(&clients[BURST], 60000);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(as_nobody(open_many_at_once), 0);
    ck_assert(!has_answer(&clients[BURST]));
}

TEST(user_has_a_share_of_the_waiting_room_too)
{
    start_with("{\"slots\": {\"count\": 100, \"per_uid\": 14}, \"control\": {\"backlog\": 7}}");
    for (int i = 0; i < CLIENTS_MAX - 2; i++)
        open_session(&clients[i]);
    knock(&clients[CLIENTS_MAX - 2], 60000); /* 14 of 100 of 7 places: one */
    ck_assert_int_eq(raw_connect(&clients[CLIENTS_MAX - 1], broker.socket), 0);
    ck_assert_refused(&clients[CLIENTS_MAX - 1], FIPC_REASON_QUOTA);
    ck_assert(!has_answer(&clients[CLIENTS_MAX - 2]));
}

TEST(rings_are_counted_against_the_user)
{
    start_with("{\"slots\": {\"count\": 8, \"per_uid\": 8, \"ring_bytes_max\": 262144}}");
    /* 8 sessions of 132 KiB each are allowed: two of 516 KiB, not three */
    ck_assert_int_eq(raw_open_session(&clients[0], broker.socket, 262144, 262144), 0);
    ck_assert_int_eq(raw_open_session(&clients[1], broker.socket, 262144, 262144), 0);
    ck_assert_int_eq(raw_open_session(&clients[2], broker.socket, 262144, 262144), -ECONNREFUSED);
    ck_assert_uint_eq(clients[2].packet.refused.reason, FIPC_REASON_QUOTA);
    raw_close(&clients[0]);
    TEST_WAIT_FOR(number("slots.open") == 1);
    ck_assert_int_eq(raw_open_session(&clients[3], broker.socket, 262144, 262144), 0);
}

/* ---- a new config ---- */

GROUP(config, .timeout = 30, .fixtures = {{setup, teardown}});

TEST(reload_below_the_slots_in_use_closes_nobody)
{
    uint32_t target;

    start_with("{\"slots\": {\"count\": 8, \"per_uid\": 8}}");
    for (int i = 0; i < 4; i++) {
        open_session(&clients[i]);
        ck_assert_int_eq(raw_open_name(&clients[i], "fipc.echo", &target), 0);
    }
    reload("{\"slots\": {\"count\": 2, \"per_uid\": 2}}", "config reloaded");
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(raw_call(&clients[i], target, "x", 1), 0);
    knock(&clients[4], 60000);
    raw_close(&clients[0]);
    raw_close(&clients[1]);
    ck_assert_int_eq(raw_call(&clients[2], target, "x", 1), 0);
    ck_assert(!has_answer(&clients[4]));
    raw_close(&clients[2]);
    ck_assert_int_eq(raw_receive_welcome(&clients[4]), 0);
    reload("{\"slots\": {\"count\": 8, \"per_uid\": 8}}", "config reloaded");
    open_session(&clients[5]);
    open_session(&clients[6]);
}

TEST(reload_shortens_the_times_of_sessions_that_are_open)
{
    start_with("{\"timeouts\": {\"idle_ms\": 86400000, \"doorbell_ms\": 86400000,"
               " \"handler_ms\": 86400000}}");
    open_session(&clients[0]);
    reload("{\"timeouts\": {\"doorbell_ms\": 50, \"handler_ms\": 86400000}}", "config reloaded");
    ck_assert_int_eq(raw_wait_hang_up(&clients[0]), 0);
}

TEST(page_of_slots_fits_into_the_smallest_ring)
{
    uint32_t target;

    start_with("{\"slots\": {\"request_ring_bytes\": 4096, \"reply_ring_bytes\": 4096}}");
    for (int i = 0; i < CLIENTS_MAX; i++)
        open_session(&clients[i]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.stats", &target), 0);
    ck_assert_int_eq(raw_call(&clients[0], target, "slots 0", 7), 0);
    ck_assert_ptr_null(memmem(clients[0].payload, clients[0].payload_bytes, "null", 4));
    ck_assert_ptr_nonnull(memmem(clients[0].payload, clients[0].payload_bytes, "\"slot\":0", 8));
    ck_assert_int_eq(raw_call(&clients[0], target, "slots 15", 8), 0);
    ck_assert_ptr_nonnull(memmem(clients[0].payload, clients[0].payload_bytes, "\"slot\":15", 9));
}

TEST(reload_changes_the_time_to_drain)
{
    uint32_t target;
    uint64_t id, began_ns;

    start_with("{\"timeouts\": {\"drain_ms\": 60000}}");
    open_session(&clients[0]);
    ck_assert_int_eq(raw_open_name(&clients[0], "fipc.delay", &target), 0);
    ck_assert_int_eq(raw_send_request(&clients[0], target, "20000", 5, &id), 0);
    reload("{\"timeouts\": {\"drain_ms\": 100}}", "config reloaded");
    began_ns = fipc_now_ns();
    test_broker_stop(&broker);
    ck_assert_uint_lt(fipc_now_ns() - began_ns, 10 * FIPC_NS_PER_S);
    start_with("{}"); /* for the fixture */
}

TEST(bad_file_changes_nothing_on_reload)
{
    start_with("{\"slots\": {\"count\": 8, \"per_uid\": 8}}");
    reload("{\"slots\": {\"count\": 0}, \"log\": {\"level\": \"debug\"}}", "was not reloaded");
    ck_assert_int_eq(test_broker_log_lines(&broker, "slots.count"), 1);
    ck_assert_int_eq(number("slots.count"), 8);
    ck_assert_int_eq(test_broker_log_lines(&broker, "debug"), 0);
}

TEST(change_of_a_key_that_needs_a_restart_is_warned_of)
{
    start_with("{}");
    reload("{\"control\": {\"backlog\": 7}}", "only at a restart");
    TEST_WAIT_FOR(test_broker_log_lines(&broker, "config reloaded") == 1);
}

/* SPDX-License-Identifier: MIT */
/*
 * The machine is short of fds, of memory, or of room for fds in flight, for a while: old clients
 * stay served, new ones wait or get the reason why not, the broker rests and logs it once, and all
 * goes on when there is room again.
 */
#include "tests/integration/fail_broker.h"
#include "tests/suite.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 100
/* A busy loop takes all that it can get. */
#define BUSY_PERCENT_MAX 20

static struct test_broker broker;
static struct fail_calls *calls;
static struct test_witness witness;
static struct raw_client clients[CLIENTS];

static void setup(void)
{
    test_broker_init(&broker);
    calls = fail_calls_open(&broker);
    witness.client = RAW_CLIENT_EMPTY;
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = RAW_CLIENT_EMPTY;
}

static void teardown(void)
{
    for (int i = 0; i < CLIENTS; i++)
        raw_close(&clients[i]);
    test_witness_close(&witness);
    calls = fail_calls_close(calls);
    test_broker_deinit(&broker);
}

static void start(void)
{
    fail_broker_start(&broker, NULL);
    test_witness_open(&witness, &broker);
}

static void start_with(const char *config)
{
    fail_broker_start_with(&broker, config);
    test_witness_open(&witness, &broker);
}

static void say_hello(const struct raw_client *client)
{
    static const struct fipc_hello hello = {.wait_ms = UINT32_MAX};

    ck_assert_int_eq(raw_send_hello((struct raw_client *)(uintptr_t)client, &hello), 0);
}

static void connect_only(struct raw_client *client)
{
    ck_assert_int_eq(raw_connect(client, broker.socket), 0);
}

static bool has_answer(const struct raw_client *client)
{
    struct pollfd lane = {.fd = client->lane_fd, .events = POLLIN | POLLRDHUP};

    return poll(&lane, 1, 0) > 0;
}

static int count_answers(void)
{
    int count = 0;

    for (int i = 0; i < CLIENTS; i++)
        count += clients[i].lane_fd >= 0 && has_answer(&clients[i]);
    return count;
}

/* It is a session, and served. */
static void check_welcomed(struct raw_client *client)
{
    uint32_t echo;

    ck_assert_int_eq(raw_receive_welcome(client), 0);
    ck_assert_int_eq(raw_open_name(client, "fipc.echo", &echo), 0);
    ck_assert_int_eq(raw_call(client, echo, "hello", 5), 0);
}

static void check_resting(void)
{
    ck_assert_int_lt(fail_busy_percent(&broker), BUSY_PERCENT_MAX);
    test_witness_check(&witness);
}

/* What it says of the shortage, in one line; nobody was refused or closed. */
static void check_said_once(const char *line)
{
    ck_assert_int_eq(test_broker_log_lines(&broker, line), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "warning: "), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "error: "), 0);
}

static bool has_paused(void) { return test_broker_log_lines(&broker, "accepting pauses") > 0; }

/* ---- too few fds: DESIGN 4.3 "Accepting pauses while few fds are free" ---- */

static rlim_t soft_limit(void)
{
    struct rlimit limit;

    ck_assert_int_eq(prlimit(broker.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    return limit.rlim_cur;
}

GROUP(fds, .timeout = 60, .fixtures = {{setup, teardown}});

TEST(broker_raises_its_limit_by_itself)
{
    fail_limit_fds(&broker, 32, 500);
    start();
    ck_assert_uint_eq(soft_limit(), 500);
    for (int i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(raw_open_session(&clients[i], broker.socket, 0, 0), 0);
        test_witness_check(&witness);
    }
    ck_assert(!has_paused());
}

/* Even turns: HELLO comes with the connection. Odd ones: only when no more are accepted, so that
 * all who are accepted still need their bells. */
LOOP_TEST(more_clients_than_fds_wait_and_are_all_served_4_3, 2)
{
    int early;

    fail_limit_fds(&broker, 64, 64);
    start();
    for (int i = 0; i < CLIENTS; i++) {
        connect_only(&clients[i]);
        if (_i % 2 == 0)
            say_hello(&clients[i]);
    }
    TEST_WAIT_FOR(has_paused());
    for (int i = 0; _i % 2 != 0 && i < CLIENTS; i++)
        say_hello(&clients[i]);

    check_resting();
    early = count_answers();
    ck_assert_int_ge(early, 10);
    ck_assert_int_lt(early, 32);
    ck_assert_int_le(test_broker_count_fds(&broker), 64 - 16);
    for (int i = 0; i < CLIENTS; i++) {
        check_welcomed(&clients[i]);
        raw_close(&clients[i]);
        test_witness_check(&witness);
    }
    check_said_once("few file descriptors are left");
}

TEST(room_is_found_again_after_many_came_and_went_4_3)
{
    int fds;

    fail_limit_fds(&broker, 64, 64);
    start();
    fds = test_broker_count_fds(&broker);
    for (int turn = 0; turn < test_scaled(20); turn++) {
        /* those of even numbers leave gaps in the table of fds */
        for (int i = 0; i < 10; i++)
            ck_assert_int_eq(raw_open_session(&clients[i], broker.socket, 0, 0), 0);
        for (int i = 0; i < 10; i += 2)
            raw_close(&clients[i]);
        for (int i = 0; i < 10; i += 2)
            ck_assert_int_eq(raw_open_session(&clients[i], broker.socket, 0, 0), 0);
        for (int i = 0; i < 10; i++)
            raw_close(&clients[i]);
        TEST_WAIT_FOR(test_broker_count_fds(&broker) == fds);
    }
    ck_assert(!has_paused());
}

/* Too few for any client: the broker refuses to start with this limit. */
TEST(limit_that_serves_nobody_is_refused_at_start)
{
    const char *const arguments[] = {"--socket", broker.socket, NULL};
    int status;

    fail_limit_fds(&broker, 20, 20);
    fail_broker_spawn(&broker, arguments);
    status = test_broker_wait(&broker);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ""), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "LimitNOFILE="), 1);
}

TEST(broker_without_an_fd_for_signals_does_not_start)
{
    const char *const arguments[] = {"--socket", broker.socket, NULL};
    int status;

    fail_always(calls, FAIL_EVENTFD);
    fail_always(calls, FAIL_PIPE);
    fail_broker_spawn(&broker, arguments);
    status = test_broker_wait(&broker);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ""), 1);
}

/* The whole system has no more fds, or the kernel no memory for a socket: accept(2) alone tells. */
TEST(accepting_that_fails_is_tried_again_4_3)
{
    start();
    fail_always(calls, FAIL_ACCEPT4);
    for (int i = 0; i < 10; i++) {
        connect_only(&clients[i]);
        say_hello(&clients[i]);
    }
    TEST_WAIT_FOR(has_paused());
    check_resting();
    ck_assert_int_eq(count_answers(), 0);

    fail_never(calls, FAIL_ACCEPT4);
    for (int i = 0; i < 10; i++)
        check_welcomed(&clients[i]);
    check_said_once("accepting pauses");
}

/* The next shortage is another event. */
TEST(second_shortage_is_said_too)
{
    start();
    for (int turn = 1; turn <= 2; turn++) {
        fail_always(calls, FAIL_ACCEPT4);
        connect_only(&clients[0]);
        TEST_WAIT_FOR(test_broker_log_lines(&broker, "accepting pauses") == turn);
        fail_never(calls, FAIL_ACCEPT4);
        say_hello(&clients[0]);
        check_welcomed(&clients[0]);
        raw_close(&clients[0]);
        ck_assert_int_eq(raw_open_session(&clients[1], broker.socket, 0, 0), 0);
        raw_close(&clients[1]);
    }
}

static const enum fail_kind session_kinds[] = {
    FAIL_EVENTFD, FAIL_MEMFD_CREATE, FAIL_FTRUNCATE, FAIL_SEALS, FAIL_MMAP, FAIL_EPOLL_ADD,
};

/* No session can be made: each new client gets the reason, and old clients keep their sessions. */
LOOP_TEST(session_that_cannot_be_made_is_refused_with_a_reason, COUNT_OF(session_kinds))
{
    int fds, r;

    start();
    fds = test_broker_count_fds(&broker);
    fail_always(calls, session_kinds[_i]);
    for (int i = 0; i < CLIENTS; i++) {
        r = raw_open_session(&clients[i], broker.socket, 0, 0);
        if (r == -EPIPE) /* before it could send HELLO */
            r = raw_receive_welcome(&clients[i]);
        ck_assert_int_eq(r, -ECONNREFUSED);
        ck_assert_uint_eq(clients[i].packet.refused.reason, FIPC_REASON_SHORT);
        ck_assert_uint_gt(clients[i].packet.refused.retry_ms, 0);
        raw_close(&clients[i]);
        test_witness_check(&witness);
    }
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == fds);
    ck_assert_int_eq(test_broker_count_regions(&broker), 1);
    ck_assert_int_le(test_broker_log_lines(&broker, "warning: "), 20);

    fail_never(calls, session_kinds[_i]);
    ck_assert_int_eq(raw_open_session(&clients[0], broker.socket, 0, 0), 0);
}

/* DESIGN 4.3: any other error of a bell is tried again next turn; the end word was claimed. */
TEST(bell_that_cannot_be_rung_is_rung_later_4_3)
{
    struct raw_client *client = &clients[0];
    struct pollfd lane = {.events = POLLIN};
    uint32_t delay;
    uint64_t id;

    start();
    ck_assert_int_eq(raw_open_session(client, broker.socket, 0, 0), 0);
    ck_assert_int_eq(raw_open_name(client, "fipc.delay", &delay), 0);
    fail_always(calls, FAIL_SEND);
    fipc_end_arm(client->channel.own, FIPC_END_ASLEEP_FD);
    ck_assert_int_eq(raw_send_request(client, delay, "1", 1, &id), 0);
    TEST_WAIT_FOR(calls->kinds[FAIL_SEND].failed > 0);
    fail_never(calls, FAIL_SEND);

    lane.fd = client->lane_fd;
    ck_assert_int_eq(poll(&lane, 1, RAW_DEADLINE_MS), 1);
    ck_assert_int_eq(lane.revents, POLLIN);
    ck_assert_int_eq(raw_receive_record(client), 0);
    ck_assert_uint_eq(client->header.id, id);
}

/* ---- fds in flight: DESIGN 4.3 "ETOOMANYREFS pauses such sends and closes nobody" ---- */

#define N_DUE 8

static bool welcomes_wait(void)
{
    return test_broker_log_lines(&broker, "too many fds are in flight") > 0;
}

static void knock_all(void)
{
    for (int i = 0; i < N_DUE; i++) {
        connect_only(&clients[i]);
        say_hello(&clients[i]);
    }
    TEST_WAIT_FOR(welcomes_wait());
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.greeting") == N_DUE);
}

/* The first one got its WELCOME before the second one did, and so on. */
static void check_order(void)
{
    for (int i = N_DUE - 1; i >= 0; i--) {
        TEST_WAIT_FOR(has_answer(&clients[i]));
        for (int j = 0; j < i; j++)
            ck_assert(has_answer(&clients[j]));
    }
}

GROUP(flight, .timeout = 60, .fixtures = {{setup, teardown}});

TEST(welcomes_wait_until_fds_in_flight_have_landed_4_3)
{
    start_with("{\"timeouts\": {\"doorbell_ms\": 400}}");
    fail_always(calls, FAIL_SENDMSG_FDS);
    knock_all();
    check_resting(); /* for longer than doorbell_ms: they wait for us, not we for them */
    ck_assert_int_eq(count_answers(), 0);
    ck_assert_int_eq(test_witness_number(&witness, "slots.greeting"), N_DUE);
    ck_assert_int_eq(test_broker_count_regions(&broker), 1); /* nothing is kept for them */

    fail_never(calls, FAIL_SENDMSG_FDS);
    check_order();
    for (int i = 0; i < N_DUE; i++)
        check_welcomed(&clients[i]);
    check_said_once("too many fds are in flight");
}

TEST(oneshots_need_no_fds_and_do_not_wait_4_3)
{
    start();
    fail_always(calls, FAIL_SENDMSG_FDS);
    knock_all();
    for (int i = N_DUE; i < 2 * N_DUE; i++)
        ck_assert_int_eq(raw_call_once(&clients[i], broker.socket, "fipc.echo", "x", 1), 0);
    fail_never(calls, FAIL_SENDMSG_FDS);
    for (int i = 0; i < N_DUE; i++)
        check_welcomed(&clients[i]);
}

TEST(client_that_stops_waiting_for_its_welcome_is_gone_4_3)
{
    start();
    fail_always(calls, FAIL_SENDMSG_FDS);
    knock_all();
    for (int i = 0; i < N_DUE; i += 2)
        raw_close(&clients[i]);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.greeting") == N_DUE / 2);
    ck_assert_int_eq(test_witness_number(&witness, "slots.refused.the peer is gone"),
                     N_DUE / 2 + 1); /* and the one that saw it start */
    fail_never(calls, FAIL_SENDMSG_FDS);
    for (int i = 1; i < N_DUE; i += 2)
        check_welcomed(&clients[i]);
    check_said_once("too many fds are in flight");
}

TEST(who_waits_for_a_welcome_is_told_of_the_end_4_3)
{
    start();
    fail_always(calls, FAIL_SENDMSG_FDS);
    knock_all();
    test_broker_stop(&broker);
    for (int i = 0; i < N_DUE; i++) {
        ck_assert_int_eq(raw_receive_welcome(&clients[i]), -ECONNREFUSED);
        ck_assert_uint_eq(clients[i].packet.refused.reason, FIPC_REASON_STOPPING);
    }
}

/* The kernel counts by user: this one is nobody else's. */
#define LONELY_UID 64917
#define LIMIT 200

/* Puts one more fd in flight, on a lane that nobody reads. */
static int put_in_flight(struct raw_client *sender)
{
    const int fd = STDERR_FILENO;

    return raw_send_bytes(sender, "x", 1, &fd, 1);
}

static bool can_read(const char *path) { return path != NULL && access(path, R_OK | X_OK) == 0; }

/* Becomes a user of its own. Return: whether it could */
static bool become_lonely(void)
{
    if (geteuid() != 0) {
        (void)printf("SKIP: only root can become a user whom nobody else disturbs\n");
        return false;
    }
    ck_assert_int_eq(chown(broker.folder, LONELY_UID, LONELY_UID), 0);
    (void)snprintf(broker.log, sizeof(broker.log), "%s/log", broker.folder);
    ck_assert_int_eq(setgroups(0, NULL), 0);
    ck_assert_int_eq(setresgid(LONELY_UID, LONELY_UID, LONELY_UID), 0);
    ck_assert_int_eq(setresuid(LONELY_UID, LONELY_UID, LONELY_UID), 0);
    if (can_read(getenv("FIPCD")))
        return true;
    (void)printf("SKIP: other users cannot run fipcd from here\n");
    return false;
}

/* The real thing: as many fds of the broker's user are in flight as the broker may have open. */
static void check_real_flight(void)
{
    struct raw_client sender = RAW_CLIENT_EMPTY;
    int pair[2];

    fail_limit_fds(&broker, LIMIT, LIMIT);
    test_broker_start(&broker, NULL);
    test_witness_open(&witness, &broker);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    sender.lane_fd = pair[0];
    for (int i = 0; i < LIMIT + 2; i++)
        ck_assert_int_eq(put_in_flight(&sender), 0);
    knock_all();
    check_resting();
    ck_assert_int_eq(count_answers(), 0);

    (void)close(pair[1]);
    for (int i = 0; i < N_DUE; i++)
        check_welcomed(&clients[i]);
    check_said_once("too many fds are in flight");
    raw_close(&sender);
}

TEST(real_fds_in_flight_make_welcomes_wait_4_3)
{
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (become_lonely()) {
            check_real_flight();
            for (int i = 0; i < CLIENTS; i++)
                raw_close(&clients[i]);
            test_witness_close(&witness);
            test_broker_stop(&broker);
        }
        (void)fflush(stdout);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

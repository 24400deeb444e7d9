/* SPDX-License-Identifier: MIT */
/* The broker as a service of systemd, with us in systemd's place: a socket that it is given, and
 * what it says of itself. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_CONFIG 78
/* A manager that does not read makes the broker's end take a second longer, not more. */
#define END_NS_MAX (5 * FIPC_NS_PER_S)

static struct test_broker broker;
static struct test_witness witness;
static int manager_fd; /* what $NOTIFY_SOCKET leads to */

static struct sockaddr_un address_of(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", broker.folder, name);
    return address;
}

static int bind_socket(int type, const char *name)
{
    struct sockaddr_un address = address_of(name);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void setup(void)
{
    test_broker_init(&broker);
    witness.client = RAW_CLIENT_EMPTY;
    manager_fd = bind_socket(SOCK_DGRAM, "notify");
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", address_of("notify").sun_path, 1), 0);
}

static void teardown(void)
{
    test_witness_close(&witness);
    test_broker_deinit(&broker);
    (void)close(manager_fd);
    if (broker.given_fd > 0)
        (void)close(broker.given_fd);
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
}

static void start(void) { test_broker_start_with(&broker, "{}"); }

/* Waits for the next thing that the broker says, watchdog aside. */
static const char *next_told(void)
{
    static char told[1024];

    do {
        struct pollfd ready = {.fd = manager_fd, .events = POLLIN};
        ssize_t size;

        ck_assert_int_eq(poll(&ready, 1, RAW_DEADLINE_MS), 1);
        size = recv(manager_fd, told, sizeof(told) - 1, 0);
        ck_assert_int_gt(size, 0);
        told[size] = '\0';
    } while (strcmp(told, "WATCHDOG=1") == 0);
    return told;
}

static void check_next_told_begins(const char *beginning)
{
    const char *told = next_told();

    ck_assert_msg(strncmp(told, beginning, strlen(beginning)) == 0, "'%s', not '%s'", told,
                  beginning);
}

/* Slots come and go, and so it may say so more than once. */
static void wait_until_told(const char *text)
{
    while (strcmp(next_told(), text) != 0)
        ;
}

/* ---- what it says ---- */

GROUP(systemd, .timeout = 60, .fixtures = {{setup, teardown}});

TEST(says_when_it_is_ready)
{
    start();
    ck_assert_str_eq(next_told(), "READY=1\nSTATUS=0 of 4096 slots in use");
}

TEST(says_how_many_slots_are_in_use)
{
    start();
    test_witness_open(&witness, &broker);
    wait_until_told("STATUS=1 of 4096 slots in use");
    test_witness_close(&witness);
    wait_until_told("STATUS=0 of 4096 slots in use");
}

TEST(says_that_it_reloads_and_is_ready_again)
{
    start();
    check_next_told_begins("READY=1\n");
    test_broker_write_config(&broker, "{\"slots\": {\"count\": 7}}");
    ck_assert_int_eq(kill(broker.pid, SIGHUP), 0);
    check_next_told_begins("RELOADING=1\nMONOTONIC_USEC=");
    check_next_told_begins("READY=1\nSTATUS=0 of 7 slots");

    test_broker_write_config(&broker, "{\"slots\": {\"count\": 0}}");
    ck_assert_int_eq(kill(broker.pid, SIGHUP), 0);
    check_next_told_begins("RELOADING=1\nMONOTONIC_USEC=");
    check_next_told_begins("READY=1\nSTATUS=0 of 7 slots");
}

TEST(says_that_it_stops_and_how_long_that_may_take)
{
    start();
    check_next_told_begins("READY=1\n");
    test_broker_stop(&broker);
    ck_assert_str_eq(next_told(), "STOPPING=1\nSTATUS=stopping, 0 calls are open\n"
                                  "EXTEND_TIMEOUT_USEC=10000000");
}

TEST(feeds_the_watchdog_while_it_runs)
{
    char told[64] = "";

    ck_assert_int_eq(setenv("WATCHDOG_USEC", "100000", 1), 0);
    start();
    for (int i = 0; i < 10; i += strcmp(told, "WATCHDOG=1") == 0) {
        ssize_t size = recv(manager_fd, told, sizeof(told) - 1, 0);

        ck_assert_int_gt(size, 0);
        told[size] = '\0';
    }
}

static void fill_manager(void)
{
    struct sockaddr_un address = address_of("notify");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    while (sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)) == 1)
        ;
    ck_assert_int_eq(errno, EAGAIN);
    (void)close(fd);
}

TEST(manager_that_does_not_read_keeps_nobody_waiting)
{
    uint64_t began_ns;

    ck_assert_int_eq(setenv("WATCHDOG_USEC", "2000", 1), 0); /* its queue stays full */
    fill_manager();
    start();
    test_witness_open(&witness, &broker);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(kill(broker.pid, SIGHUP), 0);
        test_witness_check(&witness);
        test_pause();
    }
    began_ns = fipc_now_ns();
    test_broker_stop(&broker);
    ck_assert_uint_lt(fipc_now_ns() - began_ns, END_NS_MAX);
}

/* ---- the socket that it is given ---- */

static void give_listening_socket(void)
{
    broker.given_fd = bind_socket(SOCK_SEQPACKET, "control.sock");
    ck_assert_int_eq(listen(broker.given_fd, 77), 0);
}

TEST(given_socket_is_served_and_stays)
{
    struct raw_client early = RAW_CLIENT_EMPTY;

    give_listening_socket();
    start();
    check_next_told_begins("READY=1\nSTATUS=0 of 4096 slots in use");
    test_witness_open(&witness, &broker);
    test_witness_check(&witness);
    test_witness_close(&witness);
    test_broker_stop(&broker);

    /* a client that comes while there is no broker waits for the next one */
    ck_assert_int_eq(raw_connect(&early, broker.socket), 0);
    ck_assert_int_eq(raw_send_hello(&early, &(struct fipc_hello){0}), 0);
    start();
    ck_assert_int_eq(raw_receive_welcome(&early), 0);
    raw_close(&early);
}

TEST(reload_while_it_stops_harms_no_open_call)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t delay;
    uint64_t id;

    give_listening_socket();
    start();
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.delay", &delay), 0);
    ck_assert_int_eq(raw_send_request(&client, delay, "1000", 4, &id), 0);
    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_number(&witness, "handlers.live") == 2);
    ck_assert_int_eq(kill(broker.pid, SIGTERM), 0);
    TEST_WAIT_FOR(test_broker_log_lines(&broker, "stopping") == 1);
    ck_assert_int_eq(kill(broker.pid, SIGHUP), 0);
    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_int_eq(client.header.status, 0);
    ck_assert_int_eq(test_broker_wait(&broker), 0);
    raw_close(&client);
}

TEST(given_socket_beats_option_and_config)
{
    char other[128];
    const char *const arguments[] = {"--config", broker.config, "--socket", other, NULL};

    (void)snprintf(other, sizeof(other), "%s/other.sock", broker.folder);
    test_broker_write_config(&broker, "{\"control\": {\"mode\": \"0612\", \"backlog\": 5}}");
    give_listening_socket();
    test_broker_spawn(&broker, arguments);
    test_broker_wait_ready(&broker);
    ck_assert_int_eq(access(other, F_OK), -1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "control.socket is not in force"), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "control.mode is not in force"), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "control.backlog is not in force"), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "control.group is not in force"), 0);
}

LOOP_TEST(given_what_is_no_such_socket_it_does_not_start, 2)
{
    const char *const arguments[] = {"--socket", broker.socket, NULL};
    int status;

    broker.given_fd = bind_socket(_i == 0 ? SOCK_DGRAM : SOCK_SEQPACKET, "control.sock");
    test_broker_spawn(&broker, arguments);
    status = test_broker_wait(&broker);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), EXIT_FAILURE);
    ck_assert_int_eq(test_broker_log_lines(&broker, "cannot use what systemd handed over"), 1);
    ck_assert_int_eq(access(broker.socket, F_OK), 0);
}

/* ---- users that look alike ---- */

TEST(broker_of_the_host_does_not_start_where_users_look_alike)
{
    const char *const arguments[] = {"--config", broker.config, NULL};
    int status;

    if (unshare(CLONE_NEWUSER) < 0) {
        (void)printf("SKIP: no user namespace can be made here: %s\n", strerror(errno));
        return;
    }
    test_broker_write_config(&broker, "{}");
    test_broker_spawn(&broker, arguments);
    status = test_broker_wait(&broker);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), EXIT_FAILURE);
    ck_assert_int_eq(test_broker_log_lines(&broker, "cannot be told apart; run without"), 1);

    test_broker_start(&broker, arguments); /* with --socket: of one's own */
    ck_assert_int_eq(test_broker_log_lines(&broker, "warning: in this user namespace"), 1);
}

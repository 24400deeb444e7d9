/* SPDX-License-Identifier: MIT */
/*
 * Fds that clients send to the broker, which takes none. A peer's fd can block the process that
 * closes it: the kernel refuses them where it can; elsewhere they stay unread, the closer thread
 * closes the lanes in which they lie, and the loop never waits.
 */
#include "tests/integration/fail_broker.h"
#include "tests/integration/stuck_file.h"
#include "tests/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* asm-generic/socket.h of Linux 6.16 */
#endif

#define CLIENTS_MAX 40
/* How long close(2) of such a socket takes. */
#define LINGER_S 1
/* How long the loop may be held during a call of the witness; DESIGN has nothing that holds it. */
#define HELD_NS_MAX (100 * FIPC_NS_PER_MS)

static struct test_broker broker;
static struct fail_calls *calls;
static struct test_witness witness;
static struct raw_client clients[CLIENTS_MAX];
static int listener_fd, slow_fd, reader_fd;

static void setup(void)
{
    test_broker_init(&broker);
    calls = fail_calls_open(&broker);
    witness.client = RAW_CLIENT_EMPTY;
    listener_fd = slow_fd = reader_fd = -1;
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i] = RAW_CLIENT_EMPTY;
}

static void close_slow(void)
{
    (void)close(reader_fd);
    (void)close(slow_fd);
    (void)close(listener_fd);
    listener_fd = slow_fd = reader_fd = -1;
}

static void teardown(void)
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        raw_close(&clients[i]);
    close_slow();
    test_witness_close(&witness);
    calls = fail_calls_close(calls);
    test_broker_deinit(&broker);
}

static void start(const char *config)
{
    fail_broker_start_with(&broker, config);
    test_witness_open(&witness, &broker);
}

/* As on Linux before 6.16. */
static void start_on_old_kernel(const char *config)
{
    fail_always(calls, FAIL_PASSRIGHTS);
    start(config);
    ck_assert_uint_eq(calls->kinds[FAIL_PASSRIGHTS].failed, 1);
}

/* ---- what is sent ---- */

static void encode_hello(struct fipc_control hello, unsigned char *packet, size_t packet_size,
                         size_t *ret_size)
{
    hello.type = FIPC_CONTROL_HELLO;
    ck_assert_int_eq(fipc_control_encode(&hello, packet, packet_size, ret_size), 0);
}

/* Sends HELLO with fds. Return: as raw_send_bytes() */
static int send_hello_with(struct raw_client *client, const int *fds, size_t n_fds)
{
    const struct fipc_control hello = {.hello = {.wait_ms = UINT32_MAX}};
    unsigned char packet[128];
    size_t size;

    encode_hello(hello, packet, sizeof(packet), &size);
    return raw_send_bytes(client, packet, size, fds, n_fds);
}

static int send_byte_with(struct raw_client *client, int fd)
{
    return raw_send_bytes(client, "x", 1, &fd, 1);
}

/* A TCP connection to somebody who does not read, full, whose last close(2) waits for LINGER_S. */
static void make_slow(void)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = LINGER_S};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    static const char data[65536];

    listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener_fd, 0);
    ck_assert_int_eq(bind(listener_fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener_fd, 1), 0);
    ck_assert_int_eq(getsockname(listener_fd, (struct sockaddr *)&address, &size), 0);
    slow_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(slow_fd, 0);
    ck_assert_int_eq(connect(slow_fd, (struct sockaddr *)&address, size), 0);
    reader_fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(reader_fd, 0);
    ck_assert_int_eq(setsockopt(slow_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    while (send(slow_fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        ;
    ck_assert_int_eq(errno, EAGAIN);
}

/* From now on the broker alone has it, or the lane. */
static void forget_slow(void)
{
    (void)close(slow_fd);
    slow_fd = -1;
}

/* In which a thread ran, or was ready and waited for a CPU. @path: its schedstat */
static int64_t busy_ns(const char *path)
{
    FILE *file = fopen(path, "re");
    int64_t ran_ns, waited_ns;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%" SCNd64 " %" SCNd64, &ran_ns, &waited_ns), 2);
    (void)fclose(file);
    return ran_ns + waited_ns;
}

/* The time at which the broker's loop and we have both slept, however busy the machine is. */
static int64_t sleeping_ns(void)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)broker.pid);
    return (int64_t)fipc_now_ns() - busy_ns(path) - busy_ns("/proc/thread-self/schedstat");
}

/* It is served at once for as long as the slow one can take to be closed: a loop that waits for
 * that sleeps, while the witness sleeps until it is answered. */
static void check_loop_never_waits(void)
{
    uint64_t end_ns = fipc_now_ns() + (LINGER_S * 1000 + 200) * FIPC_NS_PER_MS;

    while (fipc_now_ns() < end_ns) {
        int64_t before_ns = sleeping_ns();

        test_witness_check(&witness);
        ck_assert_int_lt(sleeping_ns() - before_ns, HELD_NS_MAX);
        test_pause();
    }
}

static void connect_only(struct raw_client *client)
{
    ck_assert_int_eq(raw_connect(client, broker.socket), 0);
}

static void open_session(struct raw_client *client)
{
    ck_assert_int_eq(raw_open_session(client, broker.socket, 0, 0), 0);
}

/* ---- the states of a client ---- */

/* Each makes clients[0] and leaves it where it could send fds. Two slots are enough for all. */
#define STRANGER 60010 /* a user that is nobody else */

static const char two_slots[] = "{\"slots\": {\"count\": 2, \"per_uid\": 2}}";

static void before_accept(void)
{
    test_broker_freeze(&broker);
    connect_only(&clients[0]);
}

static void before_hello(void)
{
    connect_only(&clients[0]);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.greeting") == 1);
}

static void in_a_session(void) { open_session(&clients[0]); }

static void in_a_oneshot(void)
{
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello = {.flags = FIPC_HELLO_ONESHOT, .name_bytes = 10, .data_bytes = 3},
        .name = "fipc.delay",
        .data = "300",
    };

    connect_only(&clients[0]);
    ck_assert_int_eq(raw_send_packet(&clients[0], &hello), 0);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.oneshot") == 1);
}

static void in_the_waiting_room(void)
{
    open_session(&clients[1]);
    connect_only(&clients[0]);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.waiting") == 1);
}

static void (*const states[])(void) = {
    before_accept, before_hello, in_a_session, in_a_oneshot, in_the_waiting_room,
};

#define N_STATES COUNT_OF(states)

/* ---- the kernel refuses ---- */

static bool kernel_refuses(void)
{
    const int no = 0;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    bool refuses = setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) == 0;

    (void)close(fd);
    return refuses;
}

GROUP(refused, .timeout = 60, .fixtures = {{setup, teardown}});

LOOP_TEST(kernel_refuses_fds_in_every_state_4_3, N_STATES)
{
    if (!kernel_refuses()) {
        (void)printf("SKIP: this kernel has no SO_PASSRIGHTS\n");
        start(two_slots);
        return;
    }
    start(two_slots);
    states[_i]();
    ck_assert_int_eq(send_byte_with(&clients[0], STDERR_FILENO), -EPERM);
    if (states[_i] == before_accept)
        test_broker_thaw(&broker);
    test_witness_check(&witness);
    ck_assert_uint_eq(calls->fds_came, 0);
}

/* ---- the closer thread ---- */

GROUP(closer, .timeout = 60, .fixtures = {{setup, teardown}});

/* Turns below N_STATES: the lane hangs up with the fd unread. Others: as long as it is open. */
LOOP_TEST(slow_fd_of_a_client_never_holds_the_loop_4_3, 2 * N_STATES)
{
    bool hangs_up = _i < N_STATES;
    void (*state)(void) = states[_i % N_STATES];
    int fds;

    start_on_old_kernel(two_slots);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.taken") == 1);
    make_slow();
    state();
    ck_assert_int_eq(send_byte_with(&clients[0], slow_fd), 0);
    forget_slow();
    if (hangs_up)
        raw_close(&clients[0]);
    if (state == before_accept)
        test_broker_thaw(&broker);
    check_loop_never_waits();

    raw_close(&clients[0]);
    raw_close(&clients[1]);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.taken") == 1);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.waiting") == 0);
    fds = test_broker_count_fds(&broker);
    connect_only(&clients[2]);
    ck_assert_int_eq(send_hello_with(&clients[2], NULL, 0), 0);
    ck_assert_int_eq(raw_receive_welcome(&clients[2]), 0);
    raw_close(&clients[2]);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) <= fds);
    ck_assert_uint_eq(calls->fds_came, 0);
}

TEST(hello_with_a_slow_fd_is_refused_at_once_4_3)
{
    start_on_old_kernel("{}");
    make_slow();
    connect_only(&clients[0]);
    ck_assert_int_eq(send_hello_with(&clients[0], &slow_fd, 1), 0);
    forget_slow();
    check_loop_never_waits();

    ck_assert_int_eq(raw_receive_welcome(&clients[0]), -ECONNREFUSED);
    ck_assert_uint_eq(clients[0].packet.refused.reason, FIPC_REASON_FDS);
    ck_assert_uint_eq(calls->fds_came, 0);
}

/* A client that is refused while it waits may have sent an fd with its HELLO. */
TEST(slow_fd_of_who_is_refused_a_slot_never_holds_the_loop_4_3)
{
    start_on_old_kernel("{\"slots\": {\"count\": 1}, \"timeouts\": {\"doorbell_ms\": 60000},"
                        " \"control\": {\"backlog\": 1}}");
    make_slow();
    test_broker_freeze(&broker);
    connect_only(&clients[0]);
    connect_only(&clients[1]);
    ck_assert_int_eq(send_hello_with(&clients[1], &slow_fd, 1), 0);
    forget_slow();
    test_broker_thaw(&broker);
    check_loop_never_waits();
    ck_assert_int_eq(raw_receive_welcome(&clients[1]), -ECONNREFUSED);
}

/* A client that connects to systemd's socket before the broker runs can send fds on any kernel. */
TEST(slow_fd_over_a_lane_from_before_the_start_never_holds_the_loop_4_3)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", broker.socket);
    broker.given_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(broker.given_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(broker.given_fd, 8), 0);
    connect_only(&clients[0]);
    start("{}");
    make_slow();
    ck_assert_int_eq(send_hello_with(&clients[0], &slow_fd, 1), 0);
    forget_slow();
    check_loop_never_waits();
    ck_assert_int_eq(raw_receive_welcome(&clients[0]), -ECONNREFUSED);
    ck_assert_uint_eq(calls->fds_came, 0);
    (void)close(broker.given_fd);
}

/* The broker ends although a close(2) does not. */
TEST(slow_fd_does_not_keep_the_broker_from_ending_4_3)
{
    start_on_old_kernel("{}");
    make_slow();
    connect_only(&clients[0]);
    ck_assert_int_eq(send_hello_with(&clients[0], &slow_fd, 1), 0);
    forget_slow();
    ck_assert_int_eq(raw_receive_welcome(&clients[0]), -ECONNREFUSED);
    test_broker_stop(&broker);
}

/* No signal kills a process that closes such a file: the broker must not even take it. */
TEST(stuck_file_of_a_client_holds_neither_the_loop_nor_the_end_4_3)
{
    struct stuck_file file;

    start_on_old_kernel("{}");
    if (!stuck_file_open(&file)) {
        (void)printf("SKIP: only root with /dev/fuse can make a file that is stuck\n");
        return;
    }
    connect_only(&clients[0]);
    ck_assert_int_eq(send_hello_with(&clients[0], &file.fd, 1), 0);
    ck_assert_int_eq(raw_receive_welcome(&clients[0]), -ECONNREFUSED);
    in_a_session();
    ck_assert_int_eq(send_byte_with(&clients[0], file.fd), 0);
    check_loop_never_waits();
    test_broker_kill(&broker);
    ck_assert_uint_eq(calls->fds_came, 0);
    stuck_file_close(&file);
}

/* They are its own, as long as they are not closed: so it cannot have more than its share. */
TEST(lanes_that_are_slow_to_close_count_as_their_uids_4_3)
{
    start_on_old_kernel("{\"slots\": {\"count\": 8, \"per_uid\": 1}}");
    if (geteuid() != 0) {
        (void)printf("SKIP: only root can be two users\n");
        return;
    }
    test_broker_open_to_all(&broker);
    raw_connect_uid = STRANGER;
    make_slow();
    connect_only(&clients[0]);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.greeting") == 1);
    test_broker_freeze(&broker);
    ck_assert_int_eq(send_hello_with(&clients[0], &slow_fd, 1), 0);
    forget_slow();
    test_broker_thaw(&broker);
    ck_assert_int_eq(raw_receive_welcome(&clients[0]), -ECONNREFUSED);
    connect_only(&clients[1]);
    ck_assert_int_eq(send_hello_with(&clients[1], NULL, 0), 0);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.waiting") == 1);
    ck_assert_int_eq(raw_receive_welcome(&clients[1]), 0);
}

/* ---- many fds ---- */

static const size_t fd_counts[] = {1, 2, 3, 64, 252, FIPC_LANE_FDS_MAX};

static void fill(int fds[FIPC_LANE_FDS_MAX])
{
    for (int i = 0; i < FIPC_LANE_FDS_MAX; i++)
        fds[i] = STDERR_FILENO;
}

GROUP(many, .timeout = 60, .fixtures = {{setup, teardown}});

LOOP_TEST(fds_of_a_packet_are_never_taken_5, COUNT_OF(fd_counts))
{
    int fds[FIPC_LANE_FDS_MAX], before;

    fill(fds);
    start_on_old_kernel("{}");
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.taken") == 1);
    open_session(&clients[1]); /* those closed before are gone by now, or soon */
    test_witness_check(&witness);
    before = test_broker_count_fds(&broker);
    for (int turn = 0; turn < 10; turn++) {
        connect_only(&clients[0]);
        ck_assert_int_eq(send_hello_with(&clients[0], fds, fd_counts[_i]), 0);
        ck_assert_int_eq(raw_receive_welcome(&clients[0]), -ECONNREFUSED);
        ck_assert_uint_eq(clients[0].packet.refused.reason, FIPC_REASON_FDS);
        raw_close(&clients[0]);
    }
    TEST_WAIT_FOR(test_broker_count_fds(&broker) <= before);
    ck_assert_uint_eq(calls->fds_came, 0);
    test_witness_check(&witness);
}

#define LIMIT 100

static bool has_paused(void) { return test_broker_log_lines(&broker, "accepting pauses") > 0; }

/* As many clients as get in. Even turns: as sessions. Odd ones: all are accepted before the first
 * one sends HELLO and gets its bell. Return: how many sessions there are */
static int crowd(bool at_once)
{
    const struct fipc_hello hello = {.wait_ms = UINT32_MAX};
    int n_open = 0;

    for (int i = 1; i < CLIENTS_MAX; i++) {
        connect_only(&clients[i]);
        if (at_once)
            ck_assert_int_eq(raw_send_hello(&clients[i], &hello), 0);
    }
    TEST_WAIT_FOR(has_paused());
    for (int i = 1; !at_once && i < CLIENTS_MAX; i++)
        ck_assert_int_eq(raw_send_hello(&clients[i], &hello), 0);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.greeting") <= 1); /* clients[0] */
    for (int i = 1; i < CLIENTS_MAX; i++) {
        struct pollfd lane = {.fd = clients[i].lane_fd, .events = POLLIN};

        if (poll(&lane, 1, 0) == 0)
            continue;
        ck_assert_int_eq(raw_receive_welcome(&clients[i]), 0);
        n_open++;
    }
    return n_open;
}

LOOP_TEST(full_packet_is_refused_when_fds_are_short_4_3, 2)
{
    int fds[FIPC_LANE_FDS_MAX];

    fill(fds);
    fail_limit_fds(&broker, LIMIT, LIMIT);
    start_on_old_kernel("{}");
    connect_only(&clients[0]);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.greeting") == 1);
    ck_assert_int_ge(crowd(_i % 2 == 0), 10);

    ck_assert_int_eq(send_hello_with(&clients[0], fds, FIPC_LANE_FDS_MAX), 0);
    ck_assert_int_eq(raw_receive_welcome(&clients[0]), -ECONNREFUSED);
    ck_assert_uint_eq(clients[0].packet.refused.reason, FIPC_REASON_FDS);
    ck_assert_uint_eq(calls->fds_came, 0);
    test_witness_check(&witness);
    ck_assert_int_eq(test_broker_log_lines(&broker, "accepting pauses"), 1);
}

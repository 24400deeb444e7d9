/* SPDX-License-Identifier: MIT */
/* A worker asks for the process that called. */
#include "daemon/traffic/pidfd.h"

#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/traffic/reply.h"
#include "tests/unit/fixture.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>

#define QUESTION_ID 77

static struct test_client client, worker;
static struct service *service;
static int send_error, hold_error; /* of the next calls; 0: they are made */

int __real_fipc_lane_send(int lane_fd, const struct fipc_control *control, const int *fds,
                          size_t n_fds);
int __wrap_fipc_lane_send(int lane_fd, const struct fipc_control *control, const int *fds,
                          size_t n_fds);
int __real_fipc_peer_hold(int lane_fd);
int __wrap_fipc_peer_hold(int lane_fd);

int __wrap_fipc_lane_send(int lane_fd, const struct fipc_control *control, const int *fds,
                          size_t n_fds)
{
    return send_error < 0 ? send_error : __real_fipc_lane_send(lane_fd, control, fds, n_fds);
}

int __wrap_fipc_peer_hold(int lane_fd)
{
    return hold_error < 0 ? hold_error : __real_fipc_peer_hold(lane_fd);
}

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
    client_open(&worker, TEST_UID);
    service = client_serve(&worker, "service", 2);
}

static void tear_down(void)
{
    client_close(&worker);
    client_close(&client);
    core_tear_down();
}

static void ask(uint32_t number)
{
    const struct fipc_header question = {
        .kind = FIPC_KIND_CONTROL, .target = number, .id = QUESTION_ID};

    pidfd_answer(&core, worker.slot, &question);
}

static void expect_announce(int status)
{
    struct fipc_control announce;

    client_expect_control(&worker, FIPC_CONTROL_ANNOUNCE, 0);
    ck_assert_uint_eq(worker.header.id, QUESTION_ID);
    ck_assert_int_eq(worker.header.status, status);
    ck_assert_int_eq(fipc_control_decode(worker.payload, worker.size, &announce), 0);
    ck_assert_uint_eq(announce.announce.id, QUESTION_ID);
    ck_assert_uint_eq(announce.announce.n_fds, status == 0 ? 1 : 0);
    ck_assert(!client_take(&worker));
}

static bool is_packet_there(void) { return !fipc_lane_is_read(worker.slot->lane_fd); }

/* Takes the packet that was announced. Return: its pidfd */
static int take_pidfd(void)
{
    unsigned char packet[256];
    struct fipc_control control;
    struct fipc_lane_fds fds;
    size_t size;

    ck_assert_int_eq(fipc_lane_receive(worker.lane_fd, packet, sizeof(packet), &size, &fds), 0);
    ck_assert_int_eq(fipc_control_decode(packet, size, &control), 0);
    ck_assert_int_eq(control.type, FIPC_CONTROL_FDS);
    ck_assert_uint_eq(control.announce.id, QUESTION_ID);
    ck_assert_uint_eq(control.announce.n_fds, 1);
    ck_assert_uint_eq(fds.count, 1);
    return fds.fds[0];
}

/* Return: the process that a pidfd is of */
static int pid_of(int pidfd)
{
    char path[64], line[128];
    int pid = -1;
    FILE *info;

    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    info = fopen(path, "re");
    ck_assert_ptr_nonnull(info);
    while (fgets(line, sizeof(line), info) != NULL)
        if (strncmp(line, "Pid:", 4) == 0)
            pid = (int)strtol(line + 4, NULL, 10);
    (void)fclose(info);
    return pid;
}

GROUP(pidfd, .fixtures = {HOLDINGS_KEPT, {set_up, tear_down}});

TEST(worker_gets_the_pidfd_of_its_caller)
{
    int fd;

    (void)client_call(&client, service, 0, "work");
    ask(client_expect_request(&worker, "work"));
    expect_announce(0);
    fd = take_pidfd();
    ck_assert_int_eq(pid_of(fd), getpid()); /* which made both ends of the lane */
    (void)close(fd);
}

TEST(number_that_it_was_not_given_is_of_nobody)
{
    struct test_client other;
    uint32_t number;

    client_open(&other, TEST_UID);
    (void)client_call(&client, client_serve(&other, "other", 1), 0, "work");
    number = client_expect_request(&other, "work");
    ask(number); /* another worker's */
    expect_announce(-ESRCH);
    ask(number + 1);
    expect_announce(-ESRCH);
    ask(UINT32_MAX);
    expect_announce(-ESRCH);
    ck_assert(!is_packet_there());
    client_close(&other);
}

TEST(caller_that_waits_no_more_is_nobody)
{
    struct handler *handler = client_call(&client, service, 0, "work");
    uint32_t number = client_expect_request(&worker, "work");

    reply_drop(&core, handler);
    ck_assert(client_take(&worker)); /* CANCEL */
    ask(number);
    expect_announce(-ESRCH);
    ck_assert(!is_packet_there());
}

TEST(one_packet_at_most_is_on_its_way)
{
    uint32_t number;

    (void)client_call(&client, service, 0, "work");
    number = client_expect_request(&worker, "work");
    ask(number);
    expect_announce(0);
    ask(number);
    expect_announce(-EAGAIN);
    (void)close(take_pidfd());
    ck_assert(!is_packet_there());
    ask(number);
    expect_announce(0);
    (void)close(take_pidfd());
}

TEST(worker_that_hung_up_gets_none)
{
    (void)client_call(&client, service, 0, "work");
    worker.lane_fd = fd_close(worker.lane_fd);
    ask(client_expect_request(&worker, "work"));
    expect_announce(-EPIPE);
}

static const struct {
    int send_error, hold_error, status;
} errors[] = {
    {-ETOOMANYREFS, 0, -EAGAIN}, /* too many fds are in flight: it may try again */
    {-EAGAIN, 0, -EAGAIN},         {-ENOMEM, 0, -ENOMEM},
    {0, -EOPNOTSUPP, -EOPNOTSUPP}, /* the kernel has no pidfd of a peer */
    {0, -ESRCH, -ESRCH},
};

LOOP_TEST(worker_is_given_the_error_and_no_packet, COUNT_OF(errors))
{
    uint32_t number;

    (void)client_call(&client, service, 0, "work");
    number = client_expect_request(&worker, "work");
    send_error = errors[_i].send_error;
    hold_error = errors[_i].hold_error;
    ask(number);
    expect_announce(errors[_i].status);
    ck_assert(!is_packet_there());
}

/* SPDX-License-Identifier: MIT */
/* The process at the other end: this one, a child, one whose user and groups changed since. */
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>

#define STRANGER 12345
static const gid_t strange_groups[] = {77, 4711, 99999};

static int lane[2] = {-1, -1};

static void open_lane(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
}

static void close_lane(void)
{
    lane[0] = fd_close(lane[0]);
    lane[1] = fd_close(lane[1]);
}

/* Makes the lane anew, both ends those of a user that this process was for a moment. */
static void open_lane_as_stranger(size_t n_groups)
{
    gid_t own[64];
    int n_own = getgroups(64, own);

    close_lane();
    ck_assert_int_eq(setgroups(n_groups, strange_groups), 0);
    ck_assert_int_eq(setegid(STRANGER), 0);
    ck_assert_int_eq(seteuid(STRANGER), 0);
    open_lane();
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(setegid(0), 0);
    ck_assert_int_eq(setgroups((size_t)n_own, own), 0);
}

GROUP(peer, .fixtures = {HOLDINGS_KEPT, {open_lane, close_lane}});

TEST(peer_is_the_process_that_made_the_pair)
{
    struct fipc_identity identity;

    ck_assert_int_eq(fipc_peer_identity(lane[0], &identity), 0);
    ck_assert_uint_eq(identity.uid, geteuid());
    ck_assert_uint_eq(identity.gid, getegid());
    ck_assert_int_eq(identity.pid, getpid());
}

TEST(groups_are_those_of_this_process)
{
    gid_t own[65536];
    int n_own = getgroups(COUNT_OF(own), own);
    uint32_t *groups, n_groups;

    ck_assert_int_ge(n_own, 0);
    ck_assert_int_eq(fipc_peer_groups(lane[0], &groups, &n_groups), 0);
    ck_assert_uint_eq(n_groups, (uint32_t)n_own);
    for (uint32_t i = 0; i < n_groups; i++)
        ck_assert_uint_eq(groups[i], own[i]);
    free(groups);
}

/* In a child: connects, so to speak, and lives until it is killed. */
static void send_lane_and_wait(void)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
        fipc_lane_send_packet(lane[1], "x", 1, pair, 1) < 0)
        _exit(1);
    for (;;)
        (void)pause();
}

TEST(held_peer_is_seen_to_die)
{
    struct pollfd held = {.fd = lane[0], .events = POLLIN};
    struct fipc_lane_fds received;
    pid_t child = fork();
    char byte[1];
    size_t size;

    if (child == 0)
        send_lane_and_wait();
    ck_assert_int_eq(poll(&held, 1, -1), 1);
    ck_assert_int_eq(fipc_lane_receive(lane[0], byte, sizeof(byte), &size, &received), 0);
    held.fd = fipc_peer_hold(received.fds[0]);
    if (held.fd != -EOPNOTSUPP) { /* as before Linux 6.5 */
        ck_assert_int_ge(held.fd, 0);
        ck_assert_int_eq(fcntl(held.fd, F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(poll(&held, 1, 0), 0);
    }
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    if (held.fd >= 0)
        ck_assert_int_eq(poll(&held, 1, -1), 1);
    ck_assert_int_eq(wait_for_exit(child), -1);
    (void)fd_close(held.fd);
    fipc_lane_fds_close(&received);
}

LOOP_TEST(what_is_no_lane_has_no_peer, 2)
{
    int fd = _i == 0 ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
    int expected = _i == 0 ? -EBADF : -ENOTSOCK;
    struct fipc_identity identity = {.uid = 7}, untouched = identity;
    uint32_t *groups = NULL, n_groups = 7;

    ck_assert_int_eq(fipc_peer_identity(fd, &identity), expected);
    ck_assert_mem_eq(&identity, &untouched, sizeof(identity));
    ck_assert_int_eq(fipc_peer_groups(fd, &groups, &n_groups), expected);
    ck_assert_ptr_null(groups);
    ck_assert_uint_eq(n_groups, 7);
    ck_assert_int_eq(fipc_peer_hold(fd), expected);
    (void)fd_close(fd);
}

GROUP(stranger, .fixtures = {HOLDINGS_KEPT, {open_lane, close_lane}}, .needs_root = "be two users");

TEST(identity_is_that_of_the_moment_of_connecting)
{
    struct fipc_identity identity;

    open_lane_as_stranger(0);
    ck_assert_int_eq(fipc_peer_identity(lane[0], &identity), 0);
    ck_assert_uint_eq(identity.uid, STRANGER);
    ck_assert_uint_eq(identity.gid, STRANGER);
}

LOOP_TEST(groups_are_those_of_the_moment_of_connecting, COUNT_OF(strange_groups) + 1)
{
    uint32_t *groups, n_groups;

    open_lane_as_stranger((size_t)_i);
    ck_assert_int_eq(fipc_peer_groups(lane[0], &groups, &n_groups), 0);
    ck_assert_uint_eq(n_groups, (uint32_t)_i);
    ck_assert_int_eq(groups == NULL, _i == 0);
    for (size_t i = 0; i < COUNT_OF(strange_groups) && i < n_groups; i++)
        ck_assert_uint_eq(groups[i], strange_groups[i]);
    free(groups);
}

/* SPDX-License-Identifier: MIT */
/* Bells that ring already, and bells of a peer that is gone. */
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int lane[2];

static void open_lane(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
}

static void close_lane(void)
{
    lane[0] = fd_close(lane[0]);
    lane[1] = fd_close(lane[1]);
}

GROUP(bells, .fixtures = {HOLDINGS_KEPT, {open_lane, close_lane}});

TEST(eventfd_counts_the_bells)
{
    struct fipc_bell bell = {FIPC_BELL_EVENTFD, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    eventfd_t count;

    ck_assert_int_eq(fipc_bell_ring(&bell), 0);
    ck_assert_int_eq(fipc_bell_ring(&bell), 0);

    ck_assert_int_eq(eventfd_read(bell.fd, &count), 0);
    ck_assert_uint_eq(count, 2);
    (void)fd_close(bell.fd);
}

TEST(full_eventfd_rings_already)
{
    struct fipc_bell bell = {FIPC_BELL_EVENTFD, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

    ck_assert_int_eq(eventfd_write(bell.fd, UINT64_MAX - 1), 0);
    ck_assert_int_eq(fipc_bell_ring(&bell), 0);
    (void)fd_close(bell.fd);
}

TEST(lane_carries_a_byte_a_bell)
{
    struct fipc_bell bell = {FIPC_BELL_LANE, lane[0]};
    char bytes[8];

    ck_assert_int_eq(fipc_bell_ring(&bell), 0);
    ck_assert_int_eq(recv(lane[1], bytes, sizeof(bytes), MSG_DONTWAIT), 1);
    ck_assert_int_eq(recv(lane[1], bytes, sizeof(bytes), MSG_DONTWAIT), -1);
}

TEST(full_lane_rings_already)
{
    struct fipc_bell bell = {FIPC_BELL_LANE, lane[0]};

    while (send(lane[0], "", 1, MSG_DONTWAIT) == 1)
        continue;
    ck_assert_int_eq(errno, EAGAIN);

    ck_assert_int_eq(fipc_bell_ring(&bell), 0);
}

TEST(ringing_who_is_gone_says_so_and_raises_no_signal)
{
    struct fipc_bell bell = {FIPC_BELL_LANE, lane[0]};

    lane[1] = fd_close(lane[1]);
    ck_assert_int_eq(fipc_bell_ring(&bell), -EPIPE);
    ck_assert_int_eq(fipc_bell_ring(&bell), -EPIPE);
}

TEST(ringing_who_left_with_bells_unheard_says_so)
{
    struct fipc_bell bell = {FIPC_BELL_LANE, lane[0]};

    ck_assert_int_eq(fipc_bell_ring(&bell), 0);
    lane[1] = fd_close(lane[1]); /* ECONNRESET for us, once */
    ck_assert_int_eq(fipc_bell_ring(&bell), -EPIPE);
    ck_assert_int_eq(fipc_bell_ring(&bell), -EPIPE);
}

LOOP_TEST(bell_that_cannot_ring_says_why, 2)
{
    struct fipc_bell bell = {.kind = _i == 0 ? FIPC_BELL_EVENTFD : FIPC_BELL_LANE, .fd = -1};

    ck_assert_int_eq(fipc_bell_ring(&bell), -EBADF);
}

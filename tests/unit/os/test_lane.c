/* SPDX-License-Identifier: MIT */
/* Packets over a real socket pair: whole, with exactly the fds that were sent, and the news of the
 * peer's end. */
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int lane[2] = {-1, -1};
static int things[4]; /* to be sent */
static struct fipc_lane_fds received;
static unsigned char buffer[33000];
static size_t size;
static char byte[1];

static void open_lane(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
    for (int i = 0; i < COUNT_OF(things); i++)
        things[i] = memfd_create("thing", 0);
    received.count = 0;
    size = 7;
}

static void close_lane(void)
{
    fipc_lane_fds_close(&received);
    for (int i = 0; i < COUNT_OF(things); i++)
        things[i] = fd_close(things[i]);
    lane[0] = fd_close(lane[0]);
    lane[1] = fd_close(lane[1]);
}

#define PACKET_BYTES 24
static const char packet[PACKET_BYTES] = "no more, but no less";

static int send_packet(size_t n_fds)
{
    return fipc_lane_send_packet(lane[0], packet, sizeof(packet), things, n_fds);
}

static int receive(void)
{
    return fipc_lane_receive(lane[1], buffer, sizeof(buffer), &size, &received);
}

/* Bytes and fds as a stranger would send them. */
static void send_raw(char *bytes, size_t n_bytes, const int *fds, size_t n_fds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FIPC_LANE_FDS_MAX * sizeof(int))];
    } ancillary = {0};
    struct iovec part = {.iov_base = bytes, .iov_len = n_bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (n_fds > 0) {
        message.msg_control = ancillary.bytes;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        ancillary.header.cmsg_level = SOL_SOCKET;
        ancillary.header.cmsg_type = SCM_RIGHTS;
        ancillary.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(&ancillary.header), fds, n_fds * sizeof(int));
    }
    ck_assert_int_eq(sendmsg(lane[0], &message, MSG_DONTWAIT), (ssize_t)n_bytes);
}

/* The packet that send_packet() sent, with its fds. */
static void expect_packet(size_t n_fds)
{
    ck_assert_int_eq(receive(), 0);
    ck_assert_uint_eq(size, sizeof(packet));
    ck_assert_mem_eq(buffer, packet, sizeof(packet));
    ck_assert_uint_eq(received.count, n_fds);
}

static ino_t inode_of(int fd)
{
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    return status.st_ino;
}

/* ---- packets ---- */

GROUP(lane, .fixtures = {HOLDINGS_KEPT, {open_lane, close_lane}});

LOOP_TEST(packet_arrives_with_its_fds, COUNT_OF(things) + 1)
{
    ck_assert_int_eq(send_packet((size_t)_i), 0);

    expect_packet((size_t)_i);
    for (size_t i = 0; i < received.count; i++)
        ck_assert_uint_eq(inode_of(received.fds[i]), inode_of(things[i]));
}

TEST(received_fds_are_closed_on_exec)
{
    ck_assert_int_eq(send_packet(1), 0);
    expect_packet(1);
    ck_assert_int_eq(fcntl(received.fds[0], F_GETFD), FD_CLOEXEC);
}

TEST(fds_are_closed_together)
{
    int first;

    ck_assert_int_eq(send_packet(4), 0);
    expect_packet(4);
    first = received.fds[0];

    fipc_lane_fds_close(&received);
    ck_assert_uint_eq(received.count, 0);
    ck_assert_int_eq(fcntl(first, F_GETFD), -1);
    fipc_lane_fds_close(&received);
}

TEST(packets_keep_their_bounds_and_order)
{
    for (size_t n_fds = 0; n_fds <= 4; n_fds++)
        ck_assert_int_eq(send_packet(n_fds), 0);
    for (size_t n_fds = 0; n_fds <= 4; n_fds++) {
        expect_packet(n_fds);
        fipc_lane_fds_close(&received);
    }
}

TEST(empty_lane_gives_nothing)
{
    ck_assert_int_eq(receive(), -EAGAIN);
    ck_assert_uint_eq(size, 7);
    ck_assert_uint_eq(received.count, 0);
}

TEST(packet_larger_than_the_lane_takes_is_refused)
{
    static unsigned char large[32768];
    int little = 4096;

    ck_assert_int_eq(fipc_lane_send_packet(lane[0], large, sizeof(large), NULL, 0), 0);
    ck_assert_int_eq(setsockopt(lane[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
    ck_assert_int_eq(receive(), 0);
    ck_assert_int_eq(fipc_lane_send_packet(lane[0], large, sizeof(large), NULL, 0), -EMSGSIZE);
}

TEST(full_lane_is_not_waited_for)
{
    int r;

    while ((r = send_packet(0)) == 0)
        continue;
    ck_assert_int_eq(r, -EAGAIN);
}

TEST(bad_fd_is_reported)
{
    ck_assert_int_eq(fipc_lane_send_packet(-1, packet, 1, NULL, 0), -EBADF);
    ck_assert_int_eq(fipc_lane_send_packet(lane[0], packet, 1, (int[]){-1}, 1), -EBADF);
    ck_assert_int_eq(fipc_lane_receive(-1, buffer, sizeof(buffer), &size, &received), -EBADF);
    ck_assert_uint_eq(received.count, 0);
}

/* ---- what strangers send ---- */

TEST(packet_of_exactly_the_buffer_is_taken)
{
    ck_assert_int_eq(send_packet(0), 0);
    ck_assert_int_eq(fipc_lane_receive(lane[1], buffer, PACKET_BYTES, &size, &received), 0);
    ck_assert_uint_eq(size, PACKET_BYTES);
}

TEST(packet_larger_than_the_buffer_is_refused_and_its_fds_handed_over)
{
    ck_assert_int_eq(send_packet(2), 0);

    ck_assert_int_eq(fipc_lane_receive(lane[1], buffer, PACKET_BYTES - 1, &size, &received),
                     -EMSGSIZE);
    ck_assert_uint_eq(size, 7);
    ck_assert_uint_eq(received.count, 2);
    fipc_lane_fds_close(&received);
    ck_assert_int_eq(receive(), -EAGAIN);
}

TEST(as_many_fds_as_can_come_are_handed_over)
{
    int many[FIPC_LANE_FDS_MAX];

    for (int i = 0; i < COUNT_OF(many); i++)
        many[i] = things[0];
    send_raw(byte, 1, many, FIPC_LANE_FDS_MAX);

    ck_assert_int_eq(receive(), 0);
    ck_assert_uint_eq(received.count, FIPC_LANE_FDS_MAX);
}

TEST(fds_lost_for_lack_of_numbers_are_noticed)
{
    struct rlimit limit, saved;
    int lowest_free = dup(0);

    ck_assert_int_eq(send_packet(4), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &saved), 0);
    (void)fd_close(lowest_free);
    limit = (struct rlimit){.rlim_cur = (rlim_t)lowest_free + 2, .rlim_max = saved.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);

    ck_assert_int_eq(receive(), -EBADMSG);
    ck_assert_uint_eq(size, 7);
    ck_assert_uint_eq(received.count, 2); /* ours to close */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
}

TEST(empty_packet_counts_as_the_end_and_its_fds_are_handed_over)
{
    send_raw(byte, 0, things, 3);

    ck_assert_int_eq(receive(), -EPIPE);
    ck_assert_uint_eq(received.count, 3);
}

TEST(fds_of_an_earlier_packet_are_not_counted_again)
{
    ck_assert_int_eq(send_packet(2), 0);
    ck_assert_int_eq(send_packet(0), 0);
    expect_packet(2);
    fipc_lane_fds_close(&received);
    received.count = 99;
    expect_packet(0);
}

/* ---- the peer's end ---- */

TEST(hang_up_is_told_after_what_was_sent_before)
{
    ck_assert_int_eq(send_packet(1), 0);
    lane[0] = fd_close(lane[0]);

    expect_packet(1);
    fipc_lane_fds_close(&received);
    ck_assert_int_eq(receive(), -EPIPE);
    ck_assert_int_eq(receive(), -EPIPE);
}

/* As when a broker refuses a client before it reads its HELLO: the kernel says ECONNRESET first. */
TEST(peer_that_left_something_unread_is_heard_all_the_same)
{
    ck_assert_int_eq(send_packet(1), 0);
    ck_assert_int_eq(send(lane[1], "x", 1, 0), 1);
    lane[0] = fd_close(lane[0]);

    expect_packet(1);
    fipc_lane_fds_close(&received);
    ck_assert_int_eq(receive(), -EPIPE);
}

TEST(sending_to_who_is_gone_says_so_and_raises_no_signal)
{
    lane[1] = fd_close(lane[1]);
    ck_assert_int_eq(send_packet(1), -EPIPE);
    ck_assert_int_eq(send_packet(0), -EPIPE);
}

TEST(sending_to_who_left_something_unread_says_so)
{
    ck_assert_int_eq(send_packet(1), 0);
    lane[1] = fd_close(lane[1]);
    ck_assert_int_eq(send_packet(0), -EPIPE);
    ck_assert_int_eq(send_packet(0), -EPIPE);
}

TEST(lane_that_was_never_connected_counts_as_gone)
{
    lane[0] = fd_close(lane[0]);
    lane[0] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(send_packet(0), -EPIPE);
    ck_assert_int_eq(fipc_lane_receive(lane[0], buffer, sizeof(buffer), &size, &received), -EPIPE);
}

/* ---- lanes over which no fds may come ---- */

static int receive_plain(void)
{
    return fipc_lane_receive_plain(lane[1], buffer, sizeof(buffer), &size);
}

TEST(plain_packets_arrive_one_by_one)
{
    send_raw((char[]){"a"}, 1, NULL, 0);
    send_raw((char[]){"bc"}, 2, NULL, 0);
    ck_assert_int_eq(receive_plain(), 0);
    ck_assert_uint_eq(size, 1);
    ck_assert_int_eq(receive_plain(), 0);
    ck_assert_uint_eq(size, 2);
    ck_assert_mem_eq(buffer, "bc", 2);
    ck_assert_int_eq(receive_plain(), -EAGAIN);
    lane[0] = fd_close(lane[0]);
    ck_assert_int_eq(receive_plain(), -EPIPE);
}

RANGE_TEST(packet_with_fds_stays_unread_and_takes_no_number, 1, COUNT_OF(things) + 1)
{
    int lowest_free = dup(0), again;

    (void)fd_close(lowest_free);
    send_raw((char[]){"a"}, 1, NULL, 0);
    ck_assert_int_eq(send_packet((size_t)_i), 0);
    ck_assert_int_eq(receive_plain(), 0);
    ck_assert_int_eq(receive_plain(), -EPERM);
    ck_assert_int_eq(receive_plain(), -EPERM);
    again = dup(0);
    ck_assert_int_eq(again, lowest_free);
    (void)fd_close(again);
    expect_packet((size_t)_i);
}

TEST(plain_packet_larger_than_the_buffer_is_taken_out)
{
    ck_assert_int_eq(send_packet(0), 0);
    ck_assert_int_eq(fipc_lane_receive_plain(lane[1], buffer, PACKET_BYTES - 1, &size), -EMSGSIZE);
    ck_assert_uint_eq(size, 7);
    ck_assert_int_eq(receive_plain(), -EAGAIN);
}

LOOP_TEST(lane_with_nothing_unread_is_finished_at_once, 2)
{
    if (_i == 1)
        lane[0] = fd_close(lane[0]);
    ck_assert(fipc_lane_finish(lane[1]));
    if (_i == 0)
        ck_assert_int_eq(send_packet(1), -EPIPE); /* nothing can follow */
}

LOOP_TEST(lane_with_a_packet_unread_is_not_finished_at_once, 6)
{
    send_raw(byte, (size_t)_i % 2, things, (size_t)_i / 2);
    if (_i >= 4)
        lane[0] = fd_close(lane[0]);
    ck_assert(!fipc_lane_finish(lane[1]));
}

TEST(hang_up_is_seen_without_reading)
{
    ck_assert(!fipc_lane_is_hung_up(lane[1]));
    ck_assert_int_eq(send_packet(0), 0);
    ck_assert(!fipc_lane_is_hung_up(lane[1]));

    lane[0] = fd_close(lane[0]);
    ck_assert(fipc_lane_is_hung_up(lane[1]));
    expect_packet(0);
    ck_assert(fipc_lane_is_hung_up(lane[1]));
}

TEST(half_closed_lane_is_hung_up)
{
    ck_assert_int_eq(shutdown(lane[0], SHUT_WR), 0);
    ck_assert(fipc_lane_is_hung_up(lane[1]));
}

TEST(death_of_the_peers_process_hangs_up)
{
    pid_t child = fork();

    if (child == 0) {
        (void)fd_close(lane[1]);
        _exit(send_packet(1) == 0 ? 0 : 1);
    }
    lane[0] = fd_close(lane[0]);
    ck_assert_int_eq(wait_for_exit(child), 0);

    ck_assert(fipc_lane_is_hung_up(lane[1]));
    expect_packet(1);
}

TEST(what_is_no_lane_is_hung_up) { ck_assert(fipc_lane_is_hung_up(1000000)); }

/* ---- whether the peer has read all ---- */

TEST(lane_is_read_when_the_last_packet_was)
{
    ck_assert(fipc_lane_is_read(lane[0]));
    ck_assert_int_eq(send_packet(1), 0);
    ck_assert_int_eq(send_packet(0), 0);
    ck_assert(!fipc_lane_is_read(lane[0]));
    expect_packet(1);
    fipc_lane_fds_close(&received);
    ck_assert(!fipc_lane_is_read(lane[0]));
    expect_packet(0);
    ck_assert(fipc_lane_is_read(lane[0]));
}

TEST(lane_that_cannot_be_asked_is_not_read) { ck_assert(!fipc_lane_is_read(-1)); }

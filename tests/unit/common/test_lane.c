/* SPDX-License-Identifier: MIT */
/* Control packets over a real socket pair. */
#include "common/lane.h"

#include "tests/unit/fixture.h"

#include <errno.h>
#include <sys/socket.h>

static int lane[2] = {-1, -1};
static struct fipc_lane_fds received;
static unsigned char buffer[FIPC_PACKET_BYTES_MAX];
static size_t size;
static unsigned char data[FIPC_PACKET_BYTES_MAX];

static void open_lane(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
}

static void close_lane(void)
{
    fipc_lane_fds_close(&received);
    lane[0] = fd_close(lane[0]);
    lane[1] = fd_close(lane[1]);
}

static int receive(void)
{
    return fipc_lane_receive(lane[1], buffer, sizeof(buffer), &size, &received);
}

GROUP(lane, .fixtures = {HOLDINGS_KEPT, {open_lane, close_lane}});

LOOP_TEST(control_packet_arrives_with_its_fds, FIPC_LANE_SEND_FDS_MAX + 1)
{
    const struct fipc_control refused = {
        .type = FIPC_CONTROL_REFUSED,
        .refused = {FIPC_REASON_QUOTA, 500},
    };
    const int fds[FIPC_LANE_SEND_FDS_MAX] = {lane[0], lane[1], lane[0], lane[1]};
    struct fipc_control control;

    ck_assert_int_eq(fipc_lane_send(lane[0], &refused, fds, (size_t)_i), 0);

    ck_assert_int_eq(receive(), 0);
    ck_assert_uint_eq(received.count, (size_t)_i);
    ck_assert_int_eq(fipc_control_decode(buffer, size, &control), 0);
    ck_assert_int_eq(control.type, FIPC_CONTROL_REFUSED);
    ck_assert_uint_eq(control.refused.reason, FIPC_REASON_QUOTA);
    ck_assert_uint_eq(control.refused.retry_ms, 500);
}

/* The edges of a packet's data; one byte more than FIPC_PACKET_BYTES_MAX can never be sent. */
#define DATA_BYTES_MAX                                                                             \
    (FIPC_PACKET_BYTES_MAX - sizeof(struct fipc_control_header) - sizeof(struct fipc_oneshot_reply))

static const struct {
    size_t bytes;
    int r;
} replies[] = {
    {0, 0},
    {1, 0},
    {FIPC_ONESHOT_REPLY_BYTES_MAX, 0},
    {DATA_BYTES_MAX, 0},
    {DATA_BYTES_MAX + 1, -EMSGSIZE},
};

LOOP_TEST(packet_of_any_size_arrives_whole_or_not_at_all, COUNT_OF(replies))
{
    const struct fipc_control reply = {
        .type = FIPC_CONTROL_ONESHOT_REPLY,
        .oneshot_reply = {.data_bytes = (uint32_t)replies[_i].bytes},
        .data = data,
    };

    pattern_fill(data, replies[_i].bytes, 1);
    ck_assert_int_eq(fipc_lane_send(lane[0], &reply, NULL, 0), replies[_i].r);

    ck_assert_int_eq(receive(), replies[_i].r == 0 ? 0 : -EAGAIN);
    if (replies[_i].r < 0)
        return;
    ck_assert_uint_eq(size, FIPC_PACKET_BYTES_MAX - DATA_BYTES_MAX + replies[_i].bytes);
    ck_assert(pattern_matches(buffer + size - replies[_i].bytes, replies[_i].bytes, 1));
}

TEST(errors_of_the_lane_come_through)
{
    const struct fipc_control room = {.type = FIPC_CONTROL_ROOM};

    ck_assert_int_eq(fipc_lane_send(-1, &room, NULL, 0), -EBADF);
    lane[1] = fd_close(lane[1]);
    ck_assert_int_eq(fipc_lane_send(lane[0], &room, NULL, 0), -EPIPE);
}

/* SPDX-License-Identifier: MIT */
#include "common/os/os.h"

#include <assert.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define NS_PER_S UINT64_C(1000000000)

/* ECONNRESET means that the peer closed with packets unread: it is gone either way. */
static int lane_error(void) { return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno; }

int fipc_lane_send_parts(int lane_fd, const struct fipc_part *parts, size_t n_parts, const int *fds,
                         size_t n_fds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FIPC_LANE_SEND_FDS_MAX * sizeof(int))];
    } ancillary = {0};
    struct iovec vector[FIPC_LANE_PARTS_MAX];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = n_parts};

    assert(n_fds <= FIPC_LANE_SEND_FDS_MAX && n_parts <= FIPC_LANE_PARTS_MAX);
    for (size_t i = 0; i < n_parts; i++)
        vector[i] = (struct iovec){(void *)parts[i].bytes, parts[i].size};
    if (n_fds > 0) {
        message.msg_control = ancillary.bytes;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        ancillary.header.cmsg_level = SOL_SOCKET;
        ancillary.header.cmsg_type = SCM_RIGHTS;
        ancillary.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(&ancillary.header), fds, n_fds * sizeof(int));
    }
    return sendmsg(lane_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? lane_error() : 0;
}

/* Puts the fds of a received message into their owner's hands. */
static void lane_collect_fds(struct msghdr *message, struct fipc_lane_fds *ret_fds)
{
    struct cmsghdr *part;

    for (part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
        size_t count;

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        assert(ret_fds->count + count <= FIPC_LANE_FDS_MAX);
        memcpy(ret_fds->fds + ret_fds->count, CMSG_DATA(part), count * sizeof(int));
        ret_fds->count += count;
    }
}

/* The kernel returns ECONNRESET once, before the peer's last packets, if the peer closed with
 * packets of ours unread. */
static ssize_t lane_recvmsg(int lane_fd, struct msghdr *message, int flags)
{
    ssize_t size;

    do
        size = recvmsg(lane_fd, message, MSG_DONTWAIT | flags);
    while (size < 0 && (errno == EINTR || errno == ECONNRESET));
    return size;
}

static int lane_take_size(const struct msghdr *message, ssize_t size, size_t *ret_size)
{
    if (message->msg_flags & MSG_TRUNC)
        return -EMSGSIZE;
    if (size == 0) /* end of file, or an empty packet, which no honest peer sends */
        return -EPIPE;
    *ret_size = (size_t)size;
    return 0;
}

int fipc_lane_receive(int lane_fd, void *buffer, size_t buffer_size, size_t *ret_size,
                      struct fipc_lane_fds *ret_fds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FIPC_LANE_FDS_MAX * sizeof(int))];
    } ancillary;
    struct iovec part = {.iov_base = buffer, .iov_len = buffer_size};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = ancillary.bytes,
        .msg_controllen = sizeof(ancillary.bytes),
    };
    ssize_t size;

    ret_fds->count = 0;
    size = lane_recvmsg(lane_fd, &message, MSG_CMSG_CLOEXEC);
    if (size < 0)
        return lane_error();

    lane_collect_fds(&message, ret_fds);
    if (message.msg_flags & MSG_CTRUNC)
        return -EBADMSG;
    return lane_take_size(&message, size, ret_size);
}

int fipc_lane_receive_plain(int lane_fd, void *buffer, size_t buffer_size, size_t *ret_size)
{
    struct iovec part = {.iov_base = buffer, .iov_len = buffer_size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t size = lane_recvmsg(lane_fd, &message, MSG_PEEK);

    if (size < 0)
        return lane_error();
    if (message.msg_flags & MSG_CTRUNC) /* nothing but fds could be there to be cut off */
        return -EPERM;
    (void)lane_recvmsg(lane_fd, &(struct msghdr){.msg_iov = NULL}, 0);
    return lane_take_size(&message, size, ret_size);
}

bool fipc_lane_finish(int lane_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } sender;
    struct msghdr message = {.msg_control = sender.bytes, .msg_controllen = sizeof(sender.bytes)};
    const int yes = 1;

    /* credentials come with every packet, even an empty one: the end has none */
    if (shutdown(lane_fd, SHUT_RD) < 0 ||
        setsockopt(lane_fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
        return false;
    return lane_recvmsg(lane_fd, &message, MSG_PEEK) == 0 && message.msg_controllen == 0;
}

void fipc_lane_fds_close(struct fipc_lane_fds *fds)
{
    while (fds->count > 0)
        (void)fd_close(fds->fds[--fds->count]);
}

#define HUNG_UP (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)

bool fipc_lane_is_hung_up(int lane_fd)
{
    struct pollfd lane = {.fd = lane_fd, .events = POLLRDHUP};
    int r;

    do
        r = poll(&lane, 1, 0);
    while (r < 0 && errno == EINTR);
    return r > 0 && (lane.revents & HUNG_UP) != 0;
}

int fipc_lane_sleep(int lane_fd, int wake_fd, uint64_t deadline_ns)
{
    struct pollfd fds[] = {
        {.fd = lane_fd, .events = POLLIN | POLLRDHUP},
        {.fd = wake_fd, .events = POLLIN},
    };
    uint64_t now_ns = fipc_now_ns(), left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    struct timespec left = {
        .tv_sec = (time_t)(left_ns / NS_PER_S),
        .tv_nsec = (long)(left_ns % NS_PER_S),
    };
    int r = ppoll(fds, 2, deadline_ns == UINT64_MAX ? NULL : &left, NULL);

    /* signals may come too fast for it to look */
    if (r < 0 ? fipc_lane_is_hung_up(lane_fd) : (fds[0].revents & HUNG_UP) != 0)
        return -EPIPE;
    return r == 0 ? -ETIMEDOUT : 0;
}

bool fipc_lane_is_read(int lane_fd)
{
    int unread;

    return ioctl(lane_fd, SIOCOUTQ, &unread) == 0 && unread == 0;
}

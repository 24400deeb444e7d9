/* SPDX-License-Identifier: MIT */
#include "daemon/life/backlog.h"

#include "common/os/os.h"

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#define ANSWER_MAX_S 1

static int send_query(int diag_fd, int listening_fd)
{
    struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } query = {
        .header = {.nlmsg_len = sizeof(query),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = UINT32_MAX,
                    .udiag_show = UDIAG_SHOW_RQLEN,
                    .udiag_cookie = {UINT32_MAX, UINT32_MAX}}, /* any */
    };
    struct stat status;

    if (fstat(listening_fd, &status) < 0)
        return -errno;
    query.request.udiag_ino = (uint32_t)status.st_ino;
    return send(diag_fd, &query, sizeof(query), 0) < 0 ? -errno : 0;
}

/* Return: the backlog; -ENOENT the answer does not tell */
static int parse_attributes(const char *at, size_t left)
{
    while (left >= sizeof(struct rtattr)) {
        struct rtattr attribute;
        struct unix_diag_rqlen lengths;

        memcpy(&attribute, at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || RTA_ALIGN(attribute.rta_len) > left)
            break;
        if (attribute.rta_type == UNIX_DIAG_RQLEN &&
            attribute.rta_len >= RTA_LENGTH(sizeof(lengths))) {
            memcpy(&lengths, at + RTA_LENGTH(0), sizeof(lengths));
            return lengths.udiag_wqueue <= INT_MAX ? (int)lengths.udiag_wqueue : INT_MAX;
        }
        at += RTA_ALIGN(attribute.rta_len);
        left -= RTA_ALIGN(attribute.rta_len);
    }
    return -ENOENT;
}

static int parse_answer(const struct nlmsghdr *header, size_t size)
{
    const size_t begin = NLMSG_SPACE(sizeof(struct unix_diag_msg));

    if (!NLMSG_OK(header, size) || header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        header->nlmsg_len < begin)
        return -ENOENT;
    return parse_attributes((const char *)header + begin, header->nlmsg_len - begin);
}

int backlog_granted(int listening_fd)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    const struct timeval limit = {.tv_sec = ANSWER_MAX_S};
    union {
        struct nlmsghdr header;
        char bytes[1024];
    } answer;
    ssize_t size;
    int r;

    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
        return -errno;
    r = send_query(fd, listening_fd);
    if (r < 0)
        return r;
    size = recv(fd, &answer, sizeof(answer), 0);
    return size < 0 ? -errno : parse_answer(&answer.header, (size_t)size);
}

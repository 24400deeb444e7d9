/* SPDX-License-Identifier: MIT */
#include "common/os/os.h"

#include <stdlib.h>
#include <sys/socket.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* asm-generic/socket.h of Linux 6.5 */
#endif

int fipc_peer_identity(int lane_fd, struct fipc_identity *ret_identity)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);

    if (getsockopt(lane_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -errno;
    *ret_identity = (struct fipc_identity){
        .uid = credentials.uid,
        .gid = credentials.gid,
        .pid = credentials.pid,
    };
    return 0;
}

int fipc_peer_groups(int lane_fd, uint32_t **ret_groups, uint32_t *ret_count)
{
    uint32_t *groups = NULL;
    socklen_t size = 0;
    int r;

    if (getsockopt(lane_fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
        return -errno;
    if (size > 0) {
        groups = malloc(size);
        if (groups == NULL)
            return -ENOMEM;
        if (getsockopt(lane_fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
            r = -errno;
            free(groups);
            return r;
        }
    }
    *ret_groups = groups;
    *ret_count = size / (uint32_t)sizeof(groups[0]);
    return 0;
}

int fipc_peer_hold(int lane_fd)
{
    int fd;
    socklen_t size = sizeof(fd);

    if (getsockopt(lane_fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) < 0)
        return errno == ENOPROTOOPT ? -EOPNOTSUPP : -errno;
    return fd;
}

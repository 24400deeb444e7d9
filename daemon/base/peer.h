/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_PEER_H
#define FIPC_DAEMON_BASE_PEER_H

/* The process at the other end of a lane, as the kernel says. */
#include <sys/types.h>

struct peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
};

#endif

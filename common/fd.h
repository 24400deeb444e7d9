/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_FD_H
#define FIPC_COMMON_FD_H

#include <errno.h>
#include <unistd.h>

/* Runs fn(&variable) when the variable leaves its scope. */
#define FIPC_CLEANUP(fn) __attribute__((cleanup(fn)))

/* Closes @fd unless it is -1; keeps errno. Return: -1, the empty state of an fd. */
static inline int fd_close(int fd)
{
    if (fd >= 0) {
        int saved_errno = errno;

        (void)close(fd);
        errno = saved_errno;
    }
    return -1;
}

static inline void fd_closep(int *fd) { *fd = fd_close(*fd); }

/* Takes the fd out of its owner. */
static inline int fd_steal(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#endif

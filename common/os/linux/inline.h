/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_OS_LINUX_INLINE_H
#define FIPC_COMMON_OS_LINUX_INLINE_H

/* The part of common/os/os.h that is too small or too hot for a call. */
#include <errno.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* Nanoseconds of CLOCK_MONOTONIC: every time in fipc is one of these. */
static inline uint64_t fipc_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

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

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_POLL_CROWD_H
#define FIPC_TESTS_POLL_CROWD_H

/*
 * Many watchers of a file: a thread that polls one fd as often as it may name fds. A process that
 * writes to the file, or closes it, walks all of them. They need no fds, no quota of epoll counts
 * them, and they hang there within a millisecond or two.
 */
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

struct poll_crowd {
    pthread_t thread;
    struct pollfd *polls;
    nfds_t n_polls;
    _Atomic pid_t tid; /* 0: not yet */
};

/* The thread ends when the fd gets one of @events. Return: 0 or a negative errno */
int poll_crowd_start(struct poll_crowd *crowd, int fd, short events);

/* Whether all of them hang there; a thread that sleeps on its way there is taken for that. */
bool poll_crowd_sleeps(const struct poll_crowd *crowd);

/* Waits for the thread. */
void poll_crowd_end(struct poll_crowd *crowd);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CLOSER_H
#define FIPC_DAEMON_CLOSER_H

/*
 * Closes what a peer can make slow to close. The last close of a foreign file can block for as long
 * as its owner likes: a TCP socket with SO_LINGER, a file of a FUSE file system; so can closing a
 * lane in which such a file lies unread. Where the kernel refuses fds on our sockets
 * (SO_PASSRIGHTS, Linux 6.16) nothing of the kind can reach us and closing is done at once;
 * elsewhere a thread does it, so that the loop never waits.
 */
#include "common/lane.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct closer {
    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    int *fds; /* a queue; as many places as this process may have fds */
    size_t capacity;
    size_t first, count;
    size_t n_open; /* those in the queue, and the one that is being closed */
    bool ending;
};

/* Return: 0; a negative errno. Without @threaded nothing is started. */
int closer_init(struct closer *closer, bool threaded, size_t fds_max);

/* Lets the thread finish, but does not wait for a close that blocks. */
void closer_deinit(struct closer *closer);

/* @fd is consumed. -1 is a no-op. Never blocks. */
void closer_close(struct closer *closer, int fd);
void closer_close_all(struct closer *closer, struct fipc_lane_fds *fds);

/* How many fds are not closed yet. */
size_t closer_n_open(struct closer *closer);

#endif

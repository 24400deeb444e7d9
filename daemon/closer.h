/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CLOSER_H
#define FIPC_DAEMON_CLOSER_H

/*
 * Closes lanes. A lane in which a foreign file lies unread can be slow to close: a TCP socket with
 * SO_LINGER blocks as long as its owner likes. Where the kernel refuses fds on our sockets
 * (SO_PASSRIGHTS, Linux 6.16) nothing of the kind can reach us; elsewhere a thread closes such
 * lanes, and the uid of whoever did that is charged for them meanwhile. The loop never waits.
 *
 * The fds themselves are never taken: closing a file of a FUSE file system that was would block for
 * ever, and nothing could kill the broker.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct account;
struct account_table;

/* A lane that is slow to close. */
struct closing {
    int lane_fd;
    struct account *account; /* its n_closing counts this lane; NULL: nobody's does */
};

struct closer {
    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct closing *lanes; /* a ring; as many places as this process may have fds */
    size_t capacity;
    /* free-running positions in it: settled <= closed <= given */
    size_t n_given, n_closed, n_settled;
    bool ending;
};

/* Return: 0; a negative errno. Without @threaded nothing is started. */
int closer_init(struct closer *closer, bool threaded, size_t fds_max);

/* Lets the thread finish, but does not wait for a close that blocks. */
void closer_deinit(struct closer *closer, struct account_table *accounts);

/* @lane_fd is consumed, @account is its peer's. Never blocks. */
void closer_close(struct closer *closer, int lane_fd, struct account *account);

/* Forgets the lanes that are closed by now. Return: how many are not */
size_t closer_settle(struct closer *closer, struct account_table *accounts);

#endif

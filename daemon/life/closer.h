/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_CLOSER_H
#define FIPC_DAEMON_LIFE_CLOSER_H

/*
 * Closes what is slow to close, in a thread of its own, and charges the peer's uid for it
 * meanwhile. The loop never waits.
 *
 * Lanes: a lane in which a foreign file lies unread can be slow to close: a TCP socket with
 * SO_LINGER blocks as long as its owner likes. Where the kernel refuses fds on our sockets
 * (SO_PASSRIGHTS, Linux 6.16) nothing of the kind can reach us; elsewhere such lanes are
 * closed here. The fds themselves are never taken: closing a file of a FUSE file system that was
 * would block for ever, and nothing could kill the broker.
 *
 * Regions of strangers: unmapping one costs the loop more than ten calls. While its client punches
 * a hole into one that it has not sealed, unmapping even waits for the end of it, with the lock of
 * all our memory held. Sealing waits too, but alone, and no hole comes after it. Their accounts are
 * charged until the memory is gone: daemon/life/held.h.
 */
#include "common/region.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct account;
struct account_table;
struct offload;
struct poller;

struct closer {
    struct offload *offload; /* NULL: it does not run */
    bool lanes_may_block;
    uint64_t wake_ns; /* what a wake-up by a lane took in the last test; 0: the turn knows it */
};

/**
 * closer_init() - start the thread
 * @poller:           woken when something is closed: closer_collect() comes next
 * @lanes_may_block:  the kernel lets clients send fds; else the loop closes lanes itself
 * @fds_max:          how many fds this process may have
 *
 * Return: 0; a negative errno
 */
int closer_init(struct closer *closer, struct poller *poller, bool lanes_may_block, size_t fds_max);

/* Lets the thread finish, but does not wait for a close that blocks. */
void closer_deinit(struct closer *closer, struct account_table *accounts);

/* Closes a lane in the thread: its peer made that slow. Likewise. */
void closer_close_apart(struct closer *closer, int lane_fd, struct account *account);

/* @lane_fd is consumed, @account is its peer's. Never blocks. */
void closer_close(struct closer *closer, int lane_fd, struct account *account);

/* @region is consumed, and @region_fd: -1 if it is sealed. Never blocks. */
void closer_unmap(struct closer *closer, struct fipc_region *region, int region_fd);

/* Has the thread give memory that malloc(3) keeps back to the system. It can be slow. */
void closer_trim(struct closer *closer);

/* Has the thread try what a wake-up takes, for wake_ns: daemon/base/wake_test.h. It blocks. */
void closer_test_wakes(struct closer *closer);

/* Forgets what is closed by now. Return: how many fds are not */
size_t closer_collect(struct closer *closer, struct account_table *accounts, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_CHANNEL_H
#define FIPC_COMMON_CHANNEL_H

/*
 * The state that two ends share: one region with two rings, their end words, and the bell toward
 * the peer. The outgoing side (out, fipc_channel_ring) and the incoming side (in, own) share no
 * private state: one thread may hold the one, and another thread the other.
 */
#include "common/end.h"
#include "common/os/os.h"
#include "common/region.h"
#include "common/ring.h"

/* The client's end fills the request ring. The broker's end fills the reply ring, and so does the
 * service's end of a direct channel. */
enum fipc_side {
    FIPC_SIDE_CLIENT,
    FIPC_SIDE_BROKER,
};

struct fipc_channel {
    struct fipc_region region;
    struct fipc_producer out;
    struct fipc_consumer in;
    struct fipc_end *own;
    struct fipc_end *peer;
    struct fipc_bell bell;
};

/**
 * fipc_channel_init() - take one end of a new channel
 * @region:  consumed: unmapped by fipc_channel_deinit()
 * @bell:    toward the peer; the caller keeps its fd
 */
void fipc_channel_init(struct fipc_channel *channel, enum fipc_side side,
                       struct fipc_region *region, struct fipc_bell bell);
void fipc_channel_deinit(struct fipc_channel *channel);

/**
 * fipc_channel_ring() - wake the peer if it sleeps and waits for what was published since the last
 * call
 * @news:  enum fipc_news: FIPC_NEWS_RECORDS after fipc_producer_commit(), FIPC_NEWS_ROOM after
 *         fipc_consumer_release() if fipc_consumer_left_room()
 *
 * No system call while the peer is awake. Threads: any.
 *
 * Return: 0; -EBADMSG if the peer corrupted its end word (close the channel); -EPIPE if the peer is
 * gone; any other error if the bell did not ring (ring it again later with fipc_bell_ring())
 */
int fipc_channel_ring(struct fipc_channel *channel, unsigned news);

#endif

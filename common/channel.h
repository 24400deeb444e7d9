/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_CHANNEL_H
#define FIPC_COMMON_CHANNEL_H

/*
 * What two ends share: one region with two rings, their end words, and the bell toward the peer.
 * The outgoing side (out, fipc_channel_ring) and the incoming side (in, own) share no private
 * state, so that two threads may hold one each.
 */
#include "common/end.h"
#include "common/os/os.h"
#include "common/region.h"
#include "common/ring.h"

/* The client's end fills the request ring; the broker's, or a direct channel's service's, the reply
 * ring. */
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
 * @bell:    toward the peer; its fd stays the caller's
 */
void fipc_channel_init(struct fipc_channel *channel, enum fipc_side side,
                       struct fipc_region *region, struct fipc_bell bell);
void fipc_channel_deinit(struct fipc_channel *channel);

/**
 * fipc_channel_ring() - wake the peer if it sleeps and waits for what was published since the last
 * call
 * @news:  enum fipc_news. What asks for it: fipc_producer_commit() makes FIPC_NEWS_RECORDS,
 *         fipc_consumer_release() FIPC_NEWS_ROOM if fipc_consumer_left_room()
 *
 * No system call while the peer is awake. Threads: any.
 *
 * Return: 0; -EBADMSG the peer corrupted its end word (close the channel); -EPIPE the peer is gone;
 * any other error: the bell did not ring, ring the peer's bell again later with fipc_bell_ring()
 */
int fipc_channel_ring(struct fipc_channel *channel, unsigned news);

#endif

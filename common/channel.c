/* SPDX-License-Identifier: MIT */
#include "common/channel.h"

void fipc_channel_init(struct fipc_channel *channel, enum fipc_side side,
                       struct fipc_region *region, struct fipc_bell bell)
{
    struct fipc_control_block *control = fipc_region_control(region);
    unsigned char *request = fipc_region_request_ring(region);
    unsigned char *reply = fipc_region_reply_ring(region);
    uint64_t start = fipc_region_request_start(region->request_ring_bytes);

    *channel = (struct fipc_channel){.region = *region, .bell = bell};
    if (side == FIPC_SIDE_CLIENT) {
        fipc_producer_init(&channel->out, &control->request, request, region->request_ring_bytes,
                           start);
        fipc_consumer_init(&channel->in, &control->reply, reply, region->reply_ring_bytes, 0);
        channel->own = &control->client;
        channel->peer = &control->broker;
    } else {
        fipc_producer_init(&channel->out, &control->reply, reply, region->reply_ring_bytes, 0);
        fipc_consumer_init(&channel->in, &control->request, request, region->request_ring_bytes,
                           start);
        channel->own = &control->broker;
        channel->peer = &control->client;
    }
    *region = FIPC_REGION_EMPTY;
}

void fipc_channel_deinit(struct fipc_channel *channel) { fipc_region_deinit(&channel->region); }

int fipc_channel_ring(struct fipc_channel *channel, unsigned news)
{
    int asleep;

    if (news == FIPC_NEWS_NONE)
        return 0;
    asleep = fipc_end_rouse(channel->peer, news);
    if (asleep == FIPC_END_ASLEEP_FUTEX) {
        fipc_end_wake(channel->peer);
        return 0;
    }
    return asleep == FIPC_END_ASLEEP_FD ? fipc_bell_ring(&channel->bell) : asleep;
}

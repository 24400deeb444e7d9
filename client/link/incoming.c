/* SPDX-License-Identifier: MIT */
/*
 * Sleeping goes in slices, between which the reader looks whether the lane hung up: the futex does
 * not say that the broker died.
 */
#include "client/link/incoming.h"

#include "client/link/outgoing.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>

/* The lane is looked at after this time without a sign of life. */
#define SILENCE_NS (50 * FIPC_NS_PER_MS)

static bool spin(struct fipc_spin *spin, const struct fipc_consumer *in, uint64_t now_ns)
{
    bool hit;

    fipc_spin_begin(spin, now_ns);
    while (!(hit = fipc_consumer_has_news(in)) && fipc_spin_again(spin)) {
    }
    fipc_spin_end(spin, hit);
    return hit;
}

static bool wants_room(const struct fipc_connection *connection, const struct fipc_baton *baton)
{
    return baton->n_want_room > 0 || fipc_outgoing_wants_room(connection);
}

/* The second look, after the end word was set: see common/end.h. */
static bool is_anything_new(struct fipc_connection *connection, const struct fipc_baton *baton)
{
    return fipc_consumer_has_news(&connection->channel.in) || fipc_outgoing_can_go_on(connection) ||
           (baton->n_want_room > 0 && fipc_baton_is_anyone_ready(baton));
}

/* Return: whether the broker hung up */
static bool sleep_a_slice(struct fipc_connection *connection, struct fipc_baton *baton,
                          uint64_t deadline_ns)
{
    struct fipc_end *own = connection->channel.own;
    uint64_t slice_end_ns = connection->heard_ns + SILENCE_NS;
    uint32_t word = FIPC_END_ASLEEP_FUTEX;
    bool lost = false;

    baton->asleep_on = own;
    baton->asleep_for_room = wants_room(connection, baton);
    if (baton->asleep_for_room)
        word |= FIPC_END_ROOM;
    fipc_end_arm(own, word);
    if (is_anything_new(connection, baton)) {
        (void)fipc_end_disarm(own);
    } else {
        (void)pthread_mutex_unlock(baton->lock);
        (void)fipc_end_sleep(own, word, slice_end_ns < deadline_ns ? slice_end_ns : deadline_ns);
        (void)fipc_end_disarm(own);
        (void)pthread_mutex_lock(baton->lock);
        lost = fipc_connection_is_lost(connection, fipc_now_ns(), SILENCE_NS);
    }
    baton->asleep_on = NULL;
    baton->asleep_for_room = false;
    return lost;
}

int fipc_incoming_wait(struct fipc_connection *connection, struct fipc_baton *baton,
                       uint64_t deadline_ns)
{
    uint64_t now_ns = fipc_now_ns();
    bool hit;

    if (now_ns >= deadline_ns)
        return -ETIMEDOUT;
    if (!wants_room(connection, baton)) { /* room is not seen by spinning */
        (void)pthread_mutex_unlock(baton->lock);
        hit = spin(&baton->spin, &connection->channel.in, now_ns);
        (void)pthread_mutex_lock(baton->lock);
        if (hit)
            connection->heard_ns = now_ns;
        if (hit || connection->is_over)
            return 0;
    }
    return sleep_a_slice(connection, baton, deadline_ns) ? -ECONNRESET : 0;
}

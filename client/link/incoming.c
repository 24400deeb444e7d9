/* SPDX-License-Identifier: MIT */
#include "client/link/incoming.h"

#include "client/link/outgoing.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>

/* The lane is looked at after this time without a sign of life, where it cannot be slept on. */
#define SILENCE_NS (50 * FIPC_NS_PER_MS)
#define NO_FUTEX_MIN_NS FIPC_NS_PER_S
#define NO_FUTEX_MAX_NS (64 * FIPC_NS_PER_S)

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

/* ---- asleep ---- */

/* The outcome of a sleep. */
enum sleep {
    SLEEP_LOOK,  /* something may have come */
    SLEEP_QUIET, /* nothing came in that time */
    SLEEP_HUNG_UP,
};

/* The broker left the futex alone: the lane is used instead for a while, for longer each time that
 * this happens again soon. */
static void avoid_futex(struct fipc_connection *connection, uint64_t now_ns)
{
    bool again = now_ns - connection->no_futex_until_ns < connection->no_futex_ns;

    connection->no_futex_ns = again ? 2 * connection->no_futex_ns : NO_FUTEX_MIN_NS;
    if (connection->no_futex_ns > NO_FUTEX_MAX_NS)
        connection->no_futex_ns = NO_FUTEX_MAX_NS;
    connection->no_futex_until_ns = now_ns + connection->no_futex_ns;
}

/* Sleeps on the word. The broker may have published, claimed the sleep and left the futex alone. */
static enum sleep sleep_on_word(struct fipc_connection *connection, uint32_t word, uint64_t end_ns)
{
    struct fipc_end *own = connection->channel.own;
    bool timed_out = fipc_end_sleep(own, word, end_ns) == -ETIMEDOUT;
    bool was_rung = fipc_end_disarm(own);

    if (timed_out && was_rung)
        avoid_futex(connection, fipc_now_ns());
    return timed_out && !was_rung ? SLEEP_QUIET : SLEEP_LOOK;
}

static enum sleep sleep_on_lane(struct fipc_connection *connection, int wake_fd, uint64_t end_ns)
{
    int r = fipc_lane_sleep(connection->lane_fd, wake_fd, end_ns);

    (void)fipc_end_disarm(connection->channel.own);
    if (r == 0) /* at once: a poll loop may watch the lane too */
        connection->lane_holds_fd = !fipc_connection_drain(connection);
    if (r == -EPIPE)
        return SLEEP_HUNG_UP;
    return r == -ETIMEDOUT ? SLEEP_QUIET : SLEEP_LOOK;
}

static enum sleep sleep_until(struct fipc_connection *connection, struct fipc_baton *baton,
                              bool on_lane, uint64_t end_ns)
{
    struct fipc_end *own = connection->channel.own;
    uint32_t word = on_lane ? FIPC_END_ASLEEP_FD : FIPC_END_ASLEEP_FUTEX;
    enum sleep outcome = SLEEP_LOOK;

    baton->asleep_on = own;
    baton->asleep_on_lane = on_lane;
    baton->asleep_for_room = wants_room(connection, baton);
    if (baton->asleep_for_room)
        word |= FIPC_END_ROOM;
    fipc_end_arm(own, word);
    if (is_anything_new(connection, baton)) {
        (void)fipc_end_disarm(own);
    } else {
        (void)pthread_mutex_unlock(baton->lock);
        outcome = on_lane ? sleep_on_lane(connection, baton->wake_fd, end_ns)
                          : sleep_on_word(connection, word, end_ns);
        (void)pthread_mutex_lock(baton->lock);
    }
    fipc_baton_awake(baton);
    return outcome;
}

/* A lane that cannot be slept on, for want of an fd, or since a packet with fds lies in it that its
 * record has not announced yet: the holder looks now and then. */
static enum sleep sleep_in_slices(struct fipc_connection *connection, struct fipc_baton *baton,
                                  uint64_t deadline_ns)
{
    uint64_t now_ns = fipc_now_ns(), slice_ns = now_ns + FIPC_END_FUTEX_NS;

    if (fipc_connection_is_lost(connection, now_ns, SILENCE_NS))
        return SLEEP_HUNG_UP;
    return sleep_until(connection, baton, false, slice_ns < deadline_ns ? slice_ns : deadline_ns);
}

/* How long the holder sleeps on the word: for a moment after the last record. */
static uint64_t word_until_ns(struct fipc_connection *connection, uint64_t now_ns)
{
    uint64_t head = connection->channel.in.head;

    if (connection->quiet_since_ns == 0 || connection->quiet_head != head)
        connection->quiet_since_ns = now_ns;
    connection->quiet_head = head;
    return now_ns < connection->no_futex_until_ns ? 0
                                                  : connection->quiet_since_ns + FIPC_END_FUTEX_NS;
}

/* A short sleep on the futex, which costs little and finds most answers; then on the lane, which
 * also says that the broker is gone. */
static enum sleep sleep_well(struct fipc_connection *connection, struct fipc_baton *baton,
                             uint64_t deadline_ns)
{
    uint64_t now_ns = fipc_now_ns(), end_ns = word_until_ns(connection, now_ns);
    enum sleep outcome;

    if (now_ns < end_ns) {
        end_ns = end_ns < deadline_ns ? end_ns : deadline_ns;
        outcome = sleep_until(connection, baton, false, end_ns);
        if (outcome != SLEEP_QUIET || end_ns == deadline_ns || connection->is_over)
            return outcome;
    }
    if (connection->lane_holds_fd)
        connection->lane_holds_fd = !fipc_connection_drain(connection);
    if (connection->lane_holds_fd || !fipc_baton_can_sleep_on_lane(baton))
        return sleep_in_slices(connection, baton, deadline_ns);
    return sleep_until(connection, baton, true, deadline_ns);
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
    return sleep_well(connection, baton, deadline_ns) == SLEEP_HUNG_UP ? -ECONNRESET : 0;
}

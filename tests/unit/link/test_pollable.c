/* SPDX-License-Identifier: MIT */
/* The fd is readable exactly while there is something to dispatch, and its timer is set to the
 * earliest time at which there will be. */
#include "client/link/pollable.h"

#include "common/clock.h"
#include "common/lane.h"
#include "tests/unit/link/played_link.h"

#include <poll.h>

static struct played_link link_;
static struct fipc_connection *connection;
static struct fipc_pollable pollable;

static void make_link(void)
{
    played_link_make(&link_);
    connection = link_.connection;
    fipc_pollable_init(&pollable);
}

static void drop_link(void)
{
    fipc_pollable_deinit(&pollable);
    fipc_pollable_deinit(&pollable); /* safe twice */
    fipc_connection_release(connection, &connection->n_users);
    played_link_drop(&link_);
}

static void open_pollable(void)
{
    ck_assert_int_eq(fipc_pollable_open(&pollable), 0);
    ck_assert_int_eq(fipc_pollable_open(&pollable), 0); /* made once */
    fipc_pollable_watch(&pollable, connection);
}

static bool becomes_readable(int timeout_ms)
{
    struct pollfd fd = {.fd = pollable.epoll_fd, .events = POLLIN};

    return poll(&fd, 1, timeout_ms) == 1;
}

static bool is_readable(void) { return becomes_readable(0); }

static bool is_asleep_on_fd(bool for_room)
{
    return atomic_load(&connection->channel.own->word) ==
           ((uint32_t)FIPC_END_ASLEEP_FD | (for_room ? FIPC_END_ROOM : 0));
}

GROUP(fds, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

TEST(without_an_fd_nothing_happens)
{
    ck_assert(!fipc_pollable_is_on(&pollable));
    fipc_pollable_signal(&pollable);
    fipc_pollable_watch(&pollable, connection);
    fipc_pollable_unwatch(&pollable, connection);
    fipc_pollable_park(&pollable, connection, true, true, 1);
    ck_assert_uint_eq(atomic_load(&connection->channel.own->word), FIPC_END_AWAKE);
}

static const struct {
    bool has_work, is_unread, has_record;
    bool is_readable, is_armed;
} parks[] = {
    {false, false, false, false, false}, {false, true, false, false, true},
    {false, true, true, true, false},   /* the second look finds it */
    {false, false, true, false, false}, /* a thread reads it */
    {true, true, false, true, false},    {true, false, false, true, false},
};

LOOP_TEST(parking_gives_the_baton_to_the_fd, COUNT_OF(parks))
{
    open_pollable();
    if (parks[_i].has_record)
        played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY}, NULL, 0);
    fipc_pollable_park(&pollable, parks[_i].is_unread ? connection : NULL, parks[_i].has_work,
                       false, FIPC_NEVER);
    ck_assert_int_eq(is_readable(), parks[_i].is_readable);
    ck_assert_int_eq(is_asleep_on_fd(false), parks[_i].is_armed);
}

TEST(a_signal_lasts_until_nothing_is_left)
{
    open_pollable();
    fipc_pollable_signal(&pollable);
    fipc_pollable_signal(&pollable);
    ck_assert(is_readable());
    fipc_pollable_park(&pollable, NULL, true, false, FIPC_NEVER);
    ck_assert(is_readable());
    fipc_pollable_park(&pollable, NULL, false, false, FIPC_NEVER);
    ck_assert(!is_readable());
}

TEST(a_record_that_is_stuck_has_the_fd_wait_for_room)
{
    struct fipc_header header;

    open_pollable();
    (void)played_fill(&link_, 0);
    connection->stuck_kind = FIPC_KIND_CANCEL;
    connection->is_stuck = true;
    fipc_pollable_park(&pollable, connection, false, false, FIPC_NEVER);
    ck_assert(!is_readable());
    ck_assert(is_asleep_on_fd(true));
    while (played_take(&link_, &header) >= 0)
        continue;
    fipc_pollable_park(&pollable, connection, false, false, FIPC_NEVER);
    ck_assert(is_readable()); /* it can go on */
}

TEST(the_lane_wakes_until_it_is_drained)
{
    open_pollable();
    fipc_pollable_park(&pollable, connection, false, false, FIPC_NEVER);
    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY}, NULL, 0);
    ck_assert(is_readable());
    fipc_pollable_drain(&pollable, connection);
    ck_assert(!is_readable());
    fipc_pollable_unwatch(&pollable, connection);
    played_hang_up(&link_);
    ck_assert(!is_readable()); /* no longer watched */
}

/* ---- time ---- */

static const struct {
    uint64_t deadline_ns, reconnect_ns;
    bool reconnects;
    uint64_t timer_ns;
} timers[] = {
    {FIPC_NEVER, 0, false, FIPC_NEVER}, {1000, 0, false, 1000},
    {1000, 500, false, 1000},           {1000, 500, true, 500},
    {1000, 1000, true, 1000},           {1000, 2000, true, 1000},
    {FIPC_NEVER, 2000, true, 2000},     {0, 0, false, 0},
};

LOOP_TEST(the_timer_is_set_to_the_earliest, COUNT_OF(timers))
{
    open_pollable();
    pollable.reconnect_ns = timers[_i].reconnect_ns;
    fipc_pollable_park(&pollable, NULL, false, timers[_i].reconnects, timers[_i].deadline_ns);
    ck_assert_uint_eq(pollable.timer_ns, timers[_i].timer_ns);
    if (timers[_i].timer_ns != FIPC_NEVER) /* long ago */
        ck_assert(becomes_readable(2000));
    fipc_pollable_park(&pollable, NULL, false, false, FIPC_NEVER);
    ck_assert(!is_readable());
}

TEST(attempts_to_connect_back_off)
{
    static const uint64_t backoffs_ms[] = {10, 20, 40, 80, 160, 320, 640, 1000, 1000};
    uint64_t now_ns = 12345;

    for (int i = 0; i < COUNT_OF(backoffs_ms); i++) {
        uint64_t backoff_ns = backoffs_ms[i] * FIPC_NS_PER_MS;

        fipc_pollable_back_off(&pollable, now_ns);
        ck_assert_uint_eq(pollable.backoff_ns, backoff_ns);
        ck_assert_uint_ge(pollable.reconnect_ns, now_ns + backoff_ns / 2);
        ck_assert_uint_lt(pollable.reconnect_ns, now_ns + backoff_ns);
        now_ns = pollable.reconnect_ns;
    }
    fipc_pollable_watch(&pollable, connection);
    ck_assert_uint_eq(pollable.backoff_ns, 0);
}

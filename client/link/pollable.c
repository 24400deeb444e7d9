/* SPDX-License-Identifier: MIT */
#include "client/link/pollable.h"

#include "client/link/connection.h"
#include "client/link/outgoing.h"
#include "common/clock.h"
#include "common/lane.h"
#include "common/os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BACKOFF_MIN_NS (10 * FIPC_NS_PER_MS)
#define BACKOFF_MAX_NS FIPC_NS_PER_S

void fipc_pollable_init(struct fipc_pollable *pollable)
{
    *pollable = (struct fipc_pollable){
        .epoll_fd = -1, .event_fd = -1, .timer_fd = -1, .timer_ns = FIPC_NEVER};
}

void fipc_pollable_deinit(struct fipc_pollable *pollable)
{
    pollable->epoll_fd = fd_close(pollable->epoll_fd);
    pollable->event_fd = fd_close(pollable->event_fd);
    pollable->timer_fd = fd_close(pollable->timer_fd);
}

static int watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int fipc_pollable_open(struct fipc_pollable *pollable)
{
    int r = 0;

    if (fipc_pollable_is_on(pollable))
        return 0;
    pollable->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pollable->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pollable->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (pollable->epoll_fd < 0 || pollable->event_fd < 0 || pollable->timer_fd < 0)
        r = -errno;
    if (r == 0)
        r = watch(pollable->epoll_fd, pollable->event_fd);
    if (r == 0)
        r = watch(pollable->epoll_fd, pollable->timer_fd);
    if (r < 0)
        fipc_pollable_deinit(pollable);
    return r;
}

void fipc_pollable_signal(struct fipc_pollable *pollable)
{
    const uint64_t one = 1;

    if (!fipc_pollable_is_on(pollable) || pollable->is_signalled)
        return;
    pollable->is_signalled = write(pollable->event_fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
}

static void unsignal(struct fipc_pollable *pollable)
{
    uint64_t count;

    if (pollable->is_signalled)
        (void)!read(pollable->event_fd, &count, sizeof(count));
    pollable->is_signalled = false;
}

void fipc_pollable_watch(struct fipc_pollable *pollable, const struct fipc_connection *connection)
{
    pollable->backoff_ns = 0;
    if (fipc_pollable_is_on(pollable))
        (void)watch(pollable->epoll_fd, connection->lane_fd);
}

/* Closing is not enough: a child of fork(2) that has the lane too keeps it in the set, hung up. */
void fipc_pollable_unwatch(struct fipc_pollable *pollable, const struct fipc_connection *connection)
{
    if (fipc_pollable_is_on(pollable))
        (void)epoll_ctl(pollable->epoll_fd, EPOLL_CTL_DEL, connection->lane_fd, NULL);
}

void fipc_pollable_drain(struct fipc_pollable *pollable, const struct fipc_connection *connection)
{
    if (fipc_pollable_is_on(pollable))
        (void)fipc_connection_drain(connection);
}

void fipc_pollable_back_off(struct fipc_pollable *pollable, uint64_t now_ns)
{
    uint64_t backoff_ns = pollable->backoff_ns * 2;

    if (backoff_ns < BACKOFF_MIN_NS)
        backoff_ns = BACKOFF_MIN_NS;
    if (backoff_ns > BACKOFF_MAX_NS)
        backoff_ns = BACKOFF_MAX_NS;
    pollable->backoff_ns = backoff_ns;
    /* not all clients of a broker that is back at the same moment */
    pollable->reconnect_ns = now_ns + backoff_ns / 2 + now_ns % (backoff_ns / 2);
}

/* Arms the end word for the fd. Return: whether there is something to do already */
static bool arm(struct fipc_connection *connection)
{
    struct fipc_channel *channel = &connection->channel;
    bool wants_room = fipc_outgoing_wants_room(connection);

    fipc_end_arm(channel->own, FIPC_END_ASLEEP_FD | (wants_room ? FIPC_END_ROOM : 0));
    if (!fipc_consumer_has_news(&channel->in) && !fipc_outgoing_can_go_on(connection))
        return false;
    (void)fipc_end_disarm(channel->own);
    return true;
}

static void set_timer(struct fipc_pollable *pollable, uint64_t due_ns)
{
    struct itimerspec timer = {.it_value = {0}};

    if (due_ns == pollable->timer_ns)
        return;
    pollable->timer_ns = due_ns;
    if (due_ns != FIPC_NEVER) {
        timer.it_value.tv_sec = (time_t)(due_ns / FIPC_NS_PER_S);
        timer.it_value.tv_nsec = (long)(due_ns % FIPC_NS_PER_S) + (due_ns == 0 ? 1 : 0);
    }
    (void)timerfd_settime(pollable->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

void fipc_pollable_park(struct fipc_pollable *pollable, struct fipc_connection *unread,
                        bool has_work, bool reconnects, uint64_t deadline_ns)
{
    if (!fipc_pollable_is_on(pollable))
        return;
    if (has_work || (unread != NULL && arm(unread)))
        fipc_pollable_signal(pollable);
    else
        unsignal(pollable);
    if (reconnects && pollable->reconnect_ns < deadline_ns)
        deadline_ns = pollable->reconnect_ns;
    set_timer(pollable, deadline_ns); /* also while a thread reads: only a dispatcher ends a call */
}

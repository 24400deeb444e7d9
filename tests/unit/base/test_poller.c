/* SPDX-License-Identifier: MIT */
/* What the poller waits for, and what it calls; in a real loop, with real fds. */
#include "common/os/os.h"
#include "daemon/base/poller.h"
#include "tests/suite.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static struct poller *poller;
static int n_turns, n_woken, n_listened;
static bool may_block;
static struct poller_event events[POLLER_EVENTS_MAX];
static int n_events;

static void after_wait(void *context) { ck_assert_ptr_eq(context, &poller); }

static void client_fds(void *context)
{
    (void)context;
    n_events = poller_look(poller, events);
    poller_stop(poller);
}

static void woken(void *context)
{
    (void)context;
    n_woken++;
    poller_stop(poller);
}

static bool before_wait(void *context)
{
    (void)context;
    n_turns++;
    return may_block;
}

static const struct poller_ops ops = {after_wait, client_fds, woken, before_wait};

static void set_up(void)
{
    n_turns = n_woken = n_listened = n_events = 0;
    may_block = true;
    ck_assert_int_eq(poller_new(&poller, &ops, &poller), 0);
}

static void tear_down(void)
{
    poller = poller_free(poller);
    poller = poller_free(poller); /* safe twice */
}

static void ring(int fd)
{
    const uint64_t one = 1;

    ck_assert_int_eq((int)write(fd, &one, sizeof(one)), (int)sizeof(one));
}

GROUP(poller, .fixtures = {{set_up, tear_down}});

TEST(bell_is_heard_once_for_each_ring_and_never_read)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    ck_assert_int_eq(poller_watch(poller, POLLER_FIRST_BELL, fd, 77, 0xfffffffe), 0);
    ring(fd);
    for (int i = 0; i < 2; i++) { /* a first bell is heard until it is watched otherwise */
        poller_run(poller);
        ck_assert_int_eq(n_events, 1);
        ck_assert_int_eq(events[0].kind, POLLER_FIRST_BELL);
    }
    poller_rewatch(poller, POLLER_BELL, fd, 77, 0xfffffffe);
    poller_run(poller);
    ck_assert_int_eq(events[0].kind, POLLER_BELL);
    ck_assert_uint_eq(events[0].index, 77);
    ck_assert_uint_eq(events[0].generation, 0xfffffffe);
    ck_assert(!events[0].has_hung_up);
    ck_assert_int_eq(poller_look(poller, events), 0);
    ring(fd);
    ck_assert_int_eq(poller_look(poller, events), 1);
    ck_assert_int_eq(poller_look(poller, events), 0);
    poller_unwatch(poller, fd);
    ring(fd);
    ck_assert_int_eq(poller_look(poller, events), 0);
    (void)close(fd);
}

TEST(lane_is_heard_for_a_packet_and_a_waiting_one_for_a_hang_up_alone)
{
    int lane[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
    ck_assert_int_eq(poller_watch(poller, POLLER_WAITING_LANE, lane[0], (1u << 29) - 1, 1), 0);
    ck_assert_int_eq((int)send(lane[1], "x", 1, 0), 1);
    ck_assert_int_eq(poller_look(poller, events), 0);
    poller_rewatch(poller, POLLER_LANE, lane[0], 5, 1);
    ck_assert_int_eq(poller_look(poller, events), 1);
    ck_assert(!events[0].has_hung_up);
    poller_rewatch(poller, POLLER_WAITING_LANE, lane[0], (1u << 29) - 1, 1);
    (void)close(lane[1]);
    ck_assert_int_eq(poller_look(poller, events), 1);
    ck_assert_uint_eq(events[0].index, (1u << 29) - 1);
    ck_assert(events[0].has_hung_up);
    (void)close(lane[0]);
}

static void stop_at_deadline(void *context, struct deadline *deadline)
{
    (void)context;
    (void)deadline;
}

static bool take_what_is_due(void *context)
{
    (void)context;
    n_turns++;
    if (deadline_take(poller_deadlines(poller), fipc_now_ns()) != NULL)
        poller_stop(poller);
    return true;
}

TEST(poller_wakes_up_for_the_earliest_deadline_and_not_before)
{
    static const struct poller_ops timed = {after_wait, client_fds, woken, take_what_is_due};
    struct deadline first = {0}, second = {0};
    struct deadline_group group = {.is_due = false};
    uint64_t began_ns, due_ns;

    tear_down();
    ck_assert_int_eq(poller_new(&poller, &timed, &poller), 0);
    began_ns = fipc_now_ns();
    due_ns = began_ns + 30000000;
    deadline_set(poller_deadlines(poller), &group, &second, began_ns + 3600 * UINT64_C(1000000000),
                 stop_at_deadline);
    deadline_set(poller_deadlines(poller), &group, &first, due_ns, stop_at_deadline);
    poller_run(poller);
    ck_assert_uint_ge(fipc_now_ns(), due_ns);
    ck_assert(!deadline_is_set(&first));
    ck_assert(deadline_is_set(&second));
    ck_assert_int_lt(n_turns, 10); /* it slept */
    deadline_clear(poller_deadlines(poller), &second);
}

TEST(busy_turn_does_not_block)
{
    may_block = false;
    poller_run_once(poller);
    poller_run_once(poller);
    ck_assert_int_eq(n_turns, 2);
}

static void *wake(void *argument)
{
    poller_wake(argument);
    return NULL;
}

TEST(another_thread_wakes_it)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, wake, poller), 0);
    poller_run(poller);
    ck_assert_int_eq(n_woken, 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void listened(void *userdata)
{
    ck_assert_ptr_eq(userdata, &n_listened);
    n_listened++;
    poller_pause_listening(poller);
    poller_stop(poller);
}

TEST(listening_can_pause_and_go_on)
{
    int fd = eventfd(1, EFD_CLOEXEC); /* readable, as a socket with a connection is */

    for (int i = 1; i <= 2; i++) {
        poller_listen(poller, fd, listened, &n_listened);
        poller_run(poller);
        ck_assert_int_eq(n_listened, i);
        poller_run_once(poller);
        ck_assert_int_eq(n_listened, i);
    }
    (void)close(fd);
}

static void signalled(int signal, void *userdata)
{
    *(int *)userdata = signal;
    poller_stop(poller);
}

TEST(signals_are_called_in_the_loop)
{
    int last = 0;

    poller_watch_signal(poller, SIGHUP, signalled, &last);
    poller_watch_signal(poller, SIGTERM, signalled, &last);
    ck_assert_int_eq(raise(SIGTERM), 0);
    ck_assert_int_eq(last, 0);
    poller_run(poller);
    ck_assert_int_eq(last, SIGTERM);
    ck_assert_int_eq(raise(SIGHUP), 0);
    poller_run(poller);
    ck_assert_int_eq(last, SIGHUP);
}

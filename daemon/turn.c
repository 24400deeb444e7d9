/* SPDX-License-Identifier: MIT */
/*
 * A turn: serve the hot slots; when they fall silent spin a little, since waking up costs a hundred
 * messages; then arm them, look once more, and let libev wait. Every phase is bounded, so that
 * timers, new connections and rings of cold slots are served in between.
 *
 * The set is never put into another epoll set: that takes a mutex of the whole kernel, which any
 * user can hold for tens of milliseconds. libev polls it.
 */
#include "daemon/turn.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/base/log.h"
#include "daemon/base/loop_memory.h"
#include "daemon/base/systemd_sender.h"
#include "daemon/broker.h"
#include "daemon/life/greeting.h"
#include "daemon/life/slot_close.h"
#include "daemon/traffic/intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

/* How long hot slots may keep the loop from timers and new connections. */
#define TURN_NS (100 * FIPC_NS_PER_US)
/* How long lanes, timers and new connections may keep it from hot slots and bells. */
#define EVENTS_NS (50 * FIPC_NS_PER_US)
/* How long they may keep it from the bells of cold slots: whoever calls seldom waits for that. */
#define LOOK_NS (20 * FIPC_NS_PER_US)
/* One uid's part of a round, in which all others wait for theirs. */
#define SLICE_NS (50 * FIPC_NS_PER_US)
/* A slot without work for that long is armed even while others keep the loop busy. */
#define COOL_NS FIPC_NS_PER_MS
/* A client on the same CPU may work for a while before it calls again. */
#define PATIENCE_NS (500 * FIPC_NS_PER_US)
#define ROUNDS_PER_CLOCK_LOOK 8
#define EVENTS_PER_LOOK 512
/* At least as many as there are besides those of slots and handlers. */
#define BROKER_TIMERS 1024

/* epoll_data of an fd: the generation of its owner, what it is, and the owner's index. */
#define EVENT_KIND_SHIFT 30
#define EVENT_INDEX_MASK ((UINT32_C(1) << EVENT_KIND_SHIFT) - 1)

enum event_kind {
    EVENT_BELL,
    EVENT_FIRST_BELL,
    EVENT_LANE,
    EVENT_WAITING_LANE,
};

static uint64_t event_data(uint32_t generation, enum event_kind kind, uint32_t index)
{
    return (uint64_t)generation << 32 | (uint32_t)kind << EVENT_KIND_SHIFT | index;
}

static struct slot *hot_slot(void *owner, uint32_t member)
{
    struct broker *broker = owner;

    return &broker->core.slots.slots[member];
}

static unsigned hot_serve(void *owner, uint32_t member, uint64_t end_ns)
{
    return dispatch_serve(owner, hot_slot(owner, member), end_ns);
}

static bool hot_has_work(void *owner, uint32_t member)
{
    return dispatch_has_work(owner, hot_slot(owner, member));
}

static struct fipc_end *hot_end(void *owner, uint32_t member, uint32_t *ret_asleep)
{
    struct slot *slot = hot_slot(owner, member);

    *ret_asleep = FIPC_END_ASLEEP_FD | (dispatch_waits_for_room(slot) ? FIPC_END_ROOM : 0);
    return slot->channel.own;
}

static const struct fipc_hot_set_ops hot_ops = {
    .serve = hot_serve,
    .has_work = hot_has_work,
    .end = hot_end,
};

/* ---- one turn ---- */

/* Closes the slots that ended, one at least, no further one after @end_ns. Return: whether none is
 * left */
static bool loop_close_ending(struct broker *broker, uint64_t end_ns)
{
    while (!STAILQ_EMPTY(&broker->core.slots.ending)) {
        slot_close(broker, slot_take_ending(&broker->core.slots));
        broker->core.now_ns = fipc_now_ns();
        if (broker->core.now_ns >= end_ns)
            break;
    }
    return STAILQ_EMPTY(&broker->core.slots.ending);
}

static void lane_event(struct broker *broker, struct slot *slot, uint32_t events)
{
    if (slot->state == SLOT_GREETING)
        greeting_receive(broker, slot);
    else if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        slot_end(&broker->core.slots, slot, FIPC_REASON_GONE);
    else
        slot_end(&broker->core.slots, slot, FIPC_REASON_UNEXPECTED);
}

static void slot_event(struct broker *broker, const struct epoll_event *event)
{
    uint32_t generation = (uint32_t)(event->data.u64 >> 32);
    uint32_t index = (uint32_t)event->data.u64 & EVENT_INDEX_MASK;
    enum event_kind kind = (uint32_t)event->data.u64 >> EVENT_KIND_SHIFT;
    struct slot *slot;

    if (kind == EVENT_WAITING_LANE) {
        admission_hung_up(broker, index, generation);
        return;
    }
    slot = slot_find(&broker->core.slots, index, generation);
    if (slot == NULL || slot->is_ending)
        return;
    if (kind == EVENT_LANE)
        lane_event(broker, slot, event->events);
    else if (kind == EVENT_FIRST_BELL)
        greeting_take_bell(broker, slot);
    else
        core_heat(&broker->core, slot);
}

static bool is_bell(const struct epoll_event *event)
{
    return ((uint32_t)event->data.u64 >> EVENT_KIND_SHIFT) == EVENT_BELL;
}

/* Bells first: they cost little, and are not told again. A lane or a first bell may cost what a
 * hundred calls do, to greet or to close; those that have no turn now are told again. */
static void loop_look_at_fds(struct broker *broker)
{
    struct epoll_event events[EVENTS_PER_LOOK];
    int count = epoll_wait(broker->loop.slot_fds, events, EVENTS_PER_LOOK, 0);
    uint64_t end_ns;

    broker->core.now_ns = fipc_now_ns();
    for (int i = 0; i < count; i++) {
        if (is_bell(&events[i]))
            slot_event(broker, &events[i]);
    }
    end_ns = broker->core.now_ns + EVENTS_NS;
    for (int i = 0; i < count && broker->core.now_ns < end_ns; i++) {
        if (is_bell(&events[i]))
            continue;
        slot_event(broker, &events[i]);
        broker->core.now_ns = fipc_now_ns();
        loop_close_ending(broker, end_ns);
    }
}

static void slot_fds_ready(struct ev_loop *ev, ev_io *watcher, int revents)
{
    (void)watcher;
    (void)revents;
    loop_look_at_fds(ev_userdata(ev));
}

/* Serves hot slots until they fall silent. Return: whether they did; false: the turn is over first.
 */
static bool loop_serve_hot(struct broker *broker)
{
    struct core *core = &broker->core;
    struct loop *loop = &broker->loop;
    uint64_t look_ns = core->now_ns + LOOK_NS;
    uint64_t turn_end_ns = core->now_ns + TURN_NS;

    for (unsigned round = 1;; round++) {
        unsigned work = fipc_hot_set_serve(&core->hot, SLICE_NS, &core->now_ns);

        (void)loop_close_ending(broker, core->now_ns + EVENTS_NS);

        if (work > 0 && loop->spinning) {
            fipc_spin_end(&loop->spin, true);
            loop->spinning = false;
        }
        if (work == 0 && round % ROUNDS_PER_CLOCK_LOOK == 0)
            core->now_ns = fipc_now_ns();
        if (work == 0) {
            if (!loop->spinning)
                fipc_spin_begin(&loop->spin, core->now_ns);
            loop->spinning = fipc_spin_again(&loop->spin);
            if (!loop->spinning) {
                fipc_spin_end(&loop->spin, false);
                return true;
            }
        }
        if (core->now_ns >= turn_end_ns)
            return false;
        if (core->now_ns >= look_ns) {
            loop_look_at_fds(broker);
            look_ns = core->now_ns + LOOK_NS;
        }
    }
}

static void after_poll(struct ev_loop *ev, ev_check *watcher, int revents)
{
    struct broker *broker = ev_userdata(ev);

    (void)watcher;
    (void)revents;
    broker->core.now_ns = fipc_now_ns();
    broker->core.events_end_ns = broker->core.now_ns + EVENTS_NS;
}

/* Sets the timer for events that were only counted, and for texts that systemd did not take. */
static void set_catch_up(struct ev_loop *ev, struct loop *loop, uint64_t now_ns)
{
    uint64_t log_ns = log_due_ns(), sender_ns = systemd_sender_due_ns();
    uint64_t due_ns = log_ns < sender_ns ? log_ns : sender_ns;

    if (due_ns == FIPC_NEVER || (ev_is_active(&loop->catch_up) && loop->catch_up_ns <= due_ns))
        return;
    loop->catch_up_ns = due_ns;
    ev_now_update(ev);
    ev_timer_stop(ev, &loop->catch_up);
    ev_timer_set(&loop->catch_up, due_ns > now_ns ? (double)(due_ns - now_ns) / 1e9 : 0, 0);
    ev_timer_start(ev, &loop->catch_up);
}

static void catch_up(struct ev_loop *ev, ev_timer *timer, int revents)
{
    uint64_t now_ns = fipc_now_ns();

    (void)ev;
    (void)timer;
    (void)revents;
    systemd_sender_retry(now_ns);
    log_catch_up(now_ns, false);
}

static void before_poll(struct ev_loop *ev, ev_prepare *watcher, int revents)
{
    struct broker *broker = ev_userdata(ev);
    struct core *core = &broker->core;
    struct loop *loop = &broker->loop;
    bool more_to_seat, more_to_close;

    (void)watcher;
    (void)revents;
    core->n_turns++;
    core->now_ns = fipc_now_ns();
    (void)loop_close_ending(broker, core->now_ns + EVENTS_NS);
    if (core->hot.count > 0) {
        bool silent = loop_serve_hot(broker);

        fipc_hot_set_cool(&core->hot, silent ? FIPC_NEVER : core->now_ns - COOL_NS);
    }
    /* after the hot slots, some of which may have ended; who gets one of them is hot */
    more_to_seat = admission_seat_waiting(broker);
    more_to_close = !loop_close_ending(broker, core->now_ns + EVENTS_NS);
    notify_look_at_status(broker);
    if (core->stopping && core->handlers.n_live == 0)
        ev_break(ev, EVBREAK_ALL);
    set_catch_up(ev, loop, core->now_ns);
    if (core->hot.count > 0 || more_to_seat || more_to_close) {
        ev_idle_start(ev, &loop->more_work);
    } else {
        ev_idle_stop(ev, &loop->more_work);
        core->n_blocked++;
    }
}

/* An idle watcher has nothing to do: being active is what keeps libev from blocking. */
static void more_work(struct ev_loop *ev, ev_idle *watcher, int revents)
{
    (void)ev;
    (void)watcher;
    (void)revents;
}

/* ---- what others ask for ---- */

static int loop_watch(struct broker *broker, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    return epoll_ctl(broker->loop.slot_fds, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int loop_watch_lane(struct broker *broker, const struct slot *slot)
{
    return loop_watch(broker, slot->lane_fd, EPOLLIN | EPOLLRDHUP,
                      event_data(slot->generation, EVENT_LANE, slot->index));
}

int loop_watch_first_bell(struct broker *broker, const struct slot *slot)
{
    return loop_watch(broker, slot->bell_fd, EPOLLIN,
                      event_data(slot->generation, EVENT_FIRST_BELL, slot->index));
}

void loop_watch_next_bells(struct broker *broker, const struct slot *slot)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLET,
        .data.u64 = event_data(slot->generation, EVENT_BELL, slot->index),
    };

    (void)epoll_ctl(broker->loop.slot_fds, EPOLL_CTL_MOD, slot->bell_fd, &event);
}

int loop_watch_waiting(struct broker *broker, int lane_fd, uint32_t place, uint32_t generation)
{
    return loop_watch(broker, lane_fd, EPOLLRDHUP,
                      event_data(generation, EVENT_WAITING_LANE, place));
}

void loop_unwatch_waiting(struct broker *broker, int lane_fd)
{
    (void)epoll_ctl(broker->loop.slot_fds, EPOLL_CTL_DEL, lane_fd, NULL);
}

void loop_unwatch_bell(struct broker *broker, const struct slot *slot)
{
    if (slot->bell_fd >= 0)
        (void)epoll_ctl(broker->loop.slot_fds, EPOLL_CTL_DEL, slot->bell_fd, NULL);
}

void loop_unwatch(struct broker *broker, const struct slot *slot)
{
    (void)epoll_ctl(broker->loop.slot_fds, EPOLL_CTL_DEL, slot->lane_fd, NULL);
    loop_unwatch_bell(broker, slot);
    fipc_hot_set_remove(&broker->core.hot, slot->index);
}

/* ---- life ---- */

/* libev would call abort(3). Without its fd for signals the broker cannot start; a poll(2) without
 * memory is tried again. */
static void system_error(const char *what)
{
    static const struct timespec moment = {.tv_nsec = 10000000};

    log_event(LOG_ERR, LOG_EVENT_SHORT, NULL, "%s: %s", what, strerror(errno));
    if (errno != ENOMEM || strstr(what, "pipe") != NULL)
        exit(EXIT_FAILURE);
    (void)nanosleep(&moment, NULL);
}

static void nothing_was_sent(struct ev_loop *ev, ev_async *watcher, int revents)
{
    (void)ev;
    (void)watcher;
    (void)revents;
}

void loop_reconfigure(struct broker *broker)
{
    fipc_spin_init(&broker->loop.spin, broker->core.config->dispatch.spin_us * FIPC_NS_PER_US,
                   PATIENCE_NS);
    broker->loop.spinning = false;
}

int loop_init(struct broker *broker)
{
    struct core *core = &broker->core;
    struct loop *loop = &broker->loop;
    int r;

    loop->slot_fds = -1;
    r = loop_memory_init((size_t)BROKER_TIMERS + broker->core.slots.places.capacity +
                         broker->core.handlers.places.capacity);
    if (r < 0)
        return r;
    ev_set_syserr_cb(system_error);
    core->ev = ev_loop_new(EVBACKEND_POLL | EVFLAG_NOENV);
    if (core->ev == NULL)
        return -ENOMEM;
    ev_set_userdata(core->ev, broker);
    ev_async_init(&loop->signals, nothing_was_sent);
    ev_async_start(core->ev, &loop->signals);
    loop->slot_fds = epoll_create1(EPOLL_CLOEXEC);
    if (loop->slot_fds < 0)
        return -errno;
    r = fipc_hot_set_init(&core->hot, broker->core.slots.places.capacity, &hot_ops, broker);
    if (r < 0)
        return r;
    loop_reconfigure(broker);

    ev_io_init(&loop->slot_fds_ready, slot_fds_ready, loop->slot_fds, EV_READ);
    ev_set_priority(&loop->slot_fds_ready, 1); /* bells before new connections */
    ev_io_start(core->ev, &loop->slot_fds_ready);
    ev_prepare_init(&loop->before_poll, before_poll);
    /* the last one before libev waits: what other watchers find out is served in the same turn */
    ev_set_priority(&loop->before_poll, EV_MINPRI);
    ev_prepare_start(core->ev, &loop->before_poll);
    ev_check_init(&loop->after_poll, after_poll);
    ev_set_priority(&loop->after_poll, EV_MAXPRI); /* before all that the poll found */
    ev_check_start(core->ev, &loop->after_poll);
    ev_init(&loop->catch_up, catch_up);
    ev_idle_init(&loop->more_work, more_work);
    return 0;
}

void loop_deinit(struct broker *broker)
{
    struct core *core = &broker->core;
    struct loop *loop = &broker->loop;

    if (core->ev != NULL)
        ev_loop_destroy(core->ev);
    core->ev = NULL;
    loop_memory_deinit();
    fipc_hot_set_deinit(&core->hot);
    loop->slot_fds = fd_close(loop->slot_fds);
}

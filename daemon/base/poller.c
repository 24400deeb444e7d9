/* SPDX-License-Identifier: MIT */
/*
 * libev calls abort(3) when it gets no memory, also when an event is fed: it has no way to report
 * it. So its few arrays live in memory that is set aside here. The number of watchers is fixed, and
 * so is what they need.
 */
#include "daemon/base/poller.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/base/log.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define SIGNALS_MAX 3
#define ARENA_BYTES (64 * 1024)

/* epoll_data of an fd: the generation of its owner, what it is, and the owner's index. */
#define KIND_SHIFT 29
#define INDEX_MASK ((UINT32_C(1) << KIND_SHIFT) - 1)

struct poller {
    struct ev_loop *ev;
    const struct poller_ops *ops;
    void *context;
    int set_fd;
    struct deadline_heap deadlines;
    uint64_t alarm_ns; /* when the timer fires */
    ev_timer alarm;    /* for the earliest deadline */
    ev_io client_fds;
    ev_check after_wait;
    ev_prepare before_wait;
    ev_idle busy; /* active: libev does not block */
    ev_async woken;
    ev_io listening;
    poller_fn *listening_fn;
    void *listening_userdata;
    struct {
        ev_signal watcher;
        poller_signal_fn *fn;
        void *userdata;
    } signals[SIGNALS_MAX];
    unsigned n_signals;
};

/* ---- libev's memory ---- */

static struct {
    alignas(max_align_t) unsigned char bytes[ARENA_BYTES];
    size_t used;
} arena;

struct block {
    size_t size;
    alignas(max_align_t) unsigned char bytes[];
};

/* As realloc(3). A block is used once: the arrays grow a few times, when the loop is made. */
static void *arena_realloc(void *old_bytes, long size)
{
    const size_t align = alignof(max_align_t);
    size_t taken = sizeof(struct block) + ((size_t)size + align - 1) / align * align;
    struct block *block;

    if (size == 0 || taken > sizeof(arena.bytes) - arena.used)
        return NULL;
    block = (struct block *)(void *)(arena.bytes + arena.used);
    arena.used += taken;
    block->size = (size_t)size;
    if (old_bytes != NULL) {
        const struct block *old =
            (struct block *)(void *)((unsigned char *)old_bytes - offsetof(struct block, bytes));

        memcpy(block->bytes, old_bytes, old->size < block->size ? old->size : block->size);
    }
    return block->bytes;
}

/* libev would call abort(3). Without its fd for signals the broker cannot start; a poll(2) without
 * memory is tried again. */
static void system_error(const char *call)
{
    static const struct timespec moment = {.tv_nsec = 10000000};

    log_event(LOG_ERR, LOG_EVENT_SHORT, NULL, "%s: %s", call, strerror(errno));
    if (errno != ENOMEM || strstr(call, "pipe") != NULL)
        exit(EXIT_FAILURE);
    (void)nanosleep(&moment, NULL);
}

/* ---- fds of clients ---- */

static uint32_t events_of(enum poller_kind kind)
{
    static const uint32_t events[] = {
        [POLLER_LANE] = EPOLLIN | EPOLLRDHUP,
        [POLLER_WAITING_LANE] = EPOLLRDHUP,
        [POLLER_FIRST_BELL] = EPOLLIN,
        [POLLER_BELL] = EPOLLIN | EPOLLET,
        [POLLER_GONE] = EPOLLIN,
    };

    return events[kind];
}

static int control(struct poller *poller, int operation, enum poller_kind kind, int fd,
                   uint32_t index, uint32_t generation)
{
    struct epoll_event event = {
        .events = events_of(kind),
        .data.u64 = (uint64_t)generation << 32 | (uint32_t)kind << KIND_SHIFT | index,
    };

    assert(index <= INDEX_MASK);
    return epoll_ctl(poller->set_fd, operation, fd, &event) < 0 ? -errno : 0;
}

int poller_watch(struct poller *poller, enum poller_kind kind, int fd, uint32_t index,
                 uint32_t generation)
{
    return control(poller, EPOLL_CTL_ADD, kind, fd, index, generation);
}

void poller_rewatch(struct poller *poller, enum poller_kind kind, int fd, uint32_t index,
                    uint32_t generation)
{
    (void)control(poller, EPOLL_CTL_MOD, kind, fd, index, generation);
}

void poller_unwatch(struct poller *poller, int fd)
{
    if (fd >= 0)
        (void)epoll_ctl(poller->set_fd, EPOLL_CTL_DEL, fd, NULL);
}

int poller_look(struct poller *poller, struct poller_event events[POLLER_EVENTS_MAX])
{
    struct epoll_event found[POLLER_EVENTS_MAX];
    int count = epoll_wait(poller->set_fd, found, POLLER_EVENTS_MAX, 0);

    for (int i = 0; i < count; i++) {
        uint32_t low = (uint32_t)found[i].data.u64;

        events[i] = (struct poller_event){
            .kind = (enum poller_kind)(low >> KIND_SHIFT),
            .index = low & INDEX_MASK,
            .generation = (uint32_t)(found[i].data.u64 >> 32),
            .has_hung_up = (found[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0,
        };
    }
    return count;
}

/* ---- what libev calls ---- */

static void client_fds(struct ev_loop *ev, ev_io *watcher, int revents)
{
    struct poller *poller = ev_userdata(ev);

    (void)watcher;
    (void)revents;
    poller->ops->client_fds(poller->context);
}

static void after_wait(struct ev_loop *ev, ev_check *watcher, int revents)
{
    struct poller *poller = ev_userdata(ev);

    (void)watcher;
    (void)revents;
    poller->ops->after_wait(poller->context);
}

/* libev counts from when its own clock was looked at last. */
static void set_alarm(struct poller *poller)
{
    uint64_t due_ns = deadline_next_ns(&poller->deadlines), now_ns;

    if (due_ns == poller->alarm_ns && (due_ns == FIPC_NEVER || ev_is_active(&poller->alarm)))
        return;
    poller->alarm_ns = due_ns;
    ev_timer_stop(poller->ev, &poller->alarm);
    if (due_ns == FIPC_NEVER)
        return;
    ev_now_update(poller->ev);
    now_ns = fipc_now_ns();
    ev_timer_set(&poller->alarm,
                 due_ns > now_ns ? (double)(due_ns - now_ns) / (double)FIPC_NS_PER_S : 0, 0);
    ev_timer_start(poller->ev, &poller->alarm);
}

static void before_wait(struct ev_loop *ev, ev_prepare *watcher, int revents)
{
    struct poller *poller = ev_userdata(ev);

    (void)watcher;
    (void)revents;
    if (poller->ops->before_wait(poller->context)) {
        set_alarm(poller);
        ev_idle_stop(ev, &poller->busy);
    } else {
        ev_idle_start(ev, &poller->busy);
    }
}

static void woken(struct ev_loop *ev, ev_async *watcher, int revents)
{
    struct poller *poller = ev_userdata(ev);

    (void)watcher;
    (void)revents;
    poller->ops->woken(poller->context);
}

static void listening(struct ev_loop *ev, ev_io *watcher, int revents)
{
    struct poller *poller = watcher->data;

    (void)ev;
    (void)revents;
    poller->listening_fn(poller->listening_userdata);
}

static void signalled(struct ev_loop *ev, ev_signal *watcher, int revents)
{
    struct poller *poller = ev_userdata(ev);

    (void)revents;
    for (unsigned i = 0; i < poller->n_signals; i++) {
        if (watcher == &poller->signals[i].watcher)
            poller->signals[i].fn(watcher->signum, poller->signals[i].userdata);
    }
}

/* The deadline that it was for is found by the turn. */
static void alarm_rings(struct ev_loop *ev, ev_timer *watcher, int revents)
{
    (void)ev;
    (void)watcher;
    (void)revents;
}

/* Being active is what keeps libev from blocking. */
static void busy(struct ev_loop *ev, ev_idle *watcher, int revents)
{
    (void)ev;
    (void)watcher;
    (void)revents;
}

/* ---- everything else ---- */

void poller_listen(struct poller *poller, int fd, poller_fn *fn, void *userdata)
{
    poller->listening_fn = fn;
    poller->listening_userdata = userdata;
    ev_io_init(&poller->listening, listening, fd, EV_READ);
    poller->listening.data = poller;
    ev_io_start(poller->ev, &poller->listening);
}

void poller_pause_listening(struct poller *poller) { ev_io_stop(poller->ev, &poller->listening); }

void poller_wake(struct poller *poller) { ev_async_send(poller->ev, &poller->woken); }

void poller_watch_signal(struct poller *poller, int signal, poller_signal_fn *fn, void *userdata)
{
    unsigned i = poller->n_signals++;

    assert(i < SIGNALS_MAX);
    poller->signals[i].fn = fn;
    poller->signals[i].userdata = userdata;
    ev_signal_init(&poller->signals[i].watcher, signalled, signal);
    ev_signal_start(poller->ev, &poller->signals[i].watcher);
}

struct deadline_heap *poller_deadlines(struct poller *poller) { return &poller->deadlines; }

/* ---- life ---- */

static void start_watchers(struct poller *poller)
{
    ev_set_userdata(poller->ev, poller);
    ev_init(&poller->alarm, alarm_rings);
    ev_init(&poller->listening, listening);
    ev_idle_init(&poller->busy, busy);
    ev_async_init(&poller->woken, woken); /* libev makes its fd for signals with the first one */
    ev_async_start(poller->ev, &poller->woken);
    ev_io_init(&poller->client_fds, client_fds, poller->set_fd, EV_READ);
    ev_set_priority(&poller->client_fds, 1); /* bells before new connections */
    ev_io_start(poller->ev, &poller->client_fds);
    ev_prepare_init(&poller->before_wait, before_wait);
    /* the last one before libev waits: what other watchers find out is served in the same turn */
    ev_set_priority(&poller->before_wait, EV_MINPRI);
    ev_prepare_start(poller->ev, &poller->before_wait);
    ev_check_init(&poller->after_wait, after_wait);
    ev_set_priority(&poller->after_wait, EV_MAXPRI); /* before all that the poll found */
    ev_check_start(poller->ev, &poller->after_wait);
}

int poller_new(struct poller **ret_poller, const struct poller_ops *ops, void *context)
{
    struct poller *poller = calloc(1, sizeof(*poller));
    int r;

    if (poller == NULL)
        return -ENOMEM;
    *poller = (struct poller){.ops = ops, .context = context, .set_fd = -1, .alarm_ns = FIPC_NEVER};
    deadline_heap_init(&poller->deadlines);
    poller->set_fd = epoll_create1(EPOLL_CLOEXEC);
    r = poller->set_fd < 0 ? -errno : 0;
    if (r == 0) {
        arena.used = 0;
        ev_set_allocator(arena_realloc);
        ev_set_syserr_cb(system_error);
        poller->ev = ev_loop_new(EVBACKEND_POLL | EVFLAG_NOENV);
        r = poller->ev == NULL ? -ENOMEM : 0;
    }
    if (r < 0) {
        (void)poller_free(poller);
        return r;
    }
    start_watchers(poller);
    *ret_poller = poller;
    return 0;
}

struct poller *poller_free(struct poller *poller)
{
    if (poller == NULL)
        return NULL;
    if (poller->ev != NULL)
        ev_loop_destroy(poller->ev);
    (void)fd_close(poller->set_fd);
    free(poller);
    return NULL;
}

void poller_run(struct poller *poller) { (void)ev_run(poller->ev, 0); }

void poller_run_once(struct poller *poller) { (void)ev_run(poller->ev, EVRUN_NOWAIT); }

void poller_stop(struct poller *poller) { ev_break(poller->ev, EVBREAK_ALL); }

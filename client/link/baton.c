/* SPDX-License-Identifier: MIT */
/*
 * The baton is never lost: a thread that leaves, for whatever reason, wakes the first waiter if
 * nobody holds it. A waiter that is woken looks for itself, takes the baton if it is free, and
 * passes it on in turn when it leaves. tests/model/baton.pml checks this.
 */
#include "client/link/baton.h"

#include "common/clock.h"
#include "common/end.h"
#include "common/os/os.h"

#include <sys/eventfd.h>

/* A broker that yields back takes a few us. A process that keeps the CPU for longer keeps it until
 * the next tick of the scheduler, where a sleeper that is woken would have had it at once. */
#define PATIENCE_NS (50 * FIPC_NS_PER_US)

void fipc_baton_init(struct fipc_baton *baton, pthread_mutex_t *lock, uint64_t spin_ns,
                     fipc_progress_fn *progress, void (*left)(void *arg), void *arg)
{
    *baton = (struct fipc_baton){
        .lock = lock, .progress = progress, .left = left, .arg = arg, .wake_fd = -1};
    TAILQ_INIT(&baton->waiters);
    fipc_spin_init(&baton->spin, spin_ns, PATIENCE_NS);
}

void fipc_baton_deinit(struct fipc_baton *baton) { baton->wake_fd = fd_close(baton->wake_fd); }

bool fipc_baton_can_sleep_on_lane(struct fipc_baton *baton)
{
    if (fipc_is_single_threaded())
        return true;
    if (baton->wake_fd < 0)
        baton->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return baton->wake_fd >= 0;
}

static void waiter_join(struct fipc_baton *baton, struct fipc_waiter *waiter)
{
    if (waiter->waits)
        return;
    /* relaxed, as all that follow: the lock orders them, the futex needs no order */
    atomic_store_explicit(&waiter->wake, 0, memory_order_relaxed);
    waiter->waits = true;
    TAILQ_INSERT_TAIL(&baton->waiters, waiter, entry);
    if (waiter->wants_room)
        baton->n_want_room++;
}

static void waiter_leave(struct fipc_baton *baton, struct fipc_waiter *waiter)
{
    if (!waiter->waits)
        return;
    waiter->waits = false;
    TAILQ_REMOVE(&baton->waiters, waiter, entry);
    if (waiter->wants_room)
        baton->n_want_room--;
}

static void waiter_wake(const struct fipc_baton *baton, struct fipc_waiter *waiter)
{
    if (waiter == baton->holder || atomic_load_explicit(&waiter->wake, memory_order_relaxed) != 0)
        return;
    atomic_store_explicit(&waiter->wake, 1, memory_order_relaxed);
    fipc_futex_wake(&waiter->wake, 1, FIPC_FUTEX_PRIVATE);
}

static int waiter_sleep(struct fipc_baton *baton, struct fipc_waiter *waiter, uint64_t deadline_ns)
{
    int r;

    if (waiter->wants_room && !baton->asleep_for_room)
        fipc_baton_kick(baton);
    (void)pthread_mutex_unlock(baton->lock);
    r = fipc_futex_wait(&waiter->wake, 0, deadline_ns, FIPC_FUTEX_PRIVATE);
    (void)pthread_mutex_lock(baton->lock);
    atomic_store_explicit(&waiter->wake, 0, memory_order_relaxed);
    return r;
}

static int hold(struct fipc_baton *baton, struct fipc_waiter *waiter, uint64_t deadline_ns)
{
    int r;

    baton->holder = waiter;
    r = baton->progress(baton->arg, deadline_ns);
    baton->holder = NULL;
    return r;
}

int fipc_baton_wait(struct fipc_baton *baton, struct fipc_waiter *waiter, uint64_t deadline_ns)
{
    bool ready;
    int r = 0;

    while (!(ready = waiter->ready(waiter->arg)) && r == 0) {
        waiter_join(baton, waiter); /* again, where other threads were faster */
        r = baton->holder == NULL ? hold(baton, waiter, deadline_ns)
                                  : waiter_sleep(baton, waiter, deadline_ns);
    }
    waiter_leave(baton, waiter);
    if (baton->holder == NULL && !TAILQ_EMPTY(&baton->waiters))
        waiter_wake(baton, TAILQ_FIRST(&baton->waiters));
    baton->left(baton->arg);
    return ready ? 0 : r;
}

void fipc_baton_finish(struct fipc_baton *baton, struct fipc_waiter *waiter)
{
    waiter_leave(baton, waiter);
    waiter_wake(baton, waiter);
}

bool fipc_baton_is_anyone_ready(const struct fipc_baton *baton)
{
    const struct fipc_waiter *waiter;

    TAILQ_FOREACH(waiter, &baton->waiters, entry) {
        if (waiter->ready(waiter->arg))
            return true;
    }
    return false;
}

bool fipc_baton_wake_ready(struct fipc_baton *baton)
{
    struct fipc_waiter *waiter, *next;
    bool any = false;

    for (waiter = TAILQ_FIRST(&baton->waiters); waiter != NULL; waiter = next) {
        next = TAILQ_NEXT(waiter, entry);
        if (waiter->ready(waiter->arg)) {
            fipc_baton_finish(baton, waiter);
            any = true;
        }
    }
    return any;
}

void fipc_baton_awake(struct fipc_baton *baton)
{
    eventfd_t count;

    if (baton->is_kicked)
        (void)eventfd_read(baton->wake_fd, &count);
    baton->is_kicked = false;
    baton->asleep_on = NULL;
    baton->asleep_for_room = false;
}

void fipc_baton_kick(struct fipc_baton *baton)
{
    if (baton->asleep_on == NULL)
        return;
    /* the broker may have claimed its sleep, and ring later */
    (void)fipc_end_disarm(baton->asleep_on);
    if (!baton->asleep_on_lane)
        fipc_end_wake(baton->asleep_on);
    else if (!baton->is_kicked)
        baton->is_kicked = eventfd_write(baton->wake_fd, 1) == 0;
}

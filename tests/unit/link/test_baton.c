/* SPDX-License-Identifier: MIT */
/* The baton: which thread makes progress, and how it goes from one to the next. The test plays the
 * holder's step. */
#include "client/link/baton.h"

#include "common/clock.h"
#include "common/end.h"
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fipc_baton baton;
static unsigned n_steps, n_left;
static int step_r;              /* what a step returns */
static void (*step_does)(void); /* under the lock; NULL: nothing */
static bool step_blocks;        /* it waits for step_ends, without the lock */
static sem_t step_began, step_ends;

static int step(void *arg, uint64_t deadline_ns)
{
    ck_assert_ptr_eq(arg, &n_steps);
    ck_assert_uint_gt(deadline_ns, 0);
    n_steps++;
    if (step_blocks) {
        (void)pthread_mutex_unlock(&lock);
        (void)sem_post(&step_began);
        while (sem_wait(&step_ends) < 0)
            continue;
        (void)pthread_mutex_lock(&lock);
    }
    if (step_does != NULL)
        step_does();
    return step_r;
}

static void left(void *arg)
{
    ck_assert_ptr_eq(arg, &n_steps);
    n_left++;
}

static void make_baton(void)
{
    fipc_baton_init(&baton, &lock, 0, step, left, &n_steps);
    n_steps = n_left = 0;
    step_r = 0;
    step_does = NULL;
    step_blocks = false;
    (void)sem_init(&step_began, 0, 0);
    (void)sem_init(&step_ends, 0, 0);
}

static bool flag_is_set(void *flag) { return *(bool *)flag; }

/* ---- one thread ---- */

GROUP(alone, .fixtures = {{make_baton, NULL}});

static bool is_there;

static void make_it_there(void) { is_there = n_steps == 3; }

static int wait_alone(bool at_once)
{
    struct fipc_waiter waiter = {.ready = flag_is_set, .arg = &is_there};
    int r;

    is_there = at_once;
    (void)pthread_mutex_lock(&lock);
    r = fipc_baton_wait(&baton, &waiter, FIPC_NEVER);
    ck_assert_ptr_null(baton.holder);
    ck_assert(TAILQ_EMPTY(&baton.waiters));
    (void)pthread_mutex_unlock(&lock);
    ck_assert_uint_eq(n_left, 1);
    return r;
}

static const struct {
    bool at_once;
    int step_r;
    bool comes; /* by the third step */
    int r;
    unsigned n_steps;
} waits[] = {
    {true, 0, false, 0, 0},                    /* looks first */
    {false, 0, true, 0, 3},                    /* steps until it is there */
    {false, -ETIMEDOUT, false, -ETIMEDOUT, 1}, /* a step that fails ends the wait */
    {false, -ECONNREFUSED, false, -ECONNREFUSED, 1},
};

LOOP_TEST(the_holder_steps_until_it_is_ready, COUNT_OF(waits))
{
    step_r = waits[_i].step_r;
    step_does = waits[_i].comes ? make_it_there : NULL;
    ck_assert_int_eq(wait_alone(waits[_i].at_once), waits[_i].r);
    ck_assert_uint_eq(n_steps, waits[_i].n_steps);
}

static void set_there(void) { is_there = true; }

TEST(being_ready_counts_more_than_a_failed_step)
{
    step_r = -ETIMEDOUT;
    step_does = set_there;
    ck_assert_int_eq(wait_alone(false), 0);
}

/* ---- several threads ---- */

struct thread {
    pthread_t id;
    bool is_ready;
    bool wants_room;
    uint64_t deadline_ns;
    struct fipc_waiter waiter;
    int r;
};

static struct thread first, second, third;

static void *wait_in_thread(void *arg)
{
    struct thread *thread = arg;

    (void)pthread_mutex_lock(&lock);
    thread->r = fipc_baton_wait(&baton, &thread->waiter, thread->deadline_ns);
    (void)pthread_mutex_unlock(&lock);
    return NULL;
}

static unsigned n_waiting(void)
{
    struct fipc_waiter *waiter;
    unsigned n = 0;

    TAILQ_FOREACH(waiter, &baton.waiters, entry)
        n++;
    return n;
}

/* Starts a thread, and waits until it is the @nth in the row. */
static void thread_start(struct thread *thread, unsigned nth, bool wants_room, uint64_t deadline_ns)
{
    unsigned n;

    *thread = (struct thread){.wants_room = wants_room, .deadline_ns = deadline_ns, .r = 1};
    thread->waiter = (struct fipc_waiter){
        .ready = flag_is_set, .arg = &thread->is_ready, .wants_room = wants_room};
    ck_assert_int_eq(pthread_create(&thread->id, NULL, wait_in_thread, thread), 0);
    do {
        (void)sched_yield();
        (void)pthread_mutex_lock(&lock);
        n = n_waiting();
        (void)pthread_mutex_unlock(&lock);
    } while (n < nth);
}

static int thread_join(struct thread *thread)
{
    ck_assert_int_eq(pthread_join(thread->id, NULL), 0);
    return thread->r;
}

static void make_crowd(void)
{
    make_baton();
    step_blocks = true;
    thread_start(&first, 1, false, FIPC_NEVER);
    while (sem_wait(&step_began) < 0)
        continue;
    thread_start(&second, 2, false, FIPC_NEVER);
    thread_start(&third, 3, false, FIPC_NEVER);
}

/* Lets the step that runs end. */
static void end_step(void (*does)(void), int r)
{
    (void)pthread_mutex_lock(&lock);
    step_does = does;
    step_r = r;
    (void)pthread_mutex_unlock(&lock);
    (void)sem_post(&step_ends);
}

static struct thread *holder_after_next_step_began(void)
{
    struct fipc_waiter *holder;

    while (sem_wait(&step_began) < 0)
        continue;
    (void)pthread_mutex_lock(&lock);
    holder = baton.holder;
    (void)pthread_mutex_unlock(&lock);
    return holder == &first.waiter ? &first : holder == &second.waiter ? &second : &third;
}

GROUP(crowds, .fixtures = {{make_crowd, NULL}});

static void ready_all(void)
{
    first.is_ready = second.is_ready = third.is_ready = true;
    ck_assert(fipc_baton_is_anyone_ready(&baton));
    ck_assert(fipc_baton_wake_ready(&baton));
    ck_assert(TAILQ_EMPTY(&baton.waiters));
    ck_assert(!fipc_baton_wake_ready(&baton));
}

TEST(one_holder_completes_all)
{
    end_step(ready_all, 0);
    ck_assert_int_eq(thread_join(&first), 0);
    ck_assert_int_eq(thread_join(&second), 0);
    ck_assert_int_eq(thread_join(&third), 0);
    ck_assert_uint_eq(n_steps, 1); /* the others never held it */
    ck_assert_uint_eq(n_left, 3);
}

static void finish_third(void)
{
    third.is_ready = true;
    fipc_baton_finish(&baton, &third.waiter);
    ck_assert_uint_eq(n_waiting(), 2);
}

TEST(a_waiter_that_is_finished_goes_while_the_others_wait)
{
    end_step(finish_third, 0);
    ck_assert_int_eq(thread_join(&third), 0);
    ck_assert_ptr_eq(holder_after_next_step_began(), &first); /* still */
    end_step(ready_all, 0);
    ck_assert_int_eq(thread_join(&first), 0);
    ck_assert_int_eq(thread_join(&second), 0);
}

static void ready_first(void) { first.is_ready = true; }
static void ready_holder(void) { *(bool *)baton.holder->arg = true; }

static const struct {
    void (*does)(void);
    int r;
} departures[] = {
    {ready_first, 0},      /* it has its answer */
    {NULL, -ETIMEDOUT},    /* its time is over */
    {NULL, -ECONNREFUSED}, /* no progress is possible */
};

LOOP_TEST(a_holder_that_leaves_hands_on_in_order, COUNT_OF(departures))
{
    end_step(departures[_i].does, departures[_i].r);
    ck_assert_int_eq(thread_join(&first), departures[_i].r);
    (void)pthread_mutex_lock(&lock);
    step_r = 0;
    (void)pthread_mutex_unlock(&lock);
    ck_assert_ptr_eq(holder_after_next_step_began(), &second); /* first come, first to hold */
    end_step(ready_holder, 0);
    ck_assert_int_eq(thread_join(&second), 0);
    ck_assert_ptr_eq(holder_after_next_step_began(), &third);
    end_step(ready_holder, 0);
    ck_assert_int_eq(thread_join(&third), 0);
    ck_assert_uint_eq(n_steps, 3);
}

TEST(a_sleeper_whose_time_is_over_leaves_the_holder_alone)
{
    struct thread hasty;

    thread_start(&hasty, 0, false, fipc_now_ns() + 5 * FIPC_NS_PER_MS);
    ck_assert_int_eq(thread_join(&hasty), -ETIMEDOUT);
    ck_assert_ptr_eq(baton.holder, &first.waiter);
    ck_assert_uint_eq(n_steps, 1);
    end_step(ready_all, 0);
    ck_assert_int_eq(thread_join(&first), 0);
    ck_assert_int_eq(thread_join(&second), 0);
    ck_assert_int_eq(thread_join(&third), 0);
}

/* ---- kicks ---- */

static struct fipc_end end_;

static bool is_armed(void) { return fipc_end_seems_asleep(&end_); }

static const struct {
    bool asleep_for_room; /* the holder */
    bool wants_room;      /* the newcomer */
    bool is_kicked;
} kicks[] = {
    {false, false, false},
    {false, true, true},
    {true, true, false},
    {true, false, false},
};

LOOP_TEST(a_newcomer_that_wants_room_has_the_holder_look, COUNT_OF(kicks))
{
    struct thread newcomer;

    fipc_end_init(&end_);
    (void)pthread_mutex_lock(&lock);
    baton.asleep_on = &end_;
    baton.asleep_for_room = kicks[_i].asleep_for_room;
    fipc_end_arm(&end_, FIPC_END_ASLEEP_FUTEX);
    (void)pthread_mutex_unlock(&lock);
    thread_start(&newcomer, 4, kicks[_i].wants_room, FIPC_NEVER);
    (void)pthread_mutex_lock(&lock); /* it sleeps, or is about to: it gave up the lock */
    ck_assert_int_eq(is_armed(), !kicks[_i].is_kicked);
    ck_assert_uint_eq(baton.n_want_room, kicks[_i].wants_room);
    newcomer.is_ready = true;
    fipc_baton_finish(&baton, &newcomer.waiter);
    ck_assert_uint_eq(baton.n_want_room, 0);
    baton.asleep_on = NULL;
    (void)pthread_mutex_unlock(&lock);
    ck_assert_int_eq(thread_join(&newcomer), 0);
    end_step(ready_all, 0);
    ck_assert_int_eq(thread_join(&first), 0);
    ck_assert_int_eq(thread_join(&second), 0);
    ck_assert_int_eq(thread_join(&third), 0);
}

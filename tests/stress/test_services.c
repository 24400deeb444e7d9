/* SPDX-License-Identifier: MIT */
/*
 * Many callers and workers, of which some are stopped, or killed at random: every call ends, in the
 * right way, and nobody waits for others.
 *
 * FIPC_KILL_MS: how long workers are killed.
 */
#include "tests/integration/service_fixture.h"
#include "tests/suite.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLERS 100
#define WORKERS 4
/* A call that has to wait for somebody who is stopped takes that long. */
#define STOPPED_MS 5000
/* What a call takes at most on a machine that is busy with a hundred of them. */
#define BUSY_NS_MAX (FIPC_NS_PER_S)
#define WORK_MS_MAX 3

/* ---- workers, in processes of their own ---- */

/* Answers by the request, after a moment at times. */
static void work(fipc_request *request, void *userdata)
{
    uint64_t *random = userdata;
    const struct timespec moment = {.tv_nsec =
                                        (long)(random_below(random, WORK_MS_MAX) * FIPC_NS_PER_MS)};

    if (random_below(random, 10) == 0)
        (void)nanosleep(&moment, NULL);
    (void)fipc_reply(request, fipc_request_data(request), fipc_request_size(request));
}

static pid_t worker_start(const char *name, unsigned concurrency, uint64_t random)
{
    const fipc_options options = options_for_broker();
    fipc_client *worker;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fipc_connect(&worker, &options) < 0 ||
        fipc_serve(worker, name, concurrency, work, &random) < 0)
        _exit(1);
    while (fipc_dispatch(worker, -1) >= 0)
        continue;
    _exit(0);
}

static void worker_kill(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* ---- callers, in threads with a client each ---- */

struct caller {
    pthread_t thread;
    int number;
    unsigned flags;
    uint64_t end_ns;
    uint64_t slowest_ns;
    unsigned long calls, answered, lost, lost_thrice, unserved;
};

static void tally(struct caller *caller, int r)
{
    caller->calls++;
    if (r == 0)
        caller->answered++;
    else if (r == -ECONNRESET && (caller->flags & FIPC_IDEMPOTENT) == 0)
        caller->lost++;
    else if (r == -ECONNRESET)
        caller->lost_thrice++;
    else if (r == -ENOENT && (caller->flags & FIPC_WAIT_SERVICE) == 0)
        caller->unserved++;
    else
        ck_abort_msg("caller %d: %s", caller->number, fipc_strerror(r));
}

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    const fipc_options options = options_for_broker();
    fipc_client *own;

    EXPECT(fipc_connect(&own, &options) == 0);
    while (fipc_now_ns() < caller->end_ns) {
        uint64_t data[] = {(uint64_t)caller->number, caller->calls}, before_ns = fipc_now_ns();
        fipc_message *reply;
        int r = fipc_call(own, SERVICE, data, sizeof(data), caller->flags, PATIENT_MS, &reply);

        tally(caller, r);
        if (fipc_now_ns() - before_ns > caller->slowest_ns)
            caller->slowest_ns = fipc_now_ns() - before_ns;
        if (r < 0)
            continue;
        EXPECT(fipc_size(reply) == sizeof(data) &&
               memcmp(fipc_data(reply), data, sizeof(data)) == 0);
        fipc_free(reply);
    }
    fipc_unref(own);
    return NULL;
}

static struct caller callers[CALLERS];

static void callers_start(int count, uint64_t span_ns, unsigned flags_of_odd_ones)
{
    for (int i = 0; i < count; i++) {
        callers[i] = (struct caller){
            .number = i,
            .flags = FIPC_WAIT_SERVICE | (i % 2 != 0 ? flags_of_odd_ones : 0),
            .end_ns = fipc_now_ns() + span_ns,
        };
        if (i % 4 == 2)
            callers[i].flags = 0;
        callers[i].thread = thread_start(call_on, &callers[i]);
    }
}

static struct caller callers_join(int count)
{
    struct caller sum = {0};

    for (int i = 0; i < count; i++) {
        thread_join(callers[i].thread);
        sum.calls += callers[i].calls;
        sum.answered += callers[i].answered;
        sum.lost += callers[i].lost;
        sum.lost_thrice += callers[i].lost_thrice;
        sum.unserved += callers[i].unserved;
        if (callers[i].slowest_ns > sum.slowest_ns)
            sum.slowest_ns = callers[i].slowest_ns;
    }
    return sum;
}

/* ---- stopped ones ---- */

/* A caller that submits all it can and never takes a reply. */
static pid_t greedy_start(void)
{
    static const char data[1000];
    struct raw_client greedy = RAW_CLIENT_EMPTY;
    uint32_t target;
    uint64_t id;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (raw_open_session(&greedy, broker.socket, 0, 0) < 0 ||
        raw_open_name(&greedy, SERVICE, &target) < 0)
        _exit(1);
    while (raw_send_request(&greedy, target, data, sizeof(data), &id) == 0)
        continue;
    (void)raise(SIGSTOP);
    _exit(0);
}

GROUP(services, .timeout = 300, .fixtures = {{set_up_client, tear_down_client}});

TEST(stopped_worker_and_stopped_caller_delay_nobody)
{
    pid_t workers[WORKERS], stopped, greedy;
    struct background_call calls[2];
    struct caller sum;
    int status;

    stopped = worker_start(SERVICE ".stopped", 2, 1);
    ck_assert_int_eq(fipc_wait(client, SERVICE ".stopped", PATIENT_MS), 0);
    ck_assert_int_eq(kill(stopped, SIGSTOP), 0);
    for (int i = 0; i < WORKERS; i++)
        workers[i] = worker_start(SERVICE, 8, (uint64_t)i + 1);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    greedy = greedy_start();
    ck_assert_int_eq(waitpid(greedy, &status, WUNTRACED), greedy);
    ck_assert(WIFSTOPPED(status));

    /* threads come after all forks: a sanitizer's locks do not survive these */
    for (int i = 0; i < 2; i++)
        background_start(&calls[i], SERVICE ".stopped", 0, STOPPED_MS);
    callers_start(CALLERS, 2 * FIPC_NS_PER_S, FIPC_IDEMPOTENT);
    sum = callers_join(CALLERS);
    printf("%lu calls of %d callers beside a stopped worker and a stopped caller, the slowest "
           "%.1f ms\n",
           sum.calls, CALLERS, (double)sum.slowest_ns / 1e6);
    ck_assert_uint_eq(sum.answered, sum.calls);
    ck_assert_uint_lt(sum.slowest_ns, BUSY_NS_MAX * (test_scaled(4) < 4 ? 4 : 1));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(background_join(&calls[i]), -ETIMEDOUT);
    for (int i = 0; i < WORKERS; i++)
        worker_kill(workers[i]);
    worker_kill(stopped);
    worker_kill(greedy);
}

/* ---- killed ones ---- */

static uint64_t kill_ns(void)
{
    const char *text = getenv("FIPC_KILL_MS");

    if (text != NULL)
        return strtoull(text, NULL, 10) * FIPC_NS_PER_MS;
    return (uint64_t)test_scaled(5000) * FIPC_NS_PER_MS;
}

/* Kills workers and starts others, then keeps the last ones. A process of its own, which has one
 * thread: the allocator of a sanitizer is not there for a child that another thread forked. */
static void kill_workers(uint64_t random, uint64_t end_ns, _Atomic unsigned *n_kills)
{
    pid_t workers[WORKERS];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < WORKERS; i++)
        workers[i] = worker_start(SERVICE, 1 + (unsigned)i, (uint64_t)i + 1);
    for (; fipc_now_ns() < end_ns; atomic_fetch_add(n_kills, 1)) {
        const struct timespec rest = {.tv_nsec =
                                          (long)(random_below(&random, 30) * FIPC_NS_PER_MS)};
        uint64_t i = random_below(&random, WORKERS);

        (void)nanosleep(&rest, NULL);
        worker_kill(workers[i]);
        workers[i] = worker_start(SERVICE, 1 + (unsigned)i, random);
    }
    for (;;)
        (void)pause();
}

TEST(every_call_is_accounted_for_while_workers_are_killed)
{
    uint64_t seed = fipc_now_ns(), end_ns = seed + kill_ns();
    _Atomic unsigned *n_kills =
        mmap(NULL, sizeof(*n_kills), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct caller sum;
    pid_t killer;

    ck_assert_ptr_ne(n_kills, MAP_FAILED);
    killer = fork();
    ck_assert_int_ge(killer, 0);
    if (killer == 0)
        kill_workers(seed, end_ns, n_kills);
    callers_start(16, kill_ns(), FIPC_IDEMPOTENT);
    sum = callers_join(16);
    printf("%u workers killed (seed %llu), %lu calls: %lu answered, %lu lost, %lu lost three "
           "times, %lu unserved, the slowest %.1f ms\n",
           atomic_load(n_kills), (unsigned long long)seed, sum.calls, sum.answered, sum.lost,
           sum.lost_thrice, sum.unserved, (double)sum.slowest_ns / 1e6);
    ck_assert_uint_eq(sum.answered + sum.lost + sum.lost_thrice + sum.unserved, sum.calls);
    ck_assert_uint_le(sum.lost_thrice, sum.lost);
    ck_assert_uint_gt(sum.answered, 0);
    worker_kill(killer); /* and its workers with it */
    (void)munmap(n_kills, sizeof(*n_kills));
    TEST_WAIT_FOR(reported("handlers.live") == 1);
    ck_assert_int_eq(reported("deliveries.unknown_replies"), 0);
}

/* ---- callers who always have many calls open ---- */

#define EAGER_MAX 3
#define ALONE_MS_MAX 1000

/* Submits a call for each one that ends. */
struct eager {
    pthread_t thread;
    unsigned window, n_open;
    uint64_t end_ns, answered_ns, longest_ns;
    unsigned long answered;
};

static void note_pause(struct eager *eager)
{
    uint64_t now_ns = fipc_now_ns();

    if (now_ns - eager->answered_ns > eager->longest_ns)
        eager->longest_ns = now_ns - eager->answered_ns;
    eager->answered_ns = now_ns;
}

static void eager_answered(int error, const fipc_message *reply, void *userdata)
{
    struct eager *eager = userdata;

    (void)reply;
    EXPECT(error == 0);
    eager->n_open--;
    eager->answered++;
    note_pause(eager);
}

static void *call_eagerly(void *arg)
{
    struct eager *eager = arg;
    const fipc_options options = options_for_broker();
    fipc_client *own;

    EXPECT(fipc_connect(&own, &options) == 0);
    eager->answered_ns = fipc_now_ns();
    while (fipc_now_ns() < eager->end_ns) {
        for (; eager->n_open < eager->window; eager->n_open++)
            EXPECT(fipc_submit(own, SERVICE, "x", 1, 0, PATIENT_MS, eager_answered, eager, NULL) ==
                   0);
        EXPECT(fipc_dispatch(own, 100) >= 0);
    }
    note_pause(eager);
    fipc_unref(own);
    return NULL;
}

/* Has callers with these windows (0: none) call; none of them goes without an answer for long. */
static void expect_all_are_answered(const unsigned windows[EAGER_MAX])
{
    struct eager eagers[EAGER_MAX];
    uint64_t end_ns = fipc_now_ns() + 3 * FIPC_NS_PER_S;

    for (int i = 0; i < EAGER_MAX; i++) {
        eagers[i] = (struct eager){.window = windows[i], .end_ns = end_ns};
        if (windows[i] > 0)
            eagers[i].thread = thread_start(call_eagerly, &eagers[i]);
    }
    for (int i = 0; i < EAGER_MAX; i++) {
        if (windows[i] == 0)
            continue;
        thread_join(eagers[i].thread);
        printf("%lu answers with %u calls open, the longest time without one %.1f ms\n",
               eagers[i].answered, windows[i], (double)eagers[i].longest_ns / 1e6);
        ck_assert_uint_lt(eagers[i].longest_ns,
                          (uint64_t)ALONE_MS_MAX * FIPC_NS_PER_MS * (test_scaled(4) < 4 ? 4 : 1));
    }
}

static void ignore_answer(int error, const fipc_message *reply, void *userdata)
{
    (void)error;
    (void)reply;
    (void)userdata;
}

TEST(callers_who_have_more_open_than_queues_hold_are_all_answered)
{
    pid_t worker = worker_start(SERVICE, 8, 1);

    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    expect_all_are_answered((const unsigned[EAGER_MAX]){400, 400, 400});
    worker_kill(worker);
}

/* The requests that wait for a stopped worker fill more than half of the queues, and stay. */
LOOP_TEST(callers_beside_a_full_queue_of_a_stopped_worker_are_all_answered, 2)
{
    static const int counts[] = {800, 960};
    pid_t worker = worker_start(SERVICE, 8, 1), stopped = worker_start(SERVICE ".stopped", 1, 1);
    int count = counts[_i];

    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    ck_assert_int_eq(fipc_wait(client, SERVICE ".stopped", PATIENT_MS), 0);
    ck_assert_int_eq(kill(stopped, SIGSTOP), 0);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(fipc_submit(client, SERVICE ".stopped", "x", 1, 0, PATIENT_MS,
                                     ignore_answer, NULL, NULL),
                         0);
    TEST_WAIT_FOR(reported("handlers.live") == count + 1);
    expect_all_are_answered((const unsigned[EAGER_MAX]){150, 150, 0});
    worker_kill(worker);
    worker_kill(stopped);
}

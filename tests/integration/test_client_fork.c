/* SPDX-License-Identifier: MIT */
/* A child of fork(2) cannot use the client of its parent, and may release it. */
#include "tests/integration/fork_fixture.h"

#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

/* ---- the child ---- */

static void expect_no_data(fipc_message *loan)
{
    EXPECT(fipc_data(loan) == NULL);
    EXPECT(fipc_loan_data(loan) == NULL);
    EXPECT(fipc_size(loan) == 0);
}

static void expect_reply_readable(void)
{
    EXPECT(fipc_size(reply) == 5 && memcmp(fipc_data(reply), "reply", 5) == 0);
    EXPECT(fipc_loan_data(reply) == NULL);
}

GROUP(forks, .timeout = 60, .fixtures = {{set_up, tear_down}});

/* A child inherits a request in hand, submitted calls and the fd: it may let go of all of them, and
 * the parent goes on as if nothing had been. */
LOOP_TEST(child_lets_go_of_requests_and_submitted_calls, 2)
{
    const fipc_options options = options_for_broker();
    fipc_client *own;
    int before;
    pid_t pid;

    ck_assert_int_eq(fipc_connect(&own, &options), 0);
    ck_assert_int_eq(fipc_serve(own, "com.example.kept", 2, keep, NULL), 0);
    ck_assert_int_eq(
        fipc_submit(own, "com.example.kept", "data", 4, 0, PATIENT_MS, note_end, NULL, NULL), 0);
    ck_assert_int_ge(fipc_fd(own), 0);
    while (kept == NULL)
        ck_assert_int_ge(fipc_dispatch(own, PATIENT_MS), 0);
    before = atomic_load(&n_ended);
    pid = fork();
    if (pid == 0) {
        EXPECT(memcmp(fipc_request_data(kept), "data", 4) == 0);
        EXPECT(fipc_request_is_cancelled(kept) == 1);
        EXPECT(fipc_peer_pidfd(kept) == -ECHILD);
        if (_i % 2 == 0)
            EXPECT(fipc_reply(kept, "child", 5) == -ECHILD);
        fipc_unref(own);
        exit(0);
    }
    ck_assert_int_eq(wait_for_exit(pid), 0);
    ck_assert_int_eq(fipc_request_is_cancelled(kept), 0);
    ck_assert_int_eq(fipc_reply(kept, "parent", 6), 0);
    while (atomic_load(&n_ended) == before)
        ck_assert_int_ge(fipc_dispatch(own, PATIENT_MS), 0);
    fipc_unref(own);
}

TEST(child_cannot_use_what_it_inherits)
{
    pid_t pid = fork_child();

    if (pid == 0) {
        fipc_message *untouched = NULL;

        expect_unusable();
        expect_no_data(loan_in_ring);
        expect_no_data(loan_on_heap);
        EXPECT(fipc_send(loan_in_ring, 0, PATIENT_MS, &untouched) == -ECHILD);
        EXPECT(fipc_send(loan_on_heap, 0, PATIENT_MS, &untouched) == -ECHILD);
        expect_reply_readable();
        EXPECT(fipc_send(reply, 0, PATIENT_MS, &untouched) == -EINVAL);
        EXPECT(untouched == NULL);
        EXPECT(fipc_ref(client) == client);
        fipc_unref(client);
        expect_unusable();
        fipc_unref(client);
        _exit(0);
    }
    ck_assert_int_eq(wait_for_exit(pid), 0);
}

static bool holds_nothing_once_released(void)
{
    char now[16384];

    release_all();
    list_holdings(now, sizeof(now));
    return strcmp(now, holdings_before()) == 0;
}

/* Return: 0 the child holds nothing more */
static int release_in_child(void)
{
    pid_t pid = fork_child();

    if (pid == 0)
        _exit(holds_nothing_once_released() ? 0 : 1);
    return wait_for_exit(pid);
}

TEST(child_releases_all_that_it_inherits) { ck_assert_int_eq(release_in_child(), 0); }

/* The child does not inherit the region: something of its own can be there by then. */
TEST(child_keeps_what_it_maps_where_its_parent_has_the_region)
{
    uintptr_t page = (uintptr_t)fipc_loan_data(loan_in_ring) / GUARD_BYTES * GUARD_BYTES;
    pid_t pid = fork_child();

    if (pid == 0) {
        void *mapped = mmap((void *)page, GUARD_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

        EXPECT(mapped == (void *)page);
        pattern_fill(mapped, GUARD_BYTES, 7);
        release_all();
        EXPECT(pattern_matches(mapped, GUARD_BYTES, 7));
        _exit(0);
    }
    ck_assert_int_eq(wait_for_exit(pid), 0);
}

TEST(child_connects_by_itself)
{
    pid_t pid = fork_child();

    if (pid == 0) {
        connect_anew();
        fipc_unref(client);
        open_client();
        EXPECT(echo(client, 100, 1) == 0);
        pid = fork_child(); /* and so does its own */
        if (pid == 0) {
            expect_unusable();
            connect_anew();
            _exit(0);
        }
        _exit(wait_for_exit(pid));
    }
    expect_parent_undisturbed();
    ck_assert_int_eq(wait_for_exit(pid), 0);
}

/* ---- other threads of the parent are inside ---- */

/* The next bell that is rung waits, and with it a thread that holds the lock of its client. */
static atomic_bool bell_waits;
static sem_t bell_is_held, bell_may_ring;

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names them */
int __real_eventfd_write(int fd, eventfd_t value);
int __wrap_eventfd_write(int fd, eventfd_t value);

int __wrap_eventfd_write(int fd, eventfd_t value)
{
    if (atomic_exchange(&bell_waits, false)) {
        (void)sem_post(&bell_is_held);
        (void)sem_wait(&bell_may_ring);
    }
    return __real_eventfd_write(fd, value);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void *call_until_it_rings(void *arg)
{
    while (atomic_load(&bell_waits)) {
        test_pause(); /* until the broker sleeps */
        EXPECT(echo(client, 100, 1) == 0);
    }
    return arg;
}

TEST(child_does_not_wait_for_a_lock_that_is_held)
{
    pthread_t thread;
    pid_t pid;

    ck_assert_int_eq(sem_init(&bell_is_held, 0, 0), 0);
    ck_assert_int_eq(sem_init(&bell_may_ring, 0, 0), 0);
    atomic_store(&bell_waits, true);
    thread = thread_start(call_until_it_rings, NULL);
    ck_assert_int_eq(sem_wait(&bell_is_held), 0);
    pid = fork_child();
    if (pid == 0) {
        expect_unusable();
        EXPECT(fipc_ref(client) == client);
        fipc_unref(client);
        release_all();
        connect_anew();
        _exit(0);
    }
    ck_assert_int_eq(wait_for_exit(pid), 0);
    ck_assert_int_eq(sem_post(&bell_may_ring), 0);
    thread_join(thread);
}

static atomic_int sleeper_tid;

static void *call_without_room(void *arg)
{
    atomic_store(&sleeper_tid, gettid());
    EXPECT(echo(client, 1000, 1) == 0);
    return arg;
}

/* Whether a thread sleeps in futex(2). */
static bool sleeps(int tid)
{
    char path[64], line[256] = "";
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    if (fgets(line, sizeof(line), file) == NULL)
        line[0] = '\0';
    (void)fclose(file);
    return strtol(line, NULL, 10) == SYS_futex;
}

/* The thread that reads for all in the parent, and waits for room too, is not there in the child.
 */
TEST(child_releases_all_while_others_wait)
{
    pthread_t thread;
    int r, tries = 1;

    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    do
        r = fipc_call(client, "fipc.echo", held_before, 1000, FIPC_NO_WAIT, 0, NULL);
    while (r == -ETIMEDOUT);
    ck_assert_int_eq(r, -EAGAIN);
    thread = thread_start(call_without_room, NULL);
    TEST_WAIT_FOR(sleeps(atomic_load(&sleeper_tid)));
    while (release_in_child() != 0) /* the sleeper wakes up now and then, and takes the lock */
        ck_assert_int_lt(tries++, TRIES);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
    thread_join(thread);
}

static atomic_bool forking;

static void *call_and_lend(void *arg)
{
    for (uint64_t i = 0; atomic_load(&forking); i++) {
        fipc_message *loan;

        EXPECT(echo(client, 200, i) == 0);
        for (int k = 0; k < 50; k++) {
            EXPECT(fipc_loan(client, "fipc.echo", 200, &loan) == 0);
            fipc_free(loan);
        }
    }
    return arg;
}

/* The locks that are held for a moment only: some of the children find them held. */
TEST(fork_in_the_middle_of_calls_harms_nobody)
{
    pthread_t threads[3];

    atomic_store(&forking, true);
    for (int i = 0; i < 3; i++)
        threads[i] = thread_start(call_and_lend, NULL);
    for (int i = 0; i < test_scaled(100); i++) {
        pid_t pid = fork_child();

        if (pid == 0) {
            expect_unusable();
            release_all();
            _exit(0);
        }
        ck_assert_int_eq(wait_for_exit(pid), 0);
    }
    atomic_store(&forking, false);
    for (int i = 0; i < 3; i++)
        thread_join(threads[i]);
}

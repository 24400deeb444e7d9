/* SPDX-License-Identifier: MIT */
/* The process forks: what its child can do, and that the parent notices nothing of it. */
#include "tests/integration/client_fixture.h"

#include <fcntl.h>
#include <fipc/service.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

/* ---- the parent ---- */

/* What a child inherits beside the session. */
static fipc_message *reply, *loan_in_ring, *loan_on_heap;

/* How often the parent calls; one of its sleeps lasts 50 ms if it is not woken. Most of them are
 * this fast only if it is; a busy machine has three tries. */
#define ROUNDS 9
#define FAST_NS (25 * FIPC_NS_PER_MS)
#define TRIES 3

static bool most_calls_are_fast(void)
{
    int n_fast = 0;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start_ns = fipc_now_ns();

        ck_assert_int_eq(delay(client, 2, PATIENT_MS), 0);
        n_fast += fipc_now_ns() - start_ns < FAST_NS;
    }
    return n_fast > ROUNDS / 2;
}

/* A session that was lost would be another one by now, with other fds and another region. */
static char held_before[16384];

static void expect_parent_undisturbed(void)
{
    char held[16384];
    int tries = 1;

    while (!most_calls_are_fast())
        ck_assert_int_lt(tries++, TRIES);
    list_holdings(held, sizeof(held));
    ck_assert_str_eq(held, held_before);
}

static void set_up(void)
{
    set_up_client();
    ck_assert_int_eq(fipc_call(client, "fipc.echo", "reply", 5, 0, PATIENT_MS, &reply), 0);
    /* one at a time has its room in the ring */
    ck_assert_int_eq(fipc_loan(client, "fipc.echo", 100, &loan_in_ring), 0);
    ck_assert_int_eq(fipc_loan(client, "fipc.echo", 100, &loan_on_heap), 0);
    pattern_fill(fipc_loan_data(loan_in_ring), 100, 1);
    pattern_fill(fipc_loan_data(loan_on_heap), 100, 2);
    list_holdings(held_before, sizeof(held_before));
}

static void send_loan(fipc_message *loan, uint64_t id)
{
    fipc_message *echoed;

    ck_assert(pattern_matches(fipc_data(loan), 100, id));
    ck_assert_int_eq(fipc_send(loan, 0, PATIENT_MS, &echoed), 0);
    ck_assert(pattern_matches(fipc_data(echoed), 100, id));
    fipc_free(echoed);
}

/* After all that children did the parent goes on with what it has. */
static void tear_down(void)
{
    expect_parent_undisturbed();
    send_loan(loan_in_ring, 1);
    send_loan(loan_on_heap, 2);
    ck_assert_mem_eq(fipc_data(reply), "reply", 5);
    fipc_free(reply);
    tear_down_client();
}

/* ---- the child ---- */

/* A child that waits for a lock for ever ends anyhow, and is seen to. */
static pid_t fork_child(void)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        (void)alarm(PATIENT_MS / 1000);
    return pid;
}

static _Atomic int n_ended;

static void note_end(int error, const fipc_message *message, void *userdata)
{
    (void)message;
    (void)userdata;
    EXPECT(error == 0);
    atomic_fetch_add(&n_ended, 1);
}

static fipc_request *kept;

static void keep(fipc_request *request, void *userdata)
{
    (void)userdata;
    kept = request;
}

static void expect_unusable(void)
{
    fipc_message *untouched = NULL;

    EXPECT(fipc_call(client, "fipc.echo", "x", 1, 0, PATIENT_MS, &untouched) == -ECHILD);
    EXPECT(fipc_call(client, "fipc.echo", "x", 1, FIPC_NO_WAIT, 0, NULL) == -ECHILD);
    EXPECT(fipc_loan(client, "fipc.echo", 1, &untouched) == -ECHILD);
    EXPECT(untouched == NULL);
    EXPECT(fipc_wait(client, "fipc.echo", 0) == -ECHILD);
    EXPECT(fipc_submit(client, "fipc.echo", "x", 1, 0, 1, note_end, NULL, NULL) == -ECHILD);
    EXPECT(fipc_cancel(client, 1) == -ECHILD);
    EXPECT(fipc_fd(client) == -ECHILD);
    EXPECT(fipc_dispatch(client, -1) == -ECHILD);
    EXPECT(fipc_serve(client, "com.example.child", 1, keep, NULL) == -ECHILD);
}

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

static void release_all(void)
{
    fipc_free(reply);
    fipc_free(loan_in_ring);
    fipc_free(loan_on_heap);
    fipc_unref(client);
}

static void connect_anew(void)
{
    const fipc_options options = options_for_broker();
    fipc_client *own;

    EXPECT(fipc_connect(&own, &options) == 0);
    EXPECT(echo(own, 100, 1) == 0);
    fipc_unref(own);
    EXPECT(fipc_call_once(&options, "fipc.ping", NULL, 0, PATIENT_MS, NULL) == 0);
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

/* ---- how a child ends ---- */

static void end_at_once(void) { _exit(0); }

static void end_with_handlers(void)
{
    EXPECT(atexit(release_all) == 0);
    exit(0);
}

static void end_by_exec(void)
{
    (void)execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

/* As daemons do. */
static void end_without_fds(void)
{
    EXPECT(close_range(3, ~0U, 0) == 0);
    expect_unusable();
    release_all();
    _exit(0);
}

static void end_after_its_session(void)
{
    release_all();
    connect_anew();
    _exit(0);
}

static void end_by_signal(void) { (void)raise(SIGKILL); }

static const struct {
    void (*end)(void);
    int status; /* as from wait_for_exit() */
} ends[] = {
    {end_at_once, 0},     {end_with_handlers, 0},     {end_by_exec, 0},
    {end_without_fds, 0}, {end_after_its_session, 0}, {end_by_signal, -1},
};

/* Holds a process until the other end is closed. */
static void wait_for_end_of(const int *pipe_fds)
{
    char byte;

    (void)close(pipe_fds[1]);
    EXPECT(read(pipe_fds[0], &byte, 1) == 0);
}

LOOP_TEST(end_of_a_child_harms_nobody, COUNT_OF(ends))
{
    int pipe_fds[2];
    pid_t pid;

    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = fork_child();
    if (pid == 0) {
        wait_for_end_of(pipe_fds);
        ends[_i].end();
    }
    ck_assert_int_eq(close(pipe_fds[0]), 0);
    ck_assert(most_calls_are_fast() || most_calls_are_fast());
    ck_assert_int_eq(close(pipe_fds[1]), 0);
    ck_assert_int_eq(wait_for_exit(pid), ends[_i].status);
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

/* Who reads for all in the parent, and waits for room too, is not there in the child. */
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

/* ---- exec ---- */

#define LIST "/proc/self/fd"

/* What fds a program has that is executed, by fork(2) or as by vfork(2). */
static void list_of_forked(char *text, size_t size)
{
    int pipe_fds[2];
    ssize_t length;
    pid_t pid;

    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(pipe_fds[1], STDOUT_FILENO);
        (void)execl("/bin/ls", "ls", LIST, (char *)NULL);
        _exit(1);
    }
    ck_assert_int_eq(close(pipe_fds[1]), 0);
    ck_assert_int_eq(wait_for_exit(pid), 0); /* so little finds room in a pipe */
    length = read(pipe_fds[0], text, size - 1);
    ck_assert_int_gt(length, 0);
    text[length] = '\0';
    ck_assert_int_eq(close(pipe_fds[0]), 0);
}

static void list_of_spawned(char *text, size_t size)
{
    /* NOLINTNEXTLINE(cert-env33-c): the command is ours, run by posix_spawn(3) */
    FILE *out = popen("exec ls " LIST, "re");

    ck_assert_ptr_nonnull(out);
    text[fread(text, 1, size - 1, out)] = '\0';
    ck_assert_int_eq(pclose(out), 0);
}

static void (*const lists[])(char *text, size_t size) = {list_of_forked, list_of_spawned};

static void *connect_slowly(void *arg)
{
    connect_anew();
    return arg;
}

static void *call_once_slowly(void *arg)
{
    const fipc_options options = options_for_broker();

    EXPECT(fipc_call_once(&options, "fipc.ping", NULL, 0, PATIENT_MS, NULL) == 0);
    return arg;
}

static void *(*const greets[])(void *arg) = {connect_slowly, call_once_slowly};

static bool holds_more_than(const char *before)
{
    char now[16384];

    list_holdings(now, sizeof(now));
    return strlen(now) > strlen(before);
}

GROUP(fds, .timeout = 60, .fixtures = {{set_up_broker, tear_down_client}});

LOOP_TEST(program_that_is_executed_inherits_no_fd, COUNT_OF(lists) * COUNT_OF(greets))
{
    void (*list)(char *text, size_t size) = lists[_i / COUNT_OF(greets)];
    char before[4096], with_session[4096], while_greeting[4096];
    pthread_t thread;

    list(before, sizeof(before));
    open_client();
    list(with_session, sizeof(with_session));
    ck_assert_str_eq(with_session, before);

    list_holdings(held_before, sizeof(held_before));
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    thread = thread_start(greets[_i % COUNT_OF(greets)], NULL);
    TEST_WAIT_FOR(holds_more_than(held_before));
    list(while_greeting, sizeof(while_greeting));
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
    thread_join(thread);
    ck_assert_str_eq(while_greeting, before);
}

/* ---- the parent ends its session ---- */

static long long slots_taken(struct test_witness *witness)
{
    return test_witness_number(witness, "slots.taken");
}

TEST(child_does_not_keep_its_parents_session_open)
{
    struct test_witness witness;
    int pipe_fds[2];
    pid_t pid;

    open_client();
    ck_assert_int_eq(echo(client, 100, 1), 0);
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = fork_child();
    if (pid == 0) {
        wait_for_end_of(pipe_fds);
        _exit(0);
    }
    close_client();
    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(slots_taken(&witness) == 1);
    test_witness_close(&witness);

    ck_assert_int_eq(close(pipe_fds[0]), 0);
    ck_assert_int_eq(close(pipe_fds[1]), 0);
    ck_assert_int_eq(wait_for_exit(pid), 0);
}

static bool becomes_quiet(int fd)
{
    struct pollfd dispatchable = {.fd = fd, .events = POLLIN};

    ck_assert_int_ge(fipc_dispatch(client, 0), 0);
    return poll(&dispatchable, 1, 0) == 0;
}

TEST(child_does_not_keep_a_lost_lane_in_its_parents_fd)
{
    int pipe_fds[2], fd;
    pid_t pid;

    open_client();
    fd = fipc_fd(client);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = fork_child();
    if (pid == 0) {
        wait_for_end_of(pipe_fds);
        _exit(0);
    }
    test_broker_kill(&broker);
    test_broker_start(&broker, NULL);
    ck_assert_int_eq(echo(client, 100, 1), 0);
    TEST_WAIT_FOR(becomes_quiet(fd));

    ck_assert_int_eq(close(pipe_fds[0]), 0);
    ck_assert_int_eq(close(pipe_fds[1]), 0);
    ck_assert_int_eq(wait_for_exit(pid), 0);
}

/* SPDX-License-Identifier: MIT */
/* A child of fork(2) ends and executes programs: its parent notices nothing of either. */
#include "tests/integration/fork_fixture.h"

#include <fcntl.h>
#include <poll.h>

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

GROUP(ends, .timeout = 60, .fixtures = {{set_up, tear_down}});

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
    expect_fast_calls();
    ck_assert_int_eq(close(pipe_fds[1]), 0);
    ck_assert_int_eq(wait_for_exit(pid), ends[_i].status);
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

/* SPDX-License-Identifier: MIT */

#include "common/clock.h"
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define N_SLEEPERS 4

static const enum fipc_futex_scope scopes[] = {FIPC_FUTEX_PRIVATE, FIPC_FUTEX_SHARED};

struct sleeper {
    pthread_t thread;
    _Atomic uint32_t *word;
    enum fipc_futex_scope scope;
    _Atomic pid_t tid;
    int result;
    _Atomic bool awake;
};

static void *sleep_once(void *argument)
{
    struct sleeper *sleeper = argument;

    sleeper->tid = gettid();
    sleeper->result = fipc_futex_wait(sleeper->word, 1, FIPC_NEVER, sleeper->scope);
    sleeper->awake = true;
    return NULL;
}

static void start_sleepers(struct sleeper *sleepers, int count, _Atomic uint32_t *word,
                           enum fipc_futex_scope scope)
{
    for (int i = 0; i < count; i++) {
        sleepers[i] = (struct sleeper){.word = word, .scope = scope};
        ck_assert_int_eq(pthread_create(&sleepers[i].thread, NULL, sleep_once, &sleepers[i]), 0);
        while (sleepers[i].tid == 0)
            (void)sched_yield();
        wait_until_blocked(getpid(), sleepers[i].tid, SYS_futex, (unsigned long)word);
    }
}

static void join_sleepers(struct sleeper *sleepers, int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(pthread_join(sleepers[i].thread, NULL), 0);
        ck_assert_int_eq(sleepers[i].result, 0);
    }
}

GROUP(futex, .fixtures = {HOLDINGS_KEPT});

LOOP_TEST(wait_returns_at_once_when_the_word_differs, COUNT_OF(scopes))
{
    _Atomic uint32_t word = 2;

    ck_assert_int_eq(fipc_futex_wait(&word, 1, FIPC_NEVER, scopes[_i]), 0);
    ck_assert_int_eq(fipc_futex_wait(&word, 1, 1, scopes[_i]), 0);
}

LOOP_TEST(wait_ends_at_its_absolute_deadline_and_not_before, COUNT_OF(scopes))
{
    _Atomic uint32_t word = 1;
    uint64_t deadline_ns = fipc_now_ns() + 20 * FIPC_NS_PER_MS;

    ck_assert_int_eq(fipc_futex_wait(&word, 1, deadline_ns, scopes[_i]), -ETIMEDOUT);
    ck_assert_uint_ge(fipc_now_ns(), deadline_ns);
}

LOOP_TEST(deadline_of_the_past_times_out, COUNT_OF(scopes))
{
    static const uint64_t past[] = {0, 1, FIPC_NS_PER_S - 1, FIPC_NS_PER_S};
    _Atomic uint32_t word = 1;

    for (size_t i = 0; i < sizeof(past) / sizeof(past[0]); i++)
        ck_assert_int_eq(fipc_futex_wait(&word, 1, past[i], scopes[_i]), -ETIMEDOUT);
}

LOOP_TEST(wake_ends_a_wait_without_deadline, COUNT_OF(scopes))
{
    _Atomic uint32_t word = 1;
    struct sleeper sleeper;

    start_sleepers(&sleeper, 1, &word, scopes[_i]);
    fipc_futex_wake(&word, 1, scopes[_i]);
    join_sleepers(&sleeper, 1);
}

static int count_awake(const struct sleeper *sleepers, int *ret_last_asleep)
{
    int n_awake = 0;

    for (int i = 0; i < N_SLEEPERS; i++) {
        if (sleepers[i].awake)
            n_awake++;
        else
            *ret_last_asleep = i;
    }
    return n_awake;
}

LOOP_TEST(wake_wakes_as_many_as_it_was_told, COUNT_OF(scopes))
{
    struct sleeper sleepers[N_SLEEPERS];
    _Atomic uint32_t word = 1;
    int last = -1;

    start_sleepers(sleepers, N_SLEEPERS, &word, scopes[_i]);
    fipc_futex_wake(&word, N_SLEEPERS - 1, scopes[_i]);
    while (count_awake(sleepers, &last) < N_SLEEPERS - 1)
        (void)sched_yield();

    wait_until_blocked(getpid(), sleepers[last].tid, SYS_futex, (unsigned long)&word);
    fipc_futex_wake(&word, 1, scopes[_i]);
    join_sleepers(sleepers, N_SLEEPERS);
}

LOOP_TEST(wake_can_wake_all, COUNT_OF(scopes))
{
    struct sleeper sleepers[N_SLEEPERS];
    _Atomic uint32_t word = 1;

    start_sleepers(sleepers, N_SLEEPERS, &word, scopes[_i]);
    fipc_futex_wake(&word, INT_MAX, scopes[_i]);
    join_sleepers(sleepers, N_SLEEPERS);
}

static void ignore_signal(int number) { (void)number; }

LOOP_TEST(signal_ends_a_wait, COUNT_OF(scopes))
{
    struct sigaction action = {.sa_handler = ignore_signal};
    _Atomic uint32_t word = 1;
    struct sleeper sleeper;

    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    start_sleepers(&sleeper, 1, &word, scopes[_i]);
    ck_assert_int_eq(pthread_kill(sleeper.thread, SIGUSR1), 0);
    join_sleepers(&sleeper, 1);
}

LOOP_TEST(bad_address_is_reported, COUNT_OF(scopes))
{
    ck_assert_int_eq(fipc_futex_wait(guarded_new(0), 1, FIPC_NEVER, scopes[_i]), -EFAULT);
}

/* ---- between processes ---- */

static _Atomic uint32_t *map_word(int fd, int protection)
{
    void *word = mmap(NULL, GUARD_BYTES, protection, MAP_SHARED, fd, 0);

    ck_assert_ptr_ne(word, MAP_FAILED);
    return word;
}

TEST(shared_word_wakes_another_process_that_may_only_read_it)
{
    int fd = memfd_create("word", MFD_CLOEXEC), child_word[2];
    _Atomic uint32_t *word, *address;
    pid_t child;

    ck_assert_int_eq(ftruncate(fd, GUARD_BYTES), 0);
    ck_assert_int_eq(pipe(child_word), 0);
    word = map_word(fd, PROT_READ | PROT_WRITE);
    *word = 1;

    child = fork();
    if (child == 0) {
        address = mmap(NULL, GUARD_BYTES, PROT_READ, MAP_SHARED, fd, 0);
        if (write(child_word[1], &address, sizeof(address)) != (ssize_t)sizeof(address))
            _exit(2);
        _exit(fipc_futex_wait(address, 1, FIPC_NEVER, FIPC_FUTEX_SHARED) == 0 ? 0 : 1);
    }
    ck_assert_int_eq(read(child_word[0], &address, sizeof(address)), sizeof(address));
    wait_until_blocked(child, child, SYS_futex, (unsigned long)address);
    fipc_futex_wake(word, 1, FIPC_FUTEX_SHARED);
    ck_assert_int_eq(wait_for_exit(child), 0);

    (void)munmap(word, GUARD_BYTES);
    (void)close(fd);
    (void)close(child_word[0]);
    (void)close(child_word[1]);
}

/* SPDX-License-Identifier: MIT */
/* Signals interrupt whatever the client does: no call is cut short by EINTR or prolonged. */
#include "tests/integration/sigpipe_fixture.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/random.h>

/* ---- system calls that are interrupted ---- */

/* Those that the library makes in this thread. */
static _Thread_local bool interrupting;
static _Thread_local unsigned n_system_calls;

/* More often than not: a call that is tried just once more is interrupted again. */
static bool is_interrupted(void)
{
    if (!interrupting || n_system_calls++ % 4 == 3)
        return false;
    errno = EINTR;
    return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names them */
int __real_clock_nanosleep(clockid_t clock, int flags, const struct timespec *span,
                           struct timespec *left);
int __real_connect(int fd, const struct sockaddr *address, socklen_t size);
ssize_t __real_getrandom(void *buffer, size_t size, unsigned flags);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *span,
                 const sigset_t *mask);
ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *span,
                           struct timespec *left);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *span,
                 const sigset_t *mask);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);

int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *span,
                           struct timespec *left)
{
    return is_interrupted() ? EINTR : __real_clock_nanosleep(clock, flags, span, left);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    return is_interrupted() ? -1 : __real_connect(fd, address, size);
}

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags)
{
    return is_interrupted() ? -1 : __real_getrandom(buffer, size, flags);
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return is_interrupted() ? -1 : __real_poll(fds, count, timeout_ms);
}

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *span,
                 const sigset_t *mask)
{
    return is_interrupted() ? -1 : __real_ppoll(fds, count, span, mask);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
    return is_interrupted() ? -1 : __real_recvmsg(fd, message, flags);
}

/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- a storm ---- */

#define STORM_NS (100 * FIPC_NS_PER_US)

static atomic_int n_signals;

static void count_it(int signal_number)
{
    (void)signal_number;
    atomic_fetch_add(&n_signals, 1);
}

/* Has signals come to this thread. */
static timer_t storm_begin(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    const struct itimerspec interval = {
        .it_interval = {.tv_nsec = (long)STORM_NS},
        .it_value = {.tv_nsec = (long)STORM_NS},
    };
    timer_t timer;

    event._sigev_un._tid = gettid(); /* sigev_notify_thread_id(3), which glibc does not name */
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    ck_assert_int_eq(timer_settime(timer, 0, &interval, NULL), 0);
    return timer;
}

static void storm_end(timer_t timer) { ck_assert_int_eq(timer_delete(timer), 0); }

/* ---- what is done meanwhile ---- */

static void expect_at_deadline(uint64_t start_ns)
{
    EXPECT(ms_since(start_ns) >= SHORT_MS);
    EXPECT(ms_since(start_ns) < PATIENT_MS / 2);
}

static void connect_and_close(void)
{
    const fipc_options options = options_for_broker();

    for (int i = 0; i < 10; i++) {
        fipc_client *own;

        EXPECT(fipc_connect(&own, &options) == 0);
        EXPECT(echo(own, 100, 1) == 0);
        fipc_unref(own);
    }
}

static void connect_to_nobody(void)
{
    const fipc_options options = {
        .size = sizeof(options), .socket = "/nowhere/control.sock", .connect_timeout_ms = SHORT_MS};
    fipc_client *none = NULL;
    uint64_t start_ns = fipc_now_ns();

    EXPECT(fipc_connect(&none, &options) == -ECONNREFUSED);
    expect_at_deadline(start_ns);
    EXPECT(none == NULL);
}

static void call_often(void)
{
    for (int i = 0; i < test_scaled(1000); i++)
        EXPECT(echo(client, 1000, (uint64_t)i) == 0);
}

static void call_slowly(void)
{
    uint64_t start_ns = fipc_now_ns();

    EXPECT(delay(client, SHORT_MS, PATIENT_MS) == 0);
    expect_at_deadline(start_ns);
}

static void call_in_vain(void)
{
    uint64_t start_ns = fipc_now_ns();

    EXPECT(delay(client, PATIENT_MS, SHORT_MS) == -ETIMEDOUT);
    expect_at_deadline(start_ns);
}

static fipc_message *lend(const char *service, const char *text)
{
    fipc_message *loan;

    EXPECT(fipc_loan(client, service, strlen(text), &loan) == 0);
    memcpy(fipc_loan_data(loan), text, strlen(text));
    return loan;
}

static void send_loans(void)
{
    uint64_t start_ns;

    for (int i = 0; i < 10; i++) {
        fipc_message *reply;

        EXPECT(fipc_send(lend("fipc.echo", "lent"), 0, PATIENT_MS, &reply) == 0);
        EXPECT(fipc_size(reply) == 4 && memcmp(fipc_data(reply), "lent", 4) == 0);
        fipc_free(reply);
        fipc_free(lend("fipc.echo", "kept"));
    }
    start_ns = fipc_now_ns();
    EXPECT(fipc_send(lend("fipc.delay", "20000"), 0, SHORT_MS, NULL) == -ETIMEDOUT);
    expect_at_deadline(start_ns);
}

static void call_once(void)
{
    static const unsigned char large[10000];
    const fipc_options options = options_for_broker();
    uint64_t start_ns;

    for (int i = 0; i < 5; i++) {
        EXPECT(fipc_call_once(&options, "fipc.delay", "5", 1, PATIENT_MS, NULL) == 0);
        EXPECT(fipc_call_once(&options, "fipc.echo", large, sizeof(large), PATIENT_MS, NULL) == 0);
    }
    start_ns = fipc_now_ns();
    EXPECT(fipc_call_once(&options, "fipc.delay", "20000", 5, SHORT_MS, NULL) == -ETIMEDOUT);
    expect_at_deadline(start_ns);
}

static void (*const deeds[])(void) = {
    connect_and_close, connect_to_nobody, call_often, call_slowly,
    call_in_vain,      send_loans,        call_once,
};

GROUP(signals, .timeout = 60, .fixtures = {{set_up_client, tear_down_client}});

LOOP_TEST(interrupted_system_calls_are_made_again, COUNT_OF(deeds))
{
    interrupting = true;
    deeds[_i]();
    interrupting = false;
}

#define THREADS 4

static void *do_in_storm(void *arg)
{
    timer_t storm = storm_begin();

    deeds[*(const int *)arg]();
    storm_end(storm);
    return NULL;
}

LOOP_TEST(storm_of_signals_is_not_noticed, COUNT_OF(deeds))
{
    pthread_t threads[THREADS];

    handle(SIGALRM, count_it);
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(do_in_storm, &_i);
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    ck_assert_int_gt(atomic_load(&n_signals), 0);
}

static void *do_everything_in_storm(void *arg)
{
    int first = *(const int *)arg;
    timer_t storm = storm_begin();

    for (int i = 0; i < COUNT_OF(deeds); i++)
        deeds[(first + i) % COUNT_OF(deeds)]();
    storm_end(storm);
    return NULL;
}

TEST(storm_over_different_calls_is_not_noticed)
{
    pthread_t threads[THREADS];
    int firsts[THREADS];

    handle(SIGALRM, count_it);
    for (int i = 0; i < THREADS; i++) {
        firsts[i] = i;
        threads[i] = thread_start(do_everything_in_storm, &firsts[i]);
    }
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
}

static void call_for_an_answer(void)
{
    EXPECT(fipc_call(client, "fipc.echo", "x", 1, 0, SHORT_MS, NULL) == -ETIMEDOUT);
}

static void call_for_room(void)
{
    static const unsigned char data[1000];
    uint64_t start_ns;
    int r;

    do
        r = fipc_call(client, "fipc.echo", data, sizeof(data), FIPC_NO_WAIT, 0, NULL);
    while (r == -ETIMEDOUT);
    EXPECT(r == -EAGAIN);
    start_ns = fipc_now_ns();
    EXPECT(fipc_call(client, "fipc.echo", data, sizeof(data), 0, SHORT_MS, NULL) == -ETIMEDOUT);
    expect_at_deadline(start_ns);
}

static void connect_to_who_hangs(void)
{
    fipc_options options = options_for_broker();
    fipc_client *none;

    options.connect_timeout_ms = SHORT_MS;
    EXPECT(fipc_connect(&none, &options) == -ECONNREFUSED);
}

static void call_once_who_hangs(void)
{
    const fipc_options options = options_for_broker();

    EXPECT(fipc_call_once(&options, "fipc.ping", NULL, 0, SHORT_MS, NULL) == -ECONNREFUSED);
}

static void (*const vain_deeds[])(void) = {
    call_for_an_answer,
    call_for_room,
    connect_to_who_hangs,
    call_once_who_hangs,
};

/* A broker that lives ends what takes too long by itself. */
LOOP_TEST(deadline_is_kept_in_a_storm_of_signals_while_the_broker_hangs, COUNT_OF(vain_deeds))
{
    uint64_t start_ns;
    timer_t storm;

    ck_assert_int_eq(echo(client, 1, 1), 0);
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    handle(SIGALRM, count_it);
    start_ns = fipc_now_ns();
    storm = storm_begin();
    vain_deeds[_i]();
    storm_end(storm);
    expect_at_deadline(start_ns);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
}

/* ---- death ---- */

#define TOLD_MS 100
#define TRIES 3

static void *call_interrupted(void *arg)
{
    timer_t storm = storm_begin();

    interrupting = true;
    (void)call_in_flight(arg);
    interrupting = false;
    storm_end(storm);
    return NULL;
}

/* Return: how long it took until the caller knew */
static uint64_t kill_in_storm(void)
{
    struct in_flight call;
    pthread_t thread = thread_start(call_interrupted, &call);
    uint64_t killed_ns;

    wait_until_taken(1);
    killed_ns = fipc_now_ns();
    test_broker_kill(&broker);
    thread_join(thread);
    ck_assert_int_eq(call.error, -ECONNRESET);
    test_broker_start(&broker, NULL);
    ck_assert_int_eq(echo(client, 100, 1), 0);
    return call.told_ns - killed_ns;
}

TEST(death_is_told_within_100_ms_in_a_storm_of_signals)
{
    int tries = 1;

    handle(SIGALRM, count_it);
    while (kill_in_storm() >= TOLD_MS * FIPC_NS_PER_MS)
        ck_assert_int_lt(tries++, TRIES); /* of a machine that is busy */
}

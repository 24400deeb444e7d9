/* SPDX-License-Identifier: MIT */
/* Calm clients hardly notice one that misbehaves. */
#include "common/os/os.h"
#include "tests/stress/fairness_fixture.h"
#include "tests/suite.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* ---- a nuisance: a process whose client misbehaves on demand ---- */

/* What it does. Return: how many replies it had, all of which were right; -1: one was not */
typedef long misbehave_fn(int gate_fd);

struct nuisance {
    pid_t pid;
    int gate_fd; /* ours; the process has the other end */
    misbehave_fn *misbehave;
};

/* Of the process. */
static uint32_t nuisance_echo, nuisance_delay;

static bool is_told_to_end(int gate_fd)
{
    char byte;

    return recv(gate_fd, &byte, 1, MSG_DONTWAIT) == 1;
}

/* Fills the request ring with echoes. Return: the number of requests. */
static long send_all_that_fits(size_t size)
{
    static const char data[LARGE_BYTES];
    long count = 0;
    uint64_t id;

    while (raw_send_request(&flooder, nuisance_echo, data, size, &id) == 0)
        count++;
    return count;
}

static bool is_reply(size_t size)
{
    return flooder.header.kind == FIPC_KIND_REPLY && flooder.header.status == 0 &&
           flooder.payload_bytes == size;
}

static long receive_replies(long count, size_t size)
{
    for (long i = 0; i < count; i++) {
        if (raw_receive_record(&flooder) < 0 || !is_reply(size))
            return -1;
    }
    return count;
}

/* Waits for room or a reply. A flooder that spins would measure the scheduler: it would hold a CPU
 * that the others need. */
static void wait_for_news(void)
{
    uint32_t word = FIPC_END_ASLEEP_FUTEX | FIPC_END_ROOM;
    struct fipc_end *own = flooder.channel.own;

    fipc_end_arm(own, word);
    if (!fipc_consumer_has_news(&flooder.channel.in) &&
        fipc_producer_has_room(&flooder.channel.out, FLOOD_BYTES) == 0)
        (void)fipc_end_sleep(own, word, fipc_now_ns() + 10 * FIPC_NS_PER_MS);
    (void)fipc_end_disarm(own);
}

/* Keeps the request ring full and takes the replies. */
static long flood(int gate_fd)
{
    long n_open = 0, n_replies = 0;

    while (!is_told_to_end(gate_fd)) {
        long n_sent = send_all_that_fits(FLOOD_BYTES), n_taken = 0;

        for (; raw_try_receive_record(&flooder) == 0; n_taken++) {
            if (!is_reply(FLOOD_BYTES))
                return -1;
        }
        n_open += n_sent - n_taken;
        n_replies += n_taken;
        if (n_sent + n_taken == 0)
            wait_for_news();
    }
    return receive_replies(n_open, FLOOD_BYTES) < 0 ? -1 : n_replies + n_open;
}

/* Keeps the request ring full and takes no reply before the end. */
static long leave_replies(int gate_fd)
{
    long n_open = 0;

    while (!is_told_to_end(gate_fd)) {
        n_open += send_all_that_fits(LARGE_BYTES);
        test_pause();
    }
    return receive_replies(n_open, LARGE_BYTES);
}

/* Is stopped while calls are open, and finds their replies when it goes on. */
static long stop_in_calls(int gate_fd)
{
    static const char ms[] = "20";
    const long n_calls = 8;
    uint64_t id;

    for (long i = 0; i < n_calls; i++) {
        if (raw_send_request(&flooder, nuisance_delay, ms, sizeof(ms) - 1, &id) < 0)
            return -1;
    }
    (void)raise(SIGSTOP);
    (void)is_told_to_end(gate_fd);
    return receive_replies(n_calls, 0);
}

static void __attribute__((noreturn)) run_nuisance(int gate_fd, misbehave_fn *misbehave)
{
    char byte = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (raw_open_session(&flooder, broker.socket, 0, 0) < 0 ||
        raw_open_name(&flooder, "fipc.echo", &nuisance_echo) < 0 ||
        raw_open_name(&flooder, "fipc.delay", &nuisance_delay) < 0)
        _exit(EXIT_FAILURE);
    while (send(gate_fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(gate_fd, &byte, 1, 0) == 1) {
        long n_replies = misbehave(gate_fd);

        if (n_replies < 0 || send(gate_fd, &n_replies, sizeof(n_replies), MSG_NOSIGNAL) < 0)
            _exit(EXIT_FAILURE);
    }
    _exit(EXIT_SUCCESS);
}

static void nuisance_await_ready(const struct nuisance *nuisance)
{
    char byte;

    ck_assert_int_eq(recv(nuisance->gate_fd, &byte, 1, 0), 1);
}

static void nuisance_start(struct nuisance *nuisance, misbehave_fn *misbehave)
{
    int gate[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate), 0);
    nuisance->gate_fd = gate[0];
    nuisance->misbehave = misbehave;
    nuisance->pid = fork();
    ck_assert_int_ge(nuisance->pid, 0);
    if (nuisance->pid == 0) {
        (void)close(gate[0]);
        run_nuisance(gate[1], misbehave);
    }
    (void)close(gate[1]);
    nuisance_await_ready(nuisance);
}

static void nuisance_tell(const struct nuisance *nuisance)
{
    ck_assert_int_eq(send(nuisance->gate_fd, "", 1, MSG_NOSIGNAL), 1);
}

static void nuisance_begin(const struct nuisance *nuisance)
{
    int status;

    nuisance_tell(nuisance);
    if (nuisance->misbehave == stop_in_calls) {
        ck_assert_int_eq(waitpid(nuisance->pid, &status, WUNTRACED), nuisance->pid);
        ck_assert(WIFSTOPPED(status));
    }
}

/* Return: how many replies it had since nuisance_begin(). */
static long nuisance_end(const struct nuisance *nuisance)
{
    long n_replies;

    /* the flooder keeps the broker busy; no other client may */
    if (nuisance->misbehave != flood)
        TEST_WAIT_FOR(crowd_broker_is_asleep(&broker));
    nuisance_tell(nuisance);
    if (nuisance->misbehave == stop_in_calls)
        ck_assert_int_eq(kill(nuisance->pid, SIGCONT), 0);
    ck_assert_int_eq(recv(nuisance->gate_fd, &n_replies, sizeof(n_replies), 0), sizeof(n_replies));
    nuisance_await_ready(nuisance);
    return n_replies;
}

static void nuisance_free(struct nuisance *nuisance)
{
    int status;

    nuisance->gate_fd = fd_close(nuisance->gate_fd);
    ck_assert_int_eq(waitpid(nuisance->pid, &status, 0), nuisance->pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

/* ---- how long calm clients wait for their replies ---- */

struct times {
    uint64_t p50[ROUNDS_MAX], p99[ROUNDS_MAX];
};

static int compare_times(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

/* Sorts the values. */
static uint64_t percentile(uint64_t *values, int count, int percent)
{
    qsort(values, (size_t)count, sizeof(values[0]), compare_times);
    return values[count * percent / 100];
}

static void sleep_until(uint64_t when_ns)
{
    const struct timespec when = {
        .tv_sec = (time_t)(when_ns / FIPC_NS_PER_S),
        .tv_nsec = (long)(when_ns % FIPC_NS_PER_S),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) {
    }
}

/* The calm clients call one after the other, and sleep until the reply is there. */
static void measure_calm(struct times *times, int round)
{
    uint64_t took_ns[CALLS_PER_PHASE], due_ns = fipc_now_ns();

    for (int i = 0; i < CALLS_PER_PHASE; i++) {
        int number = (round * CALLS_PER_PHASE + i) % CALM_CLIENTS;
        uint64_t start_ns;

        sleep_until(due_ns += CALM_PERIOD_NS);
        start_ns = fipc_now_ns();
        ck_assert_int_eq(crowd_call(&calm[number], calm_target[number], i), 0);
        took_ns[i] = fipc_now_ns() - start_ns;
        if (due_ns < start_ns)
            due_ns = start_ns;
    }
    times->p50[round] = percentile(took_ns, CALLS_PER_PHASE, 50);
    times->p99[round] = percentile(took_ns, CALLS_PER_PHASE, 99);
}

static double median_us(const uint64_t *values, int count)
{
    uint64_t copy[ROUNDS_MAX];

    memcpy(copy, values, (size_t)count * sizeof(copy[0]));
    return (double)percentile(copy, count, 50) / (double)FIPC_NS_PER_US;
}

static void print_times(const char *what, const struct times *times, int n_rounds)
{
    (void)printf("99 calm clients %s: p50 %.1f us, p99 %.1f us\n", what,
                 median_us(times->p50, n_rounds), median_us(times->p99, n_rounds));
}

static int set_priority(pid_t pid, int priority)
{
    const struct sched_param parameter = {.sched_priority = priority};

    return sched_setscheduler(pid, priority > 0 ? SCHED_RR : SCHED_OTHER, &parameter);
}

/* Gives the broker and the nuisance priority over all else that runs on this machine, and the one
 * that hardly runs over the one that always does, as the fair scheduler has it. Return: whether
 * that is allowed */
static bool have_machine_alone(const struct nuisance *nuisance)
{
    return set_priority(0, 2) == 0 && set_priority(broker.pid, 1) == 0 &&
           set_priority(nuisance->pid, 1) == 0;
}

/* Calm clients alone and beside the nuisance in turn, round by round; the medians over the rounds
 * are compared. Where other programs compete for the CPUs, the slowest calls show these, and only
 * the middle ones the broker. Return: how many replies the nuisance had */
static long compare(misbehave_fn *misbehave, const char *what)
{
    int n_rounds = 0, enough = test_scaled(ROUNDS);
    struct times alone, beside;
    struct nuisance nuisance;
    double ratio_p50, ratio_p99;
    bool undisturbed;
    long n_replies = 0;

    test_broker_start_with(&broker, "{}");
    open_calm_clients("fipc.echo");
    nuisance_start(&nuisance, misbehave);
    undisturbed = have_machine_alone(&nuisance);
    do {
        for (; n_rounds < enough; n_rounds++) {
            measure_calm(&alone, n_rounds);
            nuisance_begin(&nuisance);
            measure_calm(&beside, n_rounds);
            n_replies += nuisance_end(&nuisance);
        }
        ratio_p50 = median_us(beside.p50, n_rounds) / median_us(alone.p50, n_rounds);
        ratio_p99 = median_us(beside.p99, n_rounds) / median_us(alone.p99, n_rounds);
        enough += test_scaled(ROUNDS);
    } while (ratio_p99 > RATIO_MAX && enough <= ROUNDS_MAX); /* a longer look, before it is said */
    (void)set_priority(0, 0);
    nuisance_free(&nuisance);

    print_times("alone", &alone, n_rounds);
    print_times(what, &beside, n_rounds);
    (void)printf("ratio %.2f and %.2f over %d rounds%s\n", ratio_p50, ratio_p99, n_rounds,
                 undisturbed ? "" : "; not allowed to run before other programs");
    (void)fflush(stdout);
    ck_assert_double_le(ratio_p50, RATIO_MAX);
    if (undisturbed)
        ck_assert_double_le(ratio_p99, RATIO_MAX);
    return n_replies;
}

GROUP(fairness, .timeout = 60, .fixtures = {{setup, teardown}});

TEST(calm_clients_hardly_notice_one_that_floods)
{
    long n_replies = compare(flood, "beside one that floods");

    (void)printf("%ld replies to the flooder\n", n_replies);
    ck_assert_int_gt(n_replies, test_scaled(ROUNDS) * CALLS_PER_PHASE);
}

TEST(calm_clients_hardly_notice_one_that_takes_no_replies)
{
    (void)compare(leave_replies, "beside one that takes no replies");
    ck_assert_int_eq(test_broker_log_lines(&broker, "warning"), 0);
}

TEST(calm_clients_hardly_notice_one_that_is_stopped_in_a_call)
{
    (void)compare(stop_in_calls, "beside one that is stopped");
    ck_assert_int_eq(test_broker_log_lines(&broker, "warning"), 0);
}

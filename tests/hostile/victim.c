/* SPDX-License-Identifier: MIT */
#include "tests/hostile/victim.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "fipc/client.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS FIPC_NS_PER_MS
#define DEADLINE_MS 1000
#define CALLS_MAX ((size_t)1 << 21) /* of half an hour */

struct victim_diary {
    _Atomic size_t calls;
    struct {
        uint32_t took_ns;
        int32_t error;
    } entries[CALLS_MAX];
};

/* A process that answers a bell with another: what two wake-ups cost now. */
struct echo {
    int bells[2];
};

/* Whom it calls. */
struct callee {
    fipc_client *client; /* NULL: the echo */
    struct echo echo;
};

void victim_stay_on(enum victim_cpu which)
{
    static cpu_set_t allowed; /* before anybody was bound to one */
    cpu_set_t one;
    size_t cpu = 0, left = which;

    if (CPU_COUNT(&allowed) == 0)
        ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    if (CPU_COUNT(&allowed) < 2)
        return;
    while (!CPU_ISSET(cpu, &allowed) || left-- > 0)
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

static int call_broker(fipc_client *client, size_t number)
{
    fipc_message *reply;
    int r = fipc_call(client, "fipc.echo", &number, sizeof(number), 0, DEADLINE_MS, &reply);

    if (r < 0)
        return r;
    if (fipc_size(reply) != sizeof(number) ||
        memcmp(fipc_data(reply), &number, sizeof(number)) != 0)
        r = -EBADMSG;
    fipc_free(reply);
    return r;
}

/* Waits for a bell with poll(2), as the broker does, and takes what it counted. */
static int await_bell(int bell_fd)
{
    struct pollfd bell = {.fd = bell_fd, .events = POLLIN};
    eventfd_t count;

    while (poll(&bell, 1, -1) < 0 || eventfd_read(bell_fd, &count) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static int call_echo(const struct echo *echo)
{
    return eventfd_write(echo->bells[0], 1) < 0 ? -errno : await_bell(echo->bells[1]);
}

/* A process that rings back until this one is gone. */
static void echo_open(struct echo *echo)
{
    echo->bells[0] = eventfd(0, EFD_CLOEXEC);
    echo->bells[1] = eventfd(0, EFD_CLOEXEC);
    if (echo->bells[0] < 0 || echo->bells[1] < 0)
        _exit(1);
    if (fork() != 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    victim_stay_on(VICTIM_CPU_OF_BROKER);
    while (await_bell(echo->bells[0]) == 0)
        (void)eventfd_write(echo->bells[1], 1);
    _exit(0);
}

static void callee_open(struct callee *callee, const char *socket)
{
    const fipc_options options = {.size = sizeof(options), .socket = socket};

    callee->client = NULL;
    if (socket == NULL)
        echo_open(&callee->echo);
    else if (fipc_connect(&callee->client, &options) < 0)
        _exit(1);
}

static void __attribute__((noreturn)) live(struct victim_diary *diary, const char *socket)
{
    struct callee callee;
    uint64_t due_ns, ended_ns = 0;

    callee_open(&callee, socket);
    due_ns = fipc_now_ns();
    for (size_t number = 0; number < CALLS_MAX; number++, due_ns += PERIOD_NS) {
        struct timespec due = {.tv_sec = (time_t)(due_ns / FIPC_NS_PER_S),
                               .tv_nsec = (long)(due_ns % FIPC_NS_PER_S)};
        uint64_t began_ns, took_ns;
        int r;

        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        /* a call that comes too late because the one before took long has begun when it was due */
        began_ns = ended_ns > due_ns ? due_ns : fipc_now_ns();
        r = callee.client != NULL ? call_broker(callee.client, number) : call_echo(&callee.echo);
        ended_ns = fipc_now_ns();
        took_ns = ended_ns - began_ns;
        diary->entries[number].took_ns = took_ns < UINT32_MAX ? (uint32_t)took_ns : UINT32_MAX;
        diary->entries[number].error = r;
        /* release: pairs with the acquire in victim_calls() */
        atomic_store_explicit(&diary->calls, number + 1, memory_order_release);
    }
    _exit(0);
}

void victim_start(struct victim *victim, const char *socket, uid_t uid)
{
    victim->diary = mmap(NULL, sizeof(*victim->diary), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(victim->diary, MAP_FAILED);
    victim->pid = fork();
    ck_assert_int_ge(victim->pid, 0);
    if (victim->pid == 0) {
        if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
            _exit(2);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        live(victim->diary, socket);
    }
}

void victim_stop(struct victim *victim)
{
    if (victim->pid == 0)
        return;
    (void)kill(victim->pid, SIGKILL);
    (void)waitpid(victim->pid, NULL, 0);
    (void)munmap(victim->diary, sizeof(*victim->diary));
    *victim = (struct victim){.pid = 0};
}

size_t victim_calls(const struct victim *victim)
{
    /* acquire: the entries up to there arrive with it */
    return atomic_load_explicit(&victim->diary->calls, memory_order_acquire);
}

static int compare(const void *a, const void *b)
{
    const uint32_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

void victim_span_add(struct victim_span *span, const struct victim *victim, size_t from)
{
    size_t to = victim_calls(victim);

    span->took_ns = realloc(span->took_ns, (span->calls + to - from + 1) * sizeof(*span->took_ns));
    ck_assert_ptr_nonnull(span->took_ns);
    for (size_t i = from; i < to; i++) {
        int error = victim->diary->entries[i].error;

        span->took_ns[span->calls++] = victim->diary->entries[i].took_ns;
        span->errors += error != 0;
        if (span->first_error == 0)
            span->first_error = error;
    }
}

uint64_t victim_span_p99_ns(struct victim_span *span)
{
    ck_assert_uint_gt(span->calls, 0);
    qsort(span->took_ns, span->calls, sizeof(*span->took_ns), compare);
    return span->took_ns[span->calls * 99 / 100];
}

void victim_span_deinit(struct victim_span *span)
{
    free(span->took_ns);
    *span = (struct victim_span){0};
}

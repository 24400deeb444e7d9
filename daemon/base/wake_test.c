/* SPDX-License-Identifier: MIT */
/*
 * The sleeper says when it is about to sleep, and the waker gives it a moment to do so. Where it
 * needs longer, a wake-up finds nobody asleep and is cheap: that is why a median is taken.
 */
#include "daemon/base/wake_test.h"

#include "common/os/os.h"
#include "daemon/base/process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define ROUNDS 9
#define MOMENT_NS 100000
#define NOT_LONGER_NS                                                                              \
    UINT64_C(20000000) /* for one round: the machine has no time for the thread                    \
                        */

struct sleeper {
    int lane[2];
    _Atomic uint32_t word;  /* rounds of the waker, by futex */
    _Atomic uint32_t ready; /* rounds of the sleeper */
};

static void *sleeper_run(void *argument)
{
    struct sleeper *sleeper = argument;
    char byte;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        atomic_store(&sleeper->ready, 2 * round + 1);
        (void)!recv(sleeper->lane[1], &byte, sizeof(byte), 0);
        atomic_store(&sleeper->ready, 2 * round + 2);
        while (atomic_load(&sleeper->word) == round)
            (void)fipc_futex_wait(&sleeper->word, round, UINT64_MAX, FIPC_FUTEX_SHARED);
    }
    return NULL;
}

static void wait_until_asleep(struct sleeper *sleeper, uint32_t ready)
{
    const struct timespec moment = {.tv_nsec = MOMENT_NS};
    uint64_t end_ns = fipc_now_ns() + NOT_LONGER_NS;

    do
        (void)nanosleep(&moment, NULL);
    while (atomic_load(&sleeper->ready) < ready && fipc_now_ns() < end_ns);
}

static uint64_t wake_by_lane(struct sleeper *sleeper, uint32_t round)
{
    const struct fipc_bell bell = {.kind = FIPC_BELL_LANE, .fd = sleeper->lane[0]};
    uint64_t began_ns;

    wait_until_asleep(sleeper, 2 * round + 1);
    began_ns = process_cpu_ns();
    (void)fipc_bell_ring(&bell);
    return process_cpu_ns() - began_ns;
}

static uint64_t wake_by_futex(struct sleeper *sleeper, uint32_t round)
{
    uint64_t began_ns;

    wait_until_asleep(sleeper, 2 * round + 2);
    began_ns = process_cpu_ns();
    atomic_store(&sleeper->word, round + 1);
    fipc_futex_wake(&sleeper->word, 1, FIPC_FUTEX_SHARED);
    return process_cpu_ns() - began_ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

static uint64_t median(uint64_t *costs)
{
    qsort(costs, ROUNDS, sizeof(*costs), compare);
    return costs[ROUNDS / 2];
}

void wake_test(uint64_t *ret_lane_ns, uint64_t *ret_futex_ns)
{
    struct sleeper sleeper = {.lane = {-1, -1}};
    uint64_t lane_ns[ROUNDS], futex_ns[ROUNDS];
    pthread_t thread;

    *ret_lane_ns = *ret_futex_ns = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sleeper.lane) < 0)
        return;
    if (pthread_create(&thread, NULL, sleeper_run, &sleeper) == 0) {
        for (uint32_t round = 0; round < ROUNDS; round++) {
            lane_ns[round] = wake_by_lane(&sleeper, round);
            futex_ns[round] = wake_by_futex(&sleeper, round);
        }
        (void)shutdown(sleeper.lane[0], SHUT_RDWR); /* else it waits for a byte that failed */
        (void)pthread_join(thread, NULL);
        *ret_lane_ns = median(lane_ns);
        *ret_futex_ns = median(futex_ns);
    }
    (void)fd_close(sleeper.lane[0]);
    (void)fd_close(sleeper.lane[1]);
}

/* SPDX-License-Identifier: MIT */

/*
 * The floor of everything: two processes that look at the same memory all the time. There is no
 * queue and no check, and neither process sleeps; a payload is copied in, back, and out. A process
 * that waits for long yields its CPU for a moment: the other process may need it.
 */
#include "client/fipctl/bench/bench.h"
#include "client/fipctl/failure.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAYLOAD_BYTES_MAX_HERE 65536
#define LOOKS_PER_YIELD (UINT32_C(1) << 14) /* some 10 us */
#define REPLY_WITHIN_NS (10 * FIPC_NS_PER_S)

/* One direction. */
struct spin_line {
    _Alignas(
        64) _Atomic uint64_t number; /* of the newest payload; that of the other line follows */
    _Alignas(64) uint64_t bytes;
    unsigned char payload[PAYLOAD_BYTES_MAX_HERE];
};

struct spin_shared {
    struct spin_line request, reply;
};

struct spin_state {
    struct spin_shared *shared;
    uint64_t number;
    pid_t server;
    unsigned char reply[PAYLOAD_BYTES_MAX_HERE];
};

static void line_write(struct spin_line *line, uint64_t number, const void *data, size_t bytes)
{
    memcpy(line->payload, data, bytes);
    line->bytes = bytes;
    /* release: pairs with the acquire load of the other process; the payload arrives with it */
    atomic_store_explicit(&line->number, number, memory_order_release);
}

static bool line_has(struct spin_line *line, uint64_t number)
{
    /* acquire: pairs with the release store in line_write() */
    return atomic_load_explicit(&line->number, memory_order_acquire) == number;
}

/* Return: 0; -ETIMEDOUT if the other process did nothing within @timeout_ns */
static int line_await(struct spin_line *line, uint64_t number, uint64_t timeout_ns)
{
    uint64_t end_ns = 0;

    for (uint32_t looks = 1; !line_has(line, number); looks++) {
        if (looks % LOOKS_PER_YIELD != 0)
            continue;
        (void)sched_yield();
        if (end_ns == 0)
            end_ns = fipc_deadline_after(fipc_now_ns(), timeout_ns);
        if (fipc_now_ns() > end_ns)
            return -ETIMEDOUT;
    }
    return 0;
}

static void serve(void *argument)
{
    struct spin_shared *shared = argument;

    for (uint64_t number = 1;; number++) {
        (void)line_await(&shared->request, number, FIPC_NEVER);
        line_write(&shared->reply, number, shared->request.payload, shared->request.bytes);
    }
}

/* Two that look all the time need a CPU each. */
static bool spin_can(const struct bench_exchange *exchange, const struct bench_place *place)
{
    cpu_set_t both;

    CPU_OR(&both, &place->client_cpus, &place->server_cpus);
    return !exchange->once && !exchange->relayed && CPU_COUNT(&both) > 1;
}

static void spin_stop(void *argument)
{
    struct spin_state *state = argument;

    bench_server_stop(state->server);
    if (state->shared != MAP_FAILED)
        (void)munmap(state->shared, sizeof(*state->shared));
    free(state);
}

static int spin_tell(const void *argument, int error)
{
    (void)argument;
    errno = -error;
    failure_print("bench: the spinning processes: %m; measure without --floors");
    return EXIT_CALL_FAILED;
}

static int spin_start(const struct bench_exchange *exchange, const struct bench_place *place,
                      void **ret_state)
{
    struct spin_state *state = malloc(sizeof(*state));
    int r = 0;

    assert(exchange->bytes <= PAYLOAD_BYTES_MAX_HERE);
    (void)exchange;
    if (state == NULL)
        return spin_tell(NULL, -ENOMEM);
    *state = (struct spin_state){0};
    state->shared = mmap(NULL, sizeof(*state->shared), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state->shared == MAP_FAILED)
        r = -errno;
    if (r == 0)
        r = bench_server_start(place, serve, state->shared, &state->server);
    if (r < 0) {
        spin_stop(state);
        return spin_tell(NULL, r);
    }
    *ret_state = state;
    return EXIT_SUCCESS;
}

static int spin_exchange(void *argument, const void *data, size_t bytes,
                         struct bench_reply *ret_reply)
{
    struct spin_state *state = argument;
    struct spin_shared *shared = state->shared;
    int r;

    line_write(&shared->request, ++state->number, data, bytes);
    r = line_await(&shared->reply, state->number, REPLY_WITHIN_NS);
    if (r < 0)
        return r;
    memcpy(state->reply, shared->reply.payload, bytes);
    *ret_reply = (struct bench_reply){state->reply, shared->reply.bytes};
    return 0;
}

const struct bench_contender bench_spin = {
    .name = "spin",
    .help = "two processes that spin on shared memory and never sleep",
    .can = spin_can,
    .start = spin_start,
    .exchange = spin_exchange,
    .tell = spin_tell,
    .stop = spin_stop,
};

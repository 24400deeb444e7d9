/* SPDX-License-Identifier: MIT */
/* A client whose wake-ups cost the broker much is rung rarely, and never closed for that. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WATCHERS 8000
#define POLLS_MAX 20000
#define HANDLER_MS 500 /* of the config below */

static struct test_broker broker;
static struct test_witness witness;
static struct raw_client client;
static int sets[WATCHERS];
static int n_sets;

static void setup(void)
{
    test_raise_fds_limit();
    test_broker_init(&broker);
    test_broker_start_with(&broker, "{\"timeouts\": {\"handler_ms\": 500}}");
    test_witness_open(&witness, &broker);
    client = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
}

static void teardown(void)
{
    while (n_sets > 0)
        (void)close(sets[--n_sets]);
    raw_close(&client);
    test_witness_close(&witness);
    test_broker_deinit(&broker);
}

static void hang_watchers_on(int fd)
{
    for (n_sets = 0; n_sets < WATCHERS; n_sets++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};

        sets[n_sets] = epoll_create1(EPOLL_CLOEXEC);
        ck_assert_int_ge(sets[n_sets], 0);
        ck_assert_int_eq(epoll_ctl(sets[n_sets], EPOLL_CTL_ADD, fd, &event), 0);
    }
}

static long long toll(const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "toll.%s", name);
    return test_witness_number(&witness, path);
}

/* A call whose reply comes with a byte on the lane, if that is rung. */
static void call_asleep(uint32_t echo)
{
    char bytes[64];
    uint64_t id;

    atomic_store(&client.channel.own->word, FIPC_END_ASLEEP_FD);
    ck_assert_int_eq(raw_send_request(&client, echo, "x", 1, &id), 0);
    while (raw_try_receive_record(&client) < 0)
        ;
    while (recv(client.lane_fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

GROUP(toll, .timeout = 60, .fixtures = {{setup, teardown}});

/* All its calls are answered; the broker spends a bounded part of the time on waking it. */
TEST(client_that_is_slow_to_wake_is_rung_rarely_and_not_closed)
{
    uint64_t began_ns = fipc_now_ns(), took_ns;
    uint32_t echo;

    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    hang_watchers_on(client.lane_fd);
    while (fipc_now_ns() - began_ns < 4 * HANDLER_MS * FIPC_NS_PER_MS)
        call_asleep(echo);
    took_ns = fipc_now_ns() - began_ns;
    ck_assert_int_gt(toll("slow"), 0);
    ck_assert_int_gt(toll("waits"), 0);
    ck_assert_int_eq(toll("uids.0.uid"), getuid());
    ck_assert_int_eq(toll("uids.0.waits"), toll("waits"));
    /* two per cent of each second, and the calls that were begun within them */
    ck_assert_int_le(toll("slow_us"), (long long)(took_ns / 50 / FIPC_NS_PER_US) + 100000);
    ck_assert_int_eq(test_witness_number(&witness, "slots.open"), 2);
    test_witness_check(&witness);
}

/* A bell that had to wait rings later. */
TEST(client_that_sleeps_is_rung_in_the_end)
{
    struct pollfd lane = {.fd = client.lane_fd, .events = POLLIN};
    uint32_t echo;
    uint64_t id;

    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    hang_watchers_on(client.lane_fd);
    while (toll("waits") == 0)
        call_asleep(echo);
    atomic_store(&client.channel.own->word, FIPC_END_ASLEEP_FD);
    ck_assert_int_eq(raw_send_request(&client, echo, "x", 1, &id), 0);
    ck_assert_int_eq(poll(&lane, 1, 50000), 1);
    ck_assert_int_eq(raw_try_receive_record(&client), 0);
}

/* ---- before and after a session ---- */

static const struct {
    const char *about;
    struct fipc_hello hello;
} greetings[] = {
    {"welcome", {.request_ring_bytes = 0}},
    {"refused", {.request_ring_bytes = 12345}},
};

/* A connection, and a thread that polls its lane as often as it may name fds. */
struct greeter {
    struct raw_client client;
    pthread_t thread;
    struct pollfd *polls;
    nfds_t n_polls;
    _Atomic pid_t tid; /* 0: not yet */
};

static void *greeter_poll(void *argument)
{
    struct greeter *greeter = argument;

    atomic_store(&greeter->tid, gettid());
    (void)poll(greeter->polls, greeter->n_polls, -1);
    return NULL;
}

static void greeter_start(struct greeter *greeter)
{
    struct rlimit limit;

    *greeter = (struct greeter){.client = RAW_CLIENT_EMPTY};
    ck_assert_int_eq(raw_connect(&greeter->client, broker.socket), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    greeter->n_polls = limit.rlim_cur < POLLS_MAX ? limit.rlim_cur : POLLS_MAX;
    greeter->polls = calloc(greeter->n_polls, sizeof(*greeter->polls));
    ck_assert_ptr_nonnull(greeter->polls);
    for (nfds_t i = 0; i < greeter->n_polls; i++)
        greeter->polls[i] = (struct pollfd){.fd = greeter->client.lane_fd, .events = POLLIN};
    ck_assert_int_eq(pthread_create(&greeter->thread, NULL, greeter_poll, greeter), 0);
}

static bool greeter_sleeps(struct greeter *greeter)
{
    char path[64], state = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)atomic_load(&greeter->tid));
    file = atomic_load(&greeter->tid) == 0 ? NULL : fopen(path, "re");
    if (file == NULL)
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    (void)fclose(file);
    return state == 'S';
}

/* Whether it is answered with a packet; the fds in that are closed. */
static bool greeter_end(struct greeter *greeter)
{
    char packet[256];
    ssize_t size = recv(greeter->client.lane_fd, packet, sizeof(packet), 0);

    ck_assert_int_eq(pthread_join(greeter->thread, NULL), 0);
    free(greeter->polls);
    raw_close(&greeter->client);
    return size > 0;
}

/* Until its account has paid, nothing more is read of what it says; then it is answered. */
LOOP_TEST(client_that_is_slow_to_answer_is_answered_later, COUNT_OF(greetings))
{
    struct greeter greeter;

    while (toll("waits") == 0) {
        greeter_start(&greeter);
        TEST_WAIT_FOR(greeter_sleeps(&greeter));
        ck_assert_int_eq(raw_send_hello(&greeter.client, &greetings[_i].hello), 0);
        ck_assert(greeter_end(&greeter));
    }
    ck_assert_int_gt(toll("slow"), 0);
    test_witness_check(&witness);
}

/* SPDX-License-Identifier: MIT */
/* A client whose wake-ups cost the broker much is rung rarely, and never closed for that. */
#include "tests/integration/broker.h"
#include "tests/integration/poll_crowd.h"
#include "tests/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define WATCHERS 8000
#define CROWDS 2       /* at a lane */
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

/* Greets while crowds watch its lane, and goes when it is answered. */
static void greet_watched(const struct fipc_hello *hello)
{
    struct raw_client slow = RAW_CLIENT_EMPTY;
    struct poll_crowd crowds[CROWDS];
    char packet[256];

    ck_assert_int_eq(raw_connect(&slow, broker.socket), 0);
    for (int i = 0; i < CROWDS; i++) {
        ck_assert_int_eq(poll_crowd_start(&crowds[i], slow.lane_fd, POLLIN), 0);
        TEST_WAIT_FOR(poll_crowd_sleeps(&crowds[i]));
    }
    ck_assert_int_eq(raw_send_hello(&slow, hello), 0);
    ck_assert_int_gt(recv(slow.lane_fd, packet, sizeof(packet), 0), 0); /* its fds are closed */
    (void)shutdown(slow.lane_fd, SHUT_RDWR); /* the packet is gone: a late one would miss it */
    for (int i = 0; i < CROWDS; i++)
        poll_crowd_end(&crowds[i]);
    raw_close(&slow);
}

/* Until its account has paid, nothing more is read of what it says; then it is answered. */
LOOP_TEST(client_that_is_slow_to_answer_is_answered_later, COUNT_OF(greetings))
{
    while (toll("waits") == 0)
        greet_watched(&greetings[_i].hello);
    ck_assert_int_gt(toll("slow"), 0);
    test_witness_check(&witness);
}

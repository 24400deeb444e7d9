/* SPDX-License-Identifier: MIT */
/* A client whose wake-ups cost the broker much: it is served rarely, and in the end not at all. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define WATCHERS 4000
#define HANDLER_MS 1000 /* of the config below */
#define REST_NS (20 * FIPC_NS_PER_MS)

static struct test_broker broker;
static struct test_witness witness;
static struct raw_client client;
static int sets[WATCHERS];
static int n_sets;

static void setup(void)
{
    test_raise_fds_limit();
    test_broker_init(&broker);
    test_broker_start_with(&broker, "{\"timeouts\": {\"handler_ms\": 1000}}");
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

/* A call whose reply comes with a byte on the lane. Return: as raw_send_request() */
static int call_asleep(uint32_t echo)
{
    char bytes[64];
    uint64_t id;
    int r;

    atomic_store(&client.channel.own->word, FIPC_END_ASLEEP_FD);
    r = raw_send_request(&client, echo, "x", 1, &id);
    while (raw_try_receive_record(&client) == 0)
        ;
    while (recv(client.lane_fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    return r;
}

static bool is_thrown_out(void)
{
    char byte;

    return recv(client.lane_fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0 || errno == ECONNRESET;
}

GROUP(wake_cost, .timeout = 60, .fixtures = {{setup, teardown}});

TEST(costly_client_is_closed_after_a_whole_handler_ms)
{
    uint32_t echo;
    uint64_t began_ns = fipc_now_ns();

    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    hang_watchers_on(client.lane_fd);
    while (!is_thrown_out()) {
        (void)call_asleep(echo);
        ck_assert_uint_lt(fipc_now_ns() - began_ns, 20 * FIPC_NS_PER_S);
    }
    ck_assert_uint_ge(fipc_now_ns() - began_ns, HANDLER_MS * FIPC_NS_PER_MS);
    ck_assert_int_eq(test_witness_number(&witness, "slots.closed.too costly to serve"), 1);
    test_witness_check(&witness);
}

/* How much of the time the broker works for it: a thirty-second part, where without a budget it
 * would be nearly all. */
TEST(costly_client_is_served_rarely)
{
    uint64_t end_ns;
    long long served;
    uint32_t echo;

    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    for (int i = 0; i < 1000; i++)
        (void)call_asleep(echo);
    hang_watchers_on(client.lane_fd);
    served = test_witness_slot_number(&witness, client.welcome.slot, "calls");
    end_ns = fipc_now_ns() + HANDLER_MS * FIPC_NS_PER_MS / 2;
    while (fipc_now_ns() < end_ns)
        (void)call_asleep(echo);
    /* in 2 ms and a thirty-second part of 500 ms, with 100 us for each wake-up at the least, which
     * may be for the 64 messages of a turn */
    served = test_witness_slot_number(&witness, client.welcome.slot, "calls") - served;
    ck_assert_int_lt(served, 180 * 64);
}

TEST(rest_ends_by_itself)
{
    long long sent = 0;
    uint32_t echo;

    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    hang_watchers_on(client.lane_fd);
    for (int i = 0; i < 200; i++)
        sent += call_asleep(echo) == 0;
    TEST_WAIT_FOR(test_witness_slot_number(&witness, client.welcome.slot, "calls") == sent);
}

/* How long a first request of a new session waits, after the old one was too costly for a moment.
 */
static uint64_t come_back(void)
{
    uint64_t end_ns = fipc_now_ns() + 50 * FIPC_NS_PER_MS;
    uint32_t echo;

    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    hang_watchers_on(client.lane_fd);
    while (fipc_now_ns() < end_ns)
        (void)call_asleep(echo);
    while (n_sets > 0)
        (void)close(sets[--n_sets]);
    raw_close(&client);
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
    end_ns = fipc_now_ns();
    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    return fipc_now_ns() - end_ns;
}

/* Now and then it comes just when the rest is over. */
TEST(who_comes_back_rests_as_before)
{
    uint64_t longest_ns = 0;

    for (int i = 0; i < 20 && longest_ns < REST_NS; i++) {
        uint64_t waited_ns = come_back();

        longest_ns = waited_ns > longest_ns ? waited_ns : longest_ns;
    }
    ck_assert_uint_ge(longest_ns, REST_NS);
}

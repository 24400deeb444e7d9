/* SPDX-License-Identifier: MIT */
/* On a machine whose wake-ups are slow for all, no client is slow: the broker compares each wake-up
 * with those that it tried when it started. */
#include "tests/integration/broker.h"
#include "tests/integration/slow_wakes.h"
#include "tests/suite.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALLS 300 /* their wake-ups are more than what an account, and all futexes, may owe */

static struct test_broker broker;
static struct test_witness witness;
static struct raw_client client;
static struct slow_wakes *wakes;

static void start(uint64_t wake_ns)
{
    const char *library = getenv("SLOW_WAKES");
    char path[96];
    int fd;

    ck_assert_msg(library != NULL, "SLOW_WAKES is not set: run this test by ctest");
    (void)snprintf(path, sizeof(path), "%s/wakes", broker.folder);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof(*wakes)), 0);
    wakes = mmap(NULL, sizeof(*wakes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(wakes, MAP_FAILED);
    (void)close(fd);
    atomic_store(&wakes->ns, wake_ns);
    ck_assert_int_eq(setenv("LD_PRELOAD", library, 1), 0);
    ck_assert_int_eq(setenv(SLOW_WAKES_VARIABLE, path, 1), 0);
    test_broker_start_with(&broker, "{}");
    ck_assert_int_eq(unsetenv("LD_PRELOAD"), 0);
    test_witness_open(&witness, &broker);
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
}

static void set_up(void)
{
    test_broker_init(&broker);
    client = RAW_CLIENT_EMPTY;
    wakes = NULL;
}

static void tear_down(void)
{
    raw_close(&client);
    test_witness_close(&witness);
    if (wakes != NULL)
        (void)munmap(wakes, sizeof(*wakes));
    test_broker_deinit(&broker);
}

/* As a client does that sleeps: the broker finds it so, and wakes it. */
static void call_asleep(uint32_t echo, uint32_t asleep)
{
    char bytes[64];
    uint64_t id;

    atomic_store(&client.channel.own->word, asleep);
    ck_assert_int_eq(raw_send_request(&client, echo, "x", 1, &id), 0);
    while (raw_try_receive_record(&client) < 0)
        ;
    TEST_WAIT_FOR(atomic_load(&client.channel.own->word) == FIPC_END_AWAKE);
    while (recv(client.lane_fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

static long long toll(const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "toll.%s", name);
    return test_witness_number(&witness, path);
}

GROUP(slow_wakes, .timeout = 60, .fixtures = {{set_up, tear_down}});

static long long n_limited(void) { return toll("waits") + toll("unrung"); }

static void call_all(uint32_t echo, uint32_t asleep)
{
    for (int i = 0; i < CALLS; i++)
        call_asleep(echo, asleep);
}

/* Whether the client is no more limited, once what it owes is paid. */
static bool is_served(uint32_t echo, uint32_t asleep)
{
    long long before = n_limited();

    call_all(echo, asleep);
    return n_limited() == before;
}

static const struct {
    uint64_t us;
    uint32_t asleep;
} machines[] = {
    {30, FIPC_END_ASLEEP_FUTEX},
    {30, FIPC_END_ASLEEP_FD},
    {150, FIPC_END_ASLEEP_FUTEX},
    {150, FIPC_END_ASLEEP_FD},
};

/* Noise of the machine may make a few wake-ups slow even so. */
LOOP_TEST(honest_client_is_served_where_all_wake_ups_are_slow, COUNT_OF(machines))
{
    uint64_t n_made;
    uint32_t echo;

    start(machines[_i].us * FIPC_NS_PER_US);
    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    call_all(echo, machines[_i].asleep);
    ck_assert_int_eq(toll("waits"), 0);
    ck_assert_int_eq(toll("unrung"), 0);
    ck_assert_int_le(toll("slow"), CALLS / 10);
    n_made = atomic_load(&wakes->made);
    ck_assert_uint_ge(n_made, CALLS);
    ck_assert_int_eq(test_witness_number(&witness, "slots.open"), 2);
}

static const uint32_t sleeps[] = {FIPC_END_ASLEEP_FUTEX, FIPC_END_ASLEEP_FD};

LOOP_TEST(honest_client_is_served_where_all_wake_ups_have_become_slow, COUNT_OF(sleeps))
{
    uint32_t echo;

    start(0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    atomic_store(&wakes->ns, 150 * FIPC_NS_PER_US);
    TEST_WAIT_FOR(is_served(echo, sleeps[_i]) && toll("usual_us") >= 600);
    ck_assert_int_ge(toll("usual_futex_us"), 600);
}

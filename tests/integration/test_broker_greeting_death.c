/* SPDX-License-Identifier: MIT */
/* A client may die at any step of its greeting: the broker keeps nothing of it. */
#include "tests/integration/greeting_fixture.h"
#include "tests/suite.h"

#include <stdlib.h>
#include <sys/socket.h>

static void connect_only(struct raw_client *client)
{
    ck_assert_int_eq(raw_connect(client, broker.socket), 0);
}

static void send_wire(struct raw_client *client)
{
    connect_only(client);
    ck_assert_int_eq(raw_send_bytes(client, wire.bytes, wire.size, NULL, 0), 0);
}

static void after_half_a_hello(struct raw_client *client)
{
    half_hello();
    send_wire(client);
}

static void after_hello(struct raw_client *client)
{
    make_hello();
    send_wire(client);
}

static void after_two_hellos(struct raw_client *client)
{
    make_hello();
    send_wire(client);
    /* the broker may have closed it by now */
    (void)raw_send_bytes(client, wire.bytes, wire.size, NULL, 0);
}

static void after_a_shutdown(struct raw_client *client)
{
    connect_only(client);
    ck_assert_int_eq(shutdown(client->lane_fd, SHUT_RDWR), 0);
}

static void after_oneshot(struct raw_client *client)
{
    make_oneshot(9, 0);
    memcpy(wire.bytes + sizeof(wire.header) + sizeof(wire.hello), "fipc.ping", 9);
    send_wire(client);
}

static void during_a_oneshot(struct raw_client *client)
{
    make_oneshot(10, 5);
    memcpy(wire.bytes + sizeof(wire.header) + sizeof(wire.hello), "fipc.delay20000", 15);
    send_wire(client);
}

static void after_welcome(struct raw_client *client)
{
    ck_assert_int_eq(raw_open_session(client, broker.socket, 0, 0), 0);
}

static void after_open(struct raw_client *client)
{
    uint32_t target;

    after_welcome(client);
    ck_assert_int_eq(raw_open_name(client, "fipc.delay", &target), 0);
}

static void during_a_call(struct raw_client *client)
{
    uint32_t target;
    uint64_t id;

    after_welcome(client);
    ck_assert_int_eq(raw_open_name(client, "fipc.delay", &target), 0);
    ck_assert_int_eq(raw_send_request(client, target, "20000", 5, &id), 0);
}

static void with_a_reply_unread(struct raw_client *client)
{
    uint32_t target;
    uint64_t id;

    after_welcome(client);
    ck_assert_int_eq(raw_open_name(client, "fipc.ping", &target), 0);
    ck_assert_int_eq(raw_send_request(client, target, NULL, 0, &id), 0);
}

static void with_half_a_request(struct raw_client *client)
{
    struct fipc_loan loan;

    after_welcome(client);
    ck_assert_int_eq(fipc_producer_reserve(&client->channel.out, 100, &loan), 0);
    memset(loan.payload, 'x', 50);
}

static void (*const steps[])(struct raw_client *client) = {
    connect_only,     after_half_a_hello, after_hello,         after_two_hellos,
    after_a_shutdown, after_oneshot,      during_a_oneshot,    after_welcome,
    after_open,       during_a_call,      with_a_reply_unread, with_half_a_request,
};

#define N_STEPS COUNT_OF(steps)

GROUP(dying, .timeout = 60, .fixtures = {{start, stop}});

LOOP_TEST(client_may_die_at_any_step, N_STEPS)
{
    int fds = test_broker_count_fds(&broker), regions = test_broker_count_regions(&broker);

    for (int i = 0; i < test_scaled(300); i++) {
        struct raw_client client = RAW_CLIENT_EMPTY;

        steps[_i](&client);
        raw_close(&client);
    }

    check_victim();
    check_nothing_held(fds, regions);
}

TEST(crowd_may_die_all_at_once)
{
    int fds = test_broker_count_fds(&broker), regions = test_broker_count_regions(&broker);
    struct raw_client *crowd = calloc(240, sizeof(*crowd));

    ck_assert_ptr_nonnull(crowd);
    for (int turn = 0; turn < test_scaled(3); turn++) {
        for (int i = 0; i < 240; i++) {
            crowd[i] = RAW_CLIENT_EMPTY;
            steps[i % N_STEPS](&crowd[i]);
        }
        check_victim();
        for (int i = 0; i < 240; i++)
            raw_close(&crowd[i]);
        check_nothing_held(fds, regions);
    }
    free(crowd);
}

TEST(dying_before_accept_leaves_nothing)
{
    int fds = test_broker_count_fds(&broker), regions = test_broker_count_regions(&broker);

    for (int turn = 0; turn < test_scaled(10); turn++) {
        test_broker_freeze(&broker);
        for (int i = 0; i < 30; i++) {
            struct raw_client client = RAW_CLIENT_EMPTY;

            steps[i % 7](&client); /* those that need no answer */
            raw_close(&client);
        }
        test_broker_thaw(&broker);
        check_victim();
    }
    check_nothing_held(fds, regions);
}

TEST(death_is_nothing_to_write_about)
{
    int fds = test_broker_count_fds(&broker), regions = test_broker_count_regions(&broker);

    for (int i = 0; i < N_STEPS; i++) {
        struct raw_client client = RAW_CLIENT_EMPTY;

        if (steps[i] == after_half_a_hello || steps[i] == after_two_hellos)
            continue;
        steps[i](&client);
        raw_close(&client);
    }
    check_nothing_held(fds, regions);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
}

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_SLOTS_FIXTURE_H
#define FIPC_TESTS_SLOTS_FIXTURE_H

/* Clients that take the slots of a broker. */
#include "tests/integration/broker.h"
#include "tests/integration/raw_client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define NOBODY 65534
#define STRANGER 60010 /* a user that is nobody else */

static struct test_broker broker;
static struct raw_client clients[CLIENTS_MAX];

static inline void start_with(const char *json) { test_broker_start_with(&broker, json); }

/* Starts a broker, to which clients connect as a user that it does not trust. Return: false if only
 * root can: the test is over then */
static inline bool start_for_strangers(const char *json)
{
    start_with(json);
    if (geteuid() != 0) {
        (void)printf("SKIP: only root can be two users\n");
        return false;
    }
    test_broker_open_to_all(&broker);
    raw_connect_uid = STRANGER;
    return true;
}

static inline void setup(void)
{
    test_broker_init(&broker);
    raw_connect_uid = 0;
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i] = RAW_CLIENT_EMPTY;
}

static inline void teardown(void)
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        raw_close(&clients[i]);
    test_broker_stop(&broker);
    test_broker_deinit(&broker);
}

static inline void open_session(struct raw_client *client)
{
    ck_assert_int_eq(raw_open_session(client, broker.socket, 0, 0), 0);
}

/* Connects and says how long it is ready to wait for a slot. */
static inline void knock(struct raw_client *client, uint32_t wait_ms)
{
    const struct fipc_hello hello = {.wait_ms = wait_ms};
    int r;

    ck_assert_int_eq(raw_connect(client, broker.socket), 0);
    r = raw_send_hello(client, &hello);
    ck_assert(r == 0 || r == -EPIPE); /* a full waiting room may refuse it before HELLO */
}

static inline void ck_assert_refused(struct raw_client *client, enum fipc_reason expected)
{
    ck_assert_int_eq(raw_receive_welcome(client), -ECONNREFUSED);
    ck_assert_str_eq(fipc_reason_name(client->packet.refused.reason), fipc_reason_name(expected));
}

/* A number of fipc.stats, asked for by a one-shot. */
static inline long long number(const char *path)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uid_t uid = raw_connect_uid;
    long long value;

    raw_connect_uid = 0; /* trusted: it is never in the way */
    ck_assert_int_eq(raw_call_once(&client, broker.socket, "fipc.stats", NULL, 0), 0);
    raw_connect_uid = uid;
    value = test_report_number(client.packet.data, client.packet.oneshot_reply.data_bytes, path);
    raw_close(&client);
    return value;
}

static inline bool has_answer(const struct raw_client *client)
{
    struct pollfd lane = {.fd = client->lane_fd, .events = POLLIN};

    return poll(&lane, 1, 0) > 0;
}

static inline void reload(const char *json, const char *log_line)
{
    int before = test_broker_log_lines(&broker, log_line);

    test_broker_write_config(&broker, json);
    ck_assert_int_eq(kill(broker.pid, SIGHUP), 0);
    TEST_WAIT_FOR(test_broker_log_lines(&broker, log_line) > before);
}

#endif

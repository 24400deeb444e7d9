/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_FAIRNESS_FIXTURE_H
#define FIPC_TESTS_FAIRNESS_FIXTURE_H

/* A broker, calm clients and one that floods. */
#include "tests/stress/test_crowd_fixture.h"

#include <sys/socket.h>

#define CALM_CLIENTS 99
#define TURNS 10
#define FLOOD_BYTES 64
#define LARGE_BYTES 1024 /* a reply that has no room is kept by the broker */
/* One calm call each 200 us: each client makes one in 20 ms. */
#define CALM_PERIOD_NS (200 * FIPC_NS_PER_US)
#define CALLS_PER_PHASE 300
#define ROUNDS 12
#define ROUNDS_MAX 48
#define RATIO_MAX 3.0

static struct test_broker broker;
static struct raw_client *calm;
static uint32_t calm_target[CALM_CLIENTS];
static struct raw_client flooder;

static inline void setup(void)
{
    test_raise_fds_limit();
    test_broker_init(&broker);
    flooder = RAW_CLIENT_EMPTY;
    calm = NULL;
}

static inline void teardown(void)
{
    raw_close(&flooder);
    calm = crowd_clients_free(calm, CALM_CLIENTS);
    test_broker_stop(&broker);
    test_broker_deinit(&broker);
}

static inline uint32_t open_session(struct raw_client *client, const char *name)
{
    uint32_t target;

    ck_assert_int_eq(raw_open_session(client, broker.socket, 0, 0), 0);
    ck_assert_int_eq(raw_open_name(client, name, &target), 0);
    return target;
}

static inline void open_calm_clients(const char *name)
{
    calm = crowd_clients_new(CALM_CLIENTS);
    for (int i = 0; i < CALM_CLIENTS; i++)
        calm_target[i] = open_session(&calm[i], name);
}

#endif

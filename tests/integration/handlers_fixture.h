/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_HANDLERS_FIXTURE_H
#define FIPC_TESTS_HANDLERS_FIXTURE_H

/* A session whose calls the test sends and receives step by step, and a witness. */
#include "tests/integration/broker.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define KIB 1024u
#define RING_BYTES (64 * KIB)
#define LIVE_PER_SLOT_MAX 1024

static struct test_broker broker;
static struct test_witness witness;
static struct raw_client client;
static uint32_t echo, ping, delay; /* targets of the client */

static inline void open_client(uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    client = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_session(&client, broker.socket, request_ring_bytes, reply_ring_bytes),
                     0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.ping", &ping), 0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.delay", &delay), 0);
}

static inline void start_with(const char *config)
{
    test_broker_init(&broker);
    test_broker_start_with(&broker, config);
    test_witness_open(&witness, &broker);
    open_client(RING_BYTES, RING_BYTES);
}

static inline void start(void) { start_with("{}"); }

static inline void stop(void)
{
    raw_close(&client);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.taken") == 1);
    ck_assert_int_eq(test_witness_number(&witness, "handlers.live"), 1); /* the report itself */
    test_witness_check_sum(&witness);
    test_witness_close(&witness);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
    test_broker_deinit(&broker);
}

static inline long long number(const char *path) { return test_witness_number(&witness, path); }

/* How many handlers of the client are in a state. */
static inline long long in_state(const char *state)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "handlers.%s", state);
    return test_witness_slot_number(&witness, client.welcome.slot, path);
}

/* Bytes that only this message has. */
static inline void fill(unsigned char *data, size_t size, uint64_t id)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(id * 131 + i * 7 + i / 256);
}

static inline void check_payload(uint64_t id, size_t size)
{
    unsigned char expected[RING_BYTES / 2];

    fill(expected, size, id);
    ck_assert_uint_eq(client.payload_bytes, size);
    ck_assert_mem_eq(client.payload, expected, size);
}

/* Receives one record, which must be a reply. */
static inline void receive_reply(void)
{
    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_int_eq(client.header.kind, FIPC_KIND_REPLY);
}

static inline void check_echo(size_t size)
{
    unsigned char data[RING_BYTES / 2] = {0}; /* gcc sees that none is filled of 0 bytes */

    fill(data, size, client.last_id + 1);
    ck_assert_int_eq(raw_call(&client, echo, data, size), 0);
    check_payload(client.last_id, size);
}

static inline void send_pings(int count)
{
    uint64_t id;

    for (int i = 0; i < count; i++)
        ck_assert_int_eq(raw_send_request(&client, ping, NULL, 0, &id), 0);
}

/* The broker sleeps, and has said that it waits for room in the client's reply ring. */
static inline bool broker_sleeps_for_room(void)
{
    return atomic_load(&client.channel.peer->word) == (FIPC_END_ASLEEP_FD | FIPC_END_ROOM);
}

/* Sends echoes of this size, without taking replies, until not even the request ring has room. Each
 * reply finds the ring full of those before. */
static inline int send_all(size_t size)
{
    unsigned char data[RING_BYTES / 2];
    int sent = 0;

    for (;;) {
        uint64_t id;
        int r;

        fill(data, size, client.last_id + 1);
        TEST_WAIT_FOR((r = raw_send_request(&client, echo, data, size, &id)) == 0 ||
                      broker_sleeps_for_room());
        if (r < 0)
            r = raw_send_request(&client, echo, data, size, &id); /* it may have made room before */
        if (r < 0)
            return sent;
        sent++;
    }
}

#endif

/* SPDX-License-Identifier: MIT */
/* The main job, one client and ten at once: every call gets its own reply. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS 10000
#define CLIENTS 10
#define DATA_BYTES_MAX 2000

static struct test_broker broker;

static void start(void)
{
    test_broker_init(&broker);
    test_broker_start(&broker, NULL);
}

static void stop(void) { test_broker_deinit(&broker); }

/* What nobody else sends and what this client sends only once. */
static size_t make_data(unsigned char data[DATA_BYTES_MAX], int client, int call)
{
    size_t size = 8 + (size_t)call * 37 % (DATA_BYTES_MAX - 8);

    memcpy(data, &client, sizeof(client));
    memcpy(data + sizeof(client), &call, sizeof(call));
    for (size_t i = 8; i < size; i++)
        data[i] = (unsigned char)(i + (size_t)call * 3 + (size_t)client * 5);
    return size;
}

static void call_many(int number, int calls)
{
    unsigned char data[DATA_BYTES_MAX];
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    for (int call = 0; call < calls; call++) {
        size_t size = make_data(data, number, call);

        ck_assert_int_eq(raw_call(&client, echo, data, size), 0);
        ck_assert_uint_eq(client.payload_bytes, size);
        ck_assert_mem_eq(client.payload, data, size);
    }
    raw_close(&client);
}

static void check_handlers(int replied)
{
    struct test_witness witness;

    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.taken") == 1);
    ck_assert_int_ge(test_witness_number(&witness, "handlers.replied"), replied);
    ck_assert_int_eq(test_witness_number(&witness, "handlers.failed"), 0);
    ck_assert_int_eq(test_witness_number(&witness, "handlers.dropped"), 0);
    test_witness_check_sum(&witness);
    test_witness_close(&witness);
}

GROUP(clients, .timeout = 100, .fixtures = {{start, stop}});

TEST(single_client)
{
    call_many(0, test_scaled(CALLS));
    check_handlers(test_scaled(CALLS));
}

TEST(ten_concurrent_clients)
{
    pid_t pids[CLIENTS];
    int status;

    for (int i = 0; i < CLIENTS; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            call_many(i, test_scaled(CALLS));
            _exit(0);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
    }
    check_handlers(CLIENTS * test_scaled(CALLS));
}

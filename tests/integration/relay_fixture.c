/* SPDX-License-Identifier: MIT */
#include "tests/integration/relay_fixture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct test_broker broker;
struct test_witness witness;
struct raw_client caller, worker, other;
uint32_t target;

struct fipc_delivery delivery;
uint64_t taken_id;
size_t data_at;

void open_session(struct raw_client *client)
{
    *client = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_session(client, broker.socket, 0, 0), 0);
}

void serve_with(struct raw_client *client, const char *name, uint32_t concurrency)
{
    uint32_t served;

    open_session(client);
    ck_assert_int_eq(raw_serve(client, name, concurrency, &served), 0);
    ck_assert_uint_ne(served, 0);
}

void relay_set_up(void)
{
    test_broker_init(&broker);
    test_broker_start_with(&broker, "{\"slots\": {\"ring_bytes_max\": 33554432},"
                                    " \"timeouts\": {\"handler_ms\": 2000, \"drain_ms\": 2000}}");
    test_witness_open(&witness, &broker);
    other = RAW_CLIENT_EMPTY;
    serve_with(&worker, NAME, 1);
    open_session(&caller);
    ck_assert_int_eq(raw_open_name(&caller, NAME, &target), 0);
}

void relay_tear_down(void)
{
    raw_close(&caller);
    raw_close(&worker);
    raw_close(&other);
    if (test_broker_is_alive(&broker)) {
        TEST_WAIT_FOR(test_witness_number(&witness, "slots.taken") == 1);
        TEST_WAIT_FOR(test_witness_number(&witness, "handlers.live") == 1);
        test_witness_check_sum(&witness);
    }
    test_witness_close(&witness);
    test_broker_deinit(&broker);
}

long long number(const char *path) { return test_witness_number(&witness, path); }

uint64_t send_flagged(uint16_t flags, const void *data, size_t size, uint64_t remaining_ns)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_REQUEST,
        .flags = flags,
        .target = target,
        .id = ++caller.last_id,
        .remaining_ns = remaining_ns,
    };

    ck_assert_int_eq(raw_send_record(&caller, &header, data, size), 0);
    return header.id;
}

uint64_t send_request(void) { return send_flagged(0, "data", 4, 0); }

void take(struct raw_client *by)
{
    ck_assert_int_eq(raw_take_request(by, &delivery, &data_at), 0);
    taken_id = by->header.id;
}

void reply(struct raw_client *by, int32_t status, const char *text)
{
    ck_assert_int_eq(raw_send_reply(by, delivery.number, taken_id, status, text, strlen(text)), 0);
}

void expect_answer(uint64_t id, int32_t status, uint16_t flags)
{
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_int_eq(caller.header.kind, FIPC_KIND_REPLY);
    ck_assert_uint_eq(caller.header.id, id);
    ck_assert_int_eq(caller.header.status, status);
    ck_assert_uint_eq(caller.header.flags, flags);
}

void expect_nothing(struct raw_client *client)
{
    test_witness_check(&witness); /* the broker has had its turn */
    ck_assert_int_eq(raw_try_receive_record(client), -EAGAIN);
}

void send_oneshot(struct raw_client *oneshot)
{
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello = {.flags = FIPC_HELLO_ONESHOT,
                  .id = 77,
                  .name_bytes = strlen(NAME),
                  .data_bytes = 4},
        .name = NAME,
        .data = "data",
    };

    ck_assert_int_eq(raw_connect(oneshot, broker.socket), 0);
    ck_assert_int_eq(raw_send_packet(oneshot, &hello), 0);
}

/* SPDX-License-Identifier: MIT */
/* What the broker gives a client that greets well: a session or the answer to a one-shot. */
#include "tests/integration/greeting_fixture.h"
#include "tests/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- sessions ---- */

GROUP(good, .timeout = 30, .fixtures = {{start, stop}});

TEST(session_is_welcomed_with_what_it_may_do)
{
    struct raw_client client = RAW_CLIENT_EMPTY;

    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);

    ck_assert_uint_eq(client.welcome.request_ring_bytes, DEFAULT_RING_BYTES);
    ck_assert_uint_eq(client.welcome.reply_ring_bytes, DEFAULT_RING_BYTES);
    ck_assert_uint_eq(client.welcome.handler_ms, 30000);
    ck_assert_uint_ne(client.welcome.slot, victim.client.welcome.slot);
    ck_assert_uint_ge(client.welcome.generation, 1);
    raw_close(&client);
}

TEST(slot_is_given_again_with_another_generation)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t slot, generation;

    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
    slot = client.welcome.slot;
    generation = client.welcome.generation;
    raw_close(&client);
    TEST_WAIT_FOR(number("slots.open") == 1);

    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
    ck_assert_uint_eq(client.welcome.slot, slot);
    ck_assert_uint_gt(client.welcome.generation, generation);
    raw_close(&client);
}

static const struct {
    uint32_t request, reply;
} good_rings[] = {
    {4 * KIB, 4 * KIB},   {4 * KIB, 64 * KIB}, {64 * KIB, 4 * KIB},
    {128 * KIB, 8 * KIB}, {4 * KIB, 16 * MIB}, {16 * MIB, 16 * MIB},
};

LOOP_TEST(rings_are_as_large_as_asked_for, COUNT_OF(good_rings))
{
    uint32_t request = good_rings[_i].request, reply = good_rings[_i].reply;
    uint32_t smaller = request < reply ? request : reply;
    uint32_t size = fipc_ring_payload_max(smaller), target;
    struct raw_client client = RAW_CLIENT_EMPTY;
    unsigned char *data = malloc(size);

    ck_assert_ptr_nonnull(data);
    for (uint32_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);

    ck_assert_int_eq(raw_open_session(&client, broker.socket, request, reply), 0);

    ck_assert_uint_eq(client.welcome.request_ring_bytes, request);
    ck_assert_uint_eq(client.welcome.reply_ring_bytes, reply);
    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &target), 0);
    for (int turn = 0; turn < 3; turn++) {
        ck_assert_int_eq(raw_call(&client, target, data, size), 0);
        ck_assert_uint_eq(client.payload_bytes, size);
        ck_assert_mem_eq(client.payload, data, size);
    }
    raw_close(&client);
    free(data);
}

/* ---- one-shots ---- */

static const size_t oneshot_sizes[] = {0, 1, 7, 8, 63, 64, 1000, 4095, FIPC_ONESHOT_DATA_BYTES_MAX};

LOOP_TEST(oneshot_is_answered_on_the_lane, COUNT_OF(oneshot_sizes))
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    unsigned char data[FIPC_ONESHOT_DATA_BYTES_MAX];
    size_t size = oneshot_sizes[_i];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 31 + size);

    ck_assert_int_eq(raw_call_once(&client, broker.socket, "fipc.echo", data, size), 0);

    ck_assert_uint_eq(client.packet.oneshot_reply.data_bytes, size);
    ck_assert_mem_eq(client.packet.data, data, size);
    ck_assert_int_eq(raw_wait_hang_up(&client), 0); /* its slot is released with the reply */
    ck_assert_int_eq(client.region_fd, -1);
    raw_close(&client);
    ck_assert_int_eq(number("slots.taken"), 1);
    ck_assert_int_eq(number("handlers.live"), 1); /* the one that tells it */
}

static const struct {
    const char *name, *data;
    int status;
} oneshot_errors[] = {
    {"no.such.name", "", -ENOENT},   {"", "", -ENOENT},
    {"fipc.ech", "", -ENOENT},       {"fipc.echo ", "", -ENOENT},
    {"fipc.delay", "soon", -EINVAL}, {"fipc.stats", "slot 0", -EINVAL},
};

LOOP_TEST(oneshot_that_fails_gets_its_status, COUNT_OF(oneshot_errors))
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    const char *data = oneshot_errors[_i].data;

    ck_assert_int_eq(
        raw_call_once(&client, broker.socket, oneshot_errors[_i].name, data, strlen(data)),
        oneshot_errors[_i].status);

    ck_assert_uint_eq(client.packet.oneshot_reply.data_bytes, 0);
    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    raw_close(&client);
    ck_assert_int_eq(number("handlers.failed"), 1);
}

TEST(oneshot_with_the_longest_name_is_looked_up)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    char name[FIPC_NAME_BYTES_MAX + 1];

    memset(name, 'n', FIPC_NAME_BYTES_MAX);
    name[FIPC_NAME_BYTES_MAX] = '\0';
    ck_assert_int_eq(raw_call_once(&client, broker.socket, name, NULL, 0), -ENOENT);
    raw_close(&client);
}

TEST(oneshot_can_wait_for_its_answer)
{
    struct raw_client client = RAW_CLIENT_EMPTY;

    ck_assert_int_eq(raw_call_once(&client, broker.socket, "fipc.delay", "20", 2), 0);
    ck_assert_uint_eq(client.packet.oneshot_reply.data_bytes, 0);
    raw_close(&client);
}

/* ---- before accept(2) ---- */

TEST(hello_may_come_before_accept)
{
    static const struct fipc_hello hello = {.flags = 0};
    struct raw_client clients[20];
    uint32_t target;

    test_broker_freeze(&broker);
    for (int i = 0; i < 20; i++) {
        clients[i] = RAW_CLIENT_EMPTY;
        ck_assert_int_eq(raw_connect(&clients[i], broker.socket), 0);
        ck_assert_int_eq(raw_send_hello(&clients[i], &hello), 0);
    }
    test_broker_thaw(&broker);

    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(raw_receive_welcome(&clients[i]), 0);
        ck_assert_int_eq(raw_open_name(&clients[i], "fipc.ping", &target), 0);
        ck_assert_int_eq(raw_call(&clients[i], target, NULL, 0), 0);
    }
    for (int i = 0; i < 20; i++)
        raw_close(&clients[i]);
}

TEST(hello_may_come_long_after_accept)
{
    static const struct fipc_hello hello = {.flags = 0};
    struct raw_client client = RAW_CLIENT_EMPTY;

    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    TEST_WAIT_FOR(number("slots.greeting") == 1);
    ck_assert_int_eq(raw_send_hello(&client, &hello), 0);
    ck_assert_int_eq(raw_receive_welcome(&client), 0);
    raw_close(&client);
}

/* ---- places ---- */

static const struct {
    uint32_t asked, n_places;
} places[] = {{0, 1024}, {1, 32}, {33, 33}, {UINT32_MAX, 1024}};

LOOP_TEST(region_has_the_places_that_hello_asks_for, COUNT_OF(places))
{
    const struct fipc_hello hello = {.n_places = places[_i].asked};
    struct fipc_header last = {.kind = FIPC_KIND_REQUEST, .id = 7};
    struct raw_client client = RAW_CLIENT_EMPTY;

    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_hello(&client, &hello), 0);
    ck_assert_int_eq(raw_receive_welcome(&client), 0); /* the region has that size */
    ck_assert_uint_eq(client.welcome.n_places, places[_i].n_places);
    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &last.target), 0);
    last.status = (int32_t)places[_i].n_places - 1;
    ck_assert_int_eq(raw_send_record(&client, &last, "x", 1), 0);
    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_uint_eq(client.header.id, 7);
    ck_assert_int_eq(client.header.status, 0);
    raw_close(&client);
}

/* ---- with a config ---- */

static void start_with(const char *config)
{
    test_broker_init(&broker);
    test_broker_start_with(&broker, config);
    test_witness_open(&victim, &broker);
}

GROUP(config, .timeout = 30);

TEST(largest_ring_is_what_the_config_says)
{
    struct raw_client client = RAW_CLIENT_EMPTY;

    start_with("{\"slots\": {\"ring_bytes_max\": 131072, \"reply_ring_bytes\": 8192}}");

    ck_assert_uint_eq(victim.client.welcome.reply_ring_bytes, 8192);
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 131072, 131072), 0);
    raw_close(&client);
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 262144, 0), -ECONNREFUSED);
    ck_assert_uint_eq(client.packet.refused.reason, FIPC_REASON_RING_BYTES);
    raw_close(&client);
    stop();
}

/* With two slots of which the victim has one. */
static const char two_slots[] = "{\"slots\": {\"count\": 2, \"per_uid\": 2}}";

TEST(client_that_will_not_wait_for_a_slot_is_refused)
{
    static const struct fipc_hello impatient = {.wait_ms = 0};
    struct raw_client first = RAW_CLIENT_EMPTY, client = RAW_CLIENT_EMPTY;

    start_with(two_slots);
    ck_assert_int_eq(raw_open_session(&first, broker.socket, 0, 0), 0);
    test_broker_freeze(&broker); /* HELLO is there when the connection is accepted */
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_hello(&client, &impatient), 0);
    test_broker_thaw(&broker);

    ck_assert_int_eq(raw_receive_welcome(&client), -ECONNREFUSED);

    ck_assert(client.packet.refused.reason == FIPC_REASON_NO_SLOT ||
              client.packet.refused.reason == FIPC_REASON_QUOTA);
    ck_assert_uint_gt(client.packet.refused.retry_ms, 0);
    raw_close(&client);
    raw_close(&first);
    stop();
}

TEST(client_that_waits_gets_the_slot_that_becomes_free)
{
    static const struct fipc_hello patient = {.wait_ms = UINT32_MAX};
    struct raw_client first = RAW_CLIENT_EMPTY, client = RAW_CLIENT_EMPTY;

    start_with(two_slots);
    ck_assert_int_eq(raw_open_session(&first, broker.socket, 0, 0), 0);
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_hello(&client, &patient), 0);
    check_victim();
    raw_close(&first);

    ck_assert_int_eq(raw_receive_welcome(&client), 0);
    raw_close(&client);
    stop();
}

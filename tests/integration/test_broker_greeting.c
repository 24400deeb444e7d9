/* SPDX-License-Identifier: MIT */
/* How clients get in, and how those who greet badly are turned away without anybody else noticing.
 */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB 1024u
#define MIB (1024u * KIB)

#define DEFAULT_RING_BYTES (64 * KIB)
#define RING_BYTES_MAX (16 * MIB)

static struct test_broker broker;
static struct test_witness victim;

static void start(void)
{
    test_broker_init(&broker);
    test_broker_start(&broker, NULL);
    test_witness_open(&victim, &broker);
}

/* The victim is served as ever, by the very same broker. */
static void check_victim(void)
{
    ck_assert(test_broker_is_alive(&broker));
    test_witness_check(&victim);
}

static void stop(void)
{
    check_victim();
    test_witness_close(&victim);
    test_broker_deinit(&broker);
}

static long long number(const char *path) { return test_witness_number(&victim, path); }

static long long refused_so_far(enum fipc_reason reason)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "slots.refused.%s", fipc_reason_name(reason));
    return number(path);
}

/* ---- sessions ---- */

GROUP(broker_greeting, .timeout = 30, .fixtures = {{start, stop}});

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

/* Waits for REFUSED and the hang-up. */
static void check_refused(struct raw_client *client, enum fipc_reason reason)
{
    ck_assert_int_eq(raw_receive_packet(client), 0);
    ck_assert_int_eq(client->packet.type, FIPC_CONTROL_REFUSED);
    ck_assert_str_eq(fipc_reason_name(client->packet.refused.reason), fipc_reason_name(reason));
    ck_assert_int_eq(raw_wait_hang_up(client), 0);
    ck_assert_int_eq(client->region_fd, -1);
}

/* All that a badly greeting client may cause: it is told, counted, and logged in one line. */
static void check_turned_away(struct raw_client *client, enum fipc_reason reason)
{
    char line[128];

    check_refused(client, reason);
    ck_assert_uint_eq(client->packet.refused.retry_ms, 0); /* trying again does not help */
    ck_assert_int_eq(refused_so_far(reason), 1);
    (void)snprintf(line, sizeof(line), "refused: %s", fipc_reason_name(reason));
    ck_assert_int_eq(test_broker_log_lines(&broker, line), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": error: "), 0);
    raw_close(client);
    check_victim();
}

static const uint32_t bad_ring_bytes[] = {
    1,
    32,
    2 * KIB,
    4 * KIB - 1,
    4 * KIB + 1,
    6 * KIB,
    64 * KIB + 4 * KIB,
    2 * RING_BYTES_MAX,
    UINT32_C(1) << 31,
    UINT32_MAX,
};

/* Even turns ask for a bad request ring, odd ones for a bad reply ring. */
LOOP_TEST(bad_ring_size_is_refused, 2 * COUNT_OF(bad_ring_bytes))
{
    uint32_t bad = bad_ring_bytes[_i / 2];
    struct raw_client client = RAW_CLIENT_EMPTY;
    int r;

    r = _i % 2 == 0 ? raw_open_session(&client, broker.socket, bad, 0)
                    : raw_open_session(&client, broker.socket, 0, bad);

    ck_assert_int_eq(r, -ECONNREFUSED);
    ck_assert_uint_eq(client.packet.refused.reason, FIPC_REASON_RING_BYTES);
    ck_assert_uint_eq(client.packet.refused.retry_ms, 0);
    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    ck_assert_int_eq(refused_so_far(FIPC_REASON_RING_BYTES), 1);
    raw_close(&client);
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

/* Everything that the broker held for the dead is given back. */
static void check_nothing_held(int fds, int regions)
{
    struct test_witness last;

    /* who comes last finds that all before it were accepted */
    test_witness_open(&last, &broker);
    test_witness_close(&last);
    TEST_WAIT_FOR(number("slots.taken") == 1);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == fds);
    TEST_WAIT_FOR(test_broker_count_regions(&broker) == regions);
    ck_assert_int_eq(number("handlers.live"), 1);
    test_witness_check_sum(&victim);
}

/* ---- bad packets ---- */

/* A packet in its wire form, to be spoiled. */
struct wire {
    union {
        unsigned char bytes[128 * KIB];
        struct {
            struct fipc_control_header header;
            union {
                struct fipc_hello hello;
                struct fipc_welcome welcome;
                struct fipc_farewell farewell;
                struct fipc_named named;
            };
        };
    };
    size_t size;
};

static struct wire wire;

/* Makes the packet of this type, the rest of which is zero, as large as its body. */
static void make(enum fipc_control_type type, size_t body_bytes)
{
    memset(&wire, 0, sizeof(wire));
    wire.size = sizeof(wire.header) + body_bytes;
    wire.header.magic = FIPC_CONTROL_MAGIC;
    wire.header.version = FIPC_CONTROL_VERSION;
    wire.header.type = (uint16_t)type;
    wire.header.size = (uint32_t)wire.size;
}

static void make_hello(void) { make(FIPC_CONTROL_HELLO, sizeof(struct fipc_hello)); }

/* HELLO of a one-shot that claims these counts, and is as large as they say where that is possible.
 */
static void make_oneshot(uint32_t name_bytes, uint32_t data_bytes)
{
    make_hello();
    wire.hello.flags = FIPC_HELLO_ONESHOT;
    wire.hello.name_bytes = name_bytes;
    wire.hello.data_bytes = data_bytes;
    if ((uint64_t)name_bytes + data_bytes <= 64 * KIB)
        wire.size += name_bytes + data_bytes;
    wire.header.size = (uint32_t)wire.size;
}

static void make_bytes(size_t size, int step)
{
    memset(&wire, 0, sizeof(wire));
    wire.size = size;
    for (size_t i = 0; i < size; i++)
        wire.bytes[i] = (unsigned char)(i * (size_t)step);
}

static void resize(size_t size)
{
    wire.size = size;
    wire.header.size = (uint32_t)size;
}

static void empty(void) { make_bytes(0, 0); }
static void one_byte(void) { make_bytes(1, 0); }
static void zeros(void) { make_bytes(64, 0); }
static void garbage(void) { make_bytes(64, 37); }
static void long_garbage(void) { make_bytes(4000, 37); }
static void too_long_garbage(void) { make_bytes(5000, 37); }
static void huge_garbage(void) { make_bytes(sizeof(wire.bytes), 37); }
static void half_header(void)
{
    make_hello();
    wire.size = sizeof(wire.header) / 2;
}
static void header_alone(void)
{
    make_hello();
    wire.size = sizeof(wire.header);
}
static void header_alone_that_says_so(void)
{
    make_hello();
    resize(sizeof(wire.header));
}
static void half_hello(void)
{
    make_hello();
    wire.size -= sizeof(wire.hello) / 2;
}
static void half_hello_that_says_so(void)
{
    make_hello();
    resize(wire.size - sizeof(wire.hello) / 2);
}
static void hello_less_a_byte(void)
{
    make_hello();
    wire.size--;
}
static void hello_and_a_byte(void)
{
    make_hello();
    wire.size++;
}
static void hello_and_a_byte_that_says_so(void)
{
    make_hello();
    resize(wire.size + 1);
}
static void hello_and_megabytes(void)
{
    make_hello();
    resize(sizeof(wire.bytes));
}
static void wrong_magic(void)
{
    make_hello();
    wire.header.magic++;
}
static void magic_of_the_other_byte_order(void)
{
    make_hello();
    wire.header.magic = __builtin_bswap32(wire.header.magic);
}
static void version_zero(void)
{
    make_hello();
    wire.header.version = 0;
}
static void next_version(void)
{
    make_hello();
    wire.header.version++;
}
static void next_version_with_more_to_say(void)
{
    make_hello();
    wire.header.version++;
    resize(wire.size + 100);
}
static void last_version(void)
{
    make_hello();
    wire.header.version = UINT16_MAX;
}
static void type_zero(void)
{
    make_hello();
    wire.header.type = 0;
}
static void type_in_a_gap(void)
{
    make_hello();
    wire.header.type = FIPC_CONTROL_FDS + 1;
}
static void type_after_the_last(void)
{
    make_hello();
    wire.header.type = FIPC_CONTROL_PIDFD + 1;
}
static void type_of_all_bits(void)
{
    make_hello();
    wire.header.type = UINT16_MAX;
}
static void reserved_is_used(void)
{
    make_hello();
    wire.header.reserved = 1;
}
static void size_of_all_bits(void)
{
    make_hello();
    wire.header.size = UINT32_MAX;
}
static void unknown_flag(void)
{
    make_hello();
    wire.hello.flags = UINT32_C(1) << 31;
}
static void unknown_flag_of_a_oneshot(void)
{
    make_oneshot(9, 0);
    wire.hello.flags |= UINT32_C(1) << 8;
}
static void session_with_a_name(void)
{
    make_oneshot(9, 0);
    wire.hello.flags = 0;
}
static void session_with_data(void)
{
    make_oneshot(0, 9);
    wire.hello.flags = 0;
}
static void name_too_long(void) { make_oneshot(FIPC_NAME_BYTES_MAX + 1, 0); }
static void data_too_long(void) { make_oneshot(9, FIPC_ONESHOT_DATA_BYTES_MAX + 1); }
static void both_too_long(void)
{
    make_oneshot(FIPC_NAME_BYTES_MAX + 1, FIPC_ONESHOT_DATA_BYTES_MAX + 1);
}
static void name_of_all_bits(void) { make_oneshot(UINT32_MAX, 0); }
static void data_of_all_bits(void) { make_oneshot(0, UINT32_MAX); }
static void counts_that_add_up_to_nothing(void) { make_oneshot(UINT32_MAX, 1); }
static void name_longer_than_the_packet(void)
{
    make_oneshot(9, 0);
    wire.hello.name_bytes = 10;
}
static void data_longer_than_the_packet(void)
{
    make_oneshot(9, 100);
    wire.hello.data_bytes = 101;
}
static void name_and_data_less_than_the_packet(void)
{
    make_oneshot(9, 100);
    wire.hello.data_bytes = 99;
}
static void welcome(void) { make(FIPC_CONTROL_WELCOME, sizeof(struct fipc_welcome)); }
static void refused(void) { make(FIPC_CONTROL_REFUSED, sizeof(struct fipc_farewell)); }
static void goodbye(void) { make(FIPC_CONTROL_GOODBYE, sizeof(struct fipc_farewell)); }
static void opening(void) { make(FIPC_CONTROL_OPEN, sizeof(struct fipc_named)); }
static void oneshot_reply(void)
{
    make(FIPC_CONTROL_ONESHOT_REPLY, sizeof(struct fipc_oneshot_reply));
}

static const struct {
    void (*make)(void);
    enum fipc_reason reason;
} bad_packets[] = {
    {empty, FIPC_REASON_MALFORMED},
    {one_byte, FIPC_REASON_MALFORMED},
    {zeros, FIPC_REASON_MALFORMED},
    {garbage, FIPC_REASON_MALFORMED},
    {long_garbage, FIPC_REASON_MALFORMED},
    {too_long_garbage, FIPC_REASON_MALFORMED},
    {huge_garbage, FIPC_REASON_MALFORMED},
    {half_header, FIPC_REASON_MALFORMED},
    {header_alone, FIPC_REASON_MALFORMED},
    {header_alone_that_says_so, FIPC_REASON_MALFORMED},
    {half_hello, FIPC_REASON_MALFORMED},
    {half_hello_that_says_so, FIPC_REASON_MALFORMED},
    {hello_less_a_byte, FIPC_REASON_MALFORMED},
    {hello_and_a_byte, FIPC_REASON_MALFORMED},
    {hello_and_a_byte_that_says_so, FIPC_REASON_MALFORMED},
    {hello_and_megabytes, FIPC_REASON_MALFORMED},
    {wrong_magic, FIPC_REASON_MALFORMED},
    {magic_of_the_other_byte_order, FIPC_REASON_MALFORMED},
    {version_zero, FIPC_REASON_VERSION},
    {next_version, FIPC_REASON_VERSION},
    {next_version_with_more_to_say, FIPC_REASON_VERSION},
    {last_version, FIPC_REASON_VERSION},
    {type_zero, FIPC_REASON_MALFORMED},
    {type_in_a_gap, FIPC_REASON_MALFORMED},
    {type_after_the_last, FIPC_REASON_MALFORMED},
    {type_of_all_bits, FIPC_REASON_MALFORMED},
    {reserved_is_used, FIPC_REASON_MALFORMED},
    {size_of_all_bits, FIPC_REASON_MALFORMED},
    {unknown_flag, FIPC_REASON_MALFORMED},
    {unknown_flag_of_a_oneshot, FIPC_REASON_MALFORMED},
    {session_with_a_name, FIPC_REASON_MALFORMED},
    {session_with_data, FIPC_REASON_MALFORMED},
    {name_too_long, FIPC_REASON_MALFORMED},
    {data_too_long, FIPC_REASON_MALFORMED},
    {both_too_long, FIPC_REASON_MALFORMED},
    {name_of_all_bits, FIPC_REASON_MALFORMED},
    {data_of_all_bits, FIPC_REASON_MALFORMED},
    {counts_that_add_up_to_nothing, FIPC_REASON_MALFORMED},
    {name_longer_than_the_packet, FIPC_REASON_MALFORMED},
    {data_longer_than_the_packet, FIPC_REASON_MALFORMED},
    {name_and_data_less_than_the_packet, FIPC_REASON_MALFORMED},
    {welcome, FIPC_REASON_UNEXPECTED},
    {refused, FIPC_REASON_UNEXPECTED},
    {goodbye, FIPC_REASON_UNEXPECTED},
    {opening, FIPC_REASON_UNEXPECTED},
    {oneshot_reply, FIPC_REASON_UNEXPECTED},
};

LOOP_TEST(bad_packet_is_refused_counted_and_logged_once, COUNT_OF(bad_packets))
{
    struct raw_client client = RAW_CLIENT_EMPTY;

    bad_packets[_i].make();
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_bytes(&client, wire.bytes, wire.size, NULL, 0), 0);

    check_turned_away(&client, bad_packets[_i].reason);
}

TEST(packet_of_all_that_can_be_wrong_harms_nobody)
{
    int fds = test_broker_count_fds(&broker), regions = test_broker_count_regions(&broker);
    unsigned random = 1;

    for (int turn = 0; turn < test_scaled(2000); turn++) {
        struct raw_client client = RAW_CLIENT_EMPTY;

        /* a good greeting with some bytes spoiled: many are welcome after all, and that is fine */
        make_oneshot(9, 32);
        memcpy(wire.bytes + sizeof(wire.header) + sizeof(wire.hello), "fipc.echo", 9);
        for (unsigned i = 0; i < 1 + random / 65536 % 3; i++) {
            random = random * 1103515245 + 12345;
            wire.bytes[random / 65536 % wire.size] = (unsigned char)(random >> 8);
        }
        ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
        ck_assert_int_eq(raw_send_bytes(&client, wire.bytes, wire.size, NULL, 0), 0);
        ck_assert_int_eq(raw_receive_packet(&client), 0);
        raw_close(&client);
    }
    check_victim();
    check_nothing_held(fds, regions);
}

/* ---- fds sent to the broker ---- */

static const size_t fd_counts[] = {1, 2, FIPC_LANE_FDS_MAX};

/* Sends HELLO with fds. Where the kernel refuses them on the broker's behalf, since Linux 6.16,
 * nothing was sent and the client may still greet properly. */
LOOP_TEST(fds_are_not_taken, COUNT_OF(fd_counts))
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int fds[FIPC_LANE_FDS_MAX], before = test_broker_count_fds(&broker);
    int r;

    for (size_t i = 0; i < fd_counts[_i]; i++)
        fds[i] = STDIN_FILENO;
    make_hello();
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);

    r = raw_send_bytes(&client, wire.bytes, wire.size, fds, fd_counts[_i]);

    if (r == -EPERM) {
        ck_assert_int_eq(raw_send_bytes(&client, wire.bytes, wire.size, NULL, 0), 0);
        ck_assert_int_eq(raw_receive_welcome(&client), 0);
        raw_close(&client);
    } else {
        ck_assert_int_eq(r, 0);
        check_turned_away(&client, FIPC_REASON_FDS);
    }
    TEST_WAIT_FOR(number("slots.taken") == 1);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == before);
}

/* ---- before accept(2) ---- */

/* Stops the broker's process for a while, so that all that happens meanwhile waits for it. */
static void freeze(void)
{
    siginfo_t info;

    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)broker.pid, &info, WSTOPPED), 0);
}

static void thaw(void) { ck_assert_int_eq(kill(broker.pid, SIGCONT), 0); }

TEST(hello_may_come_before_accept)
{
    static const struct fipc_hello hello = {.flags = 0};
    struct raw_client clients[20];
    uint32_t target;

    freeze();
    for (int i = 0; i < 20; i++) {
        clients[i] = RAW_CLIENT_EMPTY;
        ck_assert_int_eq(raw_connect(&clients[i], broker.socket), 0);
        ck_assert_int_eq(raw_send_hello(&clients[i], &hello), 0);
    }
    thaw();

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

TEST(refusal_reaches_a_client_that_sent_more_than_was_read)
{
    struct raw_client client = RAW_CLIENT_EMPTY;

    freeze();
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    garbage();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(raw_send_bytes(&client, wire.bytes, wire.size, NULL, 0), 0);
    thaw();

    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    check_turned_away(&client, FIPC_REASON_MALFORMED);
}

/* ---- dying ---- */

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
        freeze();
        for (int i = 0; i < 30; i++) {
            struct raw_client client = RAW_CLIENT_EMPTY;

            steps[i % 7](&client); /* those that need no answer */
            raw_close(&client);
        }
        thaw();
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
    freeze(); /* HELLO is there when the connection is accepted */
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_hello(&client, &impatient), 0);
    thaw();

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

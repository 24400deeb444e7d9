/* SPDX-License-Identifier: MIT */
/* The broker turns a client away that greets badly, and no other client notices. */
#include "tests/integration/greeting_fixture.h"
#include "tests/suite.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static long long refused_so_far(enum fipc_reason reason)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "slots.refused.%s", fipc_reason_name(reason));
    return number(path);
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

/* All that a badly greeting client may cause: a reason that it gets, a count, and one line of the
 * log. */
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

GROUP(bad, .timeout = 30, .fixtures = {{start, stop}});

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

/* ---- bad packets ---- */

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
static void reserved_of_hello_is_used(void)
{
    make_hello();
    wire.hello.reserved = 1;
}
static void reserved_of_a_oneshot_is_used(void)
{
    make_oneshot(9, 0);
    wire.hello.reserved = UINT32_C(1) << 31;
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
    {reserved_of_hello_is_used, FIPC_REASON_MALFORMED},
    {reserved_of_a_oneshot_is_used, FIPC_REASON_MALFORMED},
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

TEST(refusal_reaches_a_client_that_sent_more_than_was_read)
{
    struct raw_client client = RAW_CLIENT_EMPTY;

    test_broker_freeze(&broker);
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    garbage();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(raw_send_bytes(&client, wire.bytes, wire.size, NULL, 0), 0);
    test_broker_thaw(&broker);

    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    check_turned_away(&client, FIPC_REASON_MALFORMED);
}

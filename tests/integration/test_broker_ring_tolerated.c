/* SPDX-License-Identifier: MIT */
/* What a client may write into a ring without losing its slot. */
#include "tests/integration/ring_fixture.h"
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>

/* It is not thrown out. */
static void check_tolerated(void)
{
    ck_assert_int_eq(raw_call(&villain, villains_echo, "1234", 4), 0);
    ck_assert_mem_eq(villain.payload, "1234", 4);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
    check_victim();
}

static const struct {
    const char *name;
    int status;
} unknown_names[] = {
    {"no.such.name", -ENOENT}, {"fipc.ech", -ENOENT}, {"fipc.echo ", -EINVAL},
    {"FIPC.ECHO", -ENOENT},    {"fipc.", -EINVAL},    {"", -EINVAL},
};

GROUP(tolerated, .timeout = 30, .fixtures = {{start, stop}});

LOOP_TEST(unknown_name_is_answered_and_nothing_else, COUNT_OF(unknown_names))
{
    uint32_t target = 7;

    ck_assert_int_eq(raw_open_name(&villain, unknown_names[_i].name, &target),
                     unknown_names[_i].status);
    ck_assert_uint_eq(target, 0);
    check_tolerated();
}

TEST(longest_name_is_looked_up)
{
    char name[FIPC_NAME_BYTES_MAX + 1];
    uint32_t target;

    memset(name, 'n', FIPC_NAME_BYTES_MAX);
    name[FIPC_NAME_BYTES_MAX] = '\0';
    ck_assert_int_eq(raw_open_name(&villain, name, &target), -ENOENT);
    check_tolerated();
}

static const uint32_t unknown_targets[] = {0, 6, 1000, UINT32_MAX};

LOOP_TEST(unknown_target_is_answered_and_nothing_else, COUNT_OF(unknown_targets))
{
    ck_assert_int_eq(raw_call(&villain, unknown_targets[_i], "data", 4), -ESTALE);
    ck_assert_uint_eq(villain.header.flags, FIPC_REPLY_NOT_DELIVERED);
    ck_assert_uint_eq(villain.payload_bytes, 0);
    check_tolerated();
}

RANGE_TEST(unknown_flag_of_a_request_is_answered_and_nothing_else, 5, 16)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_REQUEST,
        .flags = (uint16_t)(1u << _i),
        .target = villains_echo,
        .id = 4711,
    };

    ck_assert_int_eq(raw_send_record(&villain, &header, "data", 4), 0);
    ck_assert_int_eq(raw_receive_record(&villain), 0);
    ck_assert_int_eq(villain.header.kind, FIPC_KIND_REPLY);
    ck_assert_uint_eq(villain.header.id, 4711);
    ck_assert_int_eq(villain.header.status, -EOPNOTSUPP);
    ck_assert_uint_eq(villain.payload_bytes, 0);
    check_tolerated();
}

TEST(ids_are_the_clients_business)
{
    const uint64_t ids[] = {0, 0, UINT64_MAX};

    for (int i = 0; i < COUNT_OF(ids); i++) {
        const struct fipc_header header = {
            .kind = FIPC_KIND_REQUEST,
            .target = villains_echo,
            .id = ids[i],
        };

        ck_assert_int_eq(raw_send_record(&villain, &header, NULL, 0), 0);
        ck_assert_int_eq(raw_receive_record(&villain), 0);
        ck_assert_int_eq(villain.header.status, 0);
        ck_assert_uint_eq(villain.header.id, ids[i]);
    }
    check_tolerated();
}

TEST(skip_records_and_needless_bells_are_tolerated)
{
    const struct fipc_header skip = {.kind = FIPC_KIND_SKIP};

    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(raw_ring_bell(&villain), 0);
        if (raw_send_record(&villain, &skip, NULL, 0) == -EAGAIN)
            test_pause();
    }
    TEST_WAIT_FOR(raw_send_record(&villain, &skip, NULL, 0) == 0);
    TEST_WAIT_FOR(fipc_producer_has_room(&villain.channel.out, 100) == 1);
    check_tolerated();
}

/* What the broker writes it never reads back. So few turns that our own producer does not look at
 * the head. */
TEST(scribbling_over_what_is_the_brokers_harms_the_scribbler_alone)
{
    struct fipc_control_block *control = fipc_region_control(&villain.channel.region);
    const struct fipc_header header = {
        .kind = FIPC_KIND_REQUEST, .target = villains_echo, .id = 4711};

    for (int turn = 0; turn < 40; turn++) {
        atomic_store(&control->broker.word, (uint32_t)turn * 0x01010101u);
        atomic_store(&control->broker.closing, (uint32_t)turn);
        atomic_store(&control->request.head, (uint64_t)turn << 32);
        memset(control->reserved, turn, sizeof(control->reserved));

        ck_assert_int_eq(fipc_producer_send(&villain.channel.out, &header, "data", 4), 0);
        ck_assert_int_eq(raw_ring_bell(&villain), 0);
        TEST_WAIT_FOR(atomic_load(&control->reply.tail) != villain.channel.in.head);
        ck_assert_int_eq(raw_receive_record(&villain), 0);
        ck_assert_int_eq(villain.header.status, 0);
        ck_assert_mem_eq(villain.payload, "data", 4);
        TEST_WAIT_FOR(atomic_load(&control->request.head) == villain.channel.out.tail);
    }
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
}

TEST(shutting_the_bell_up_harms_the_ringer_alone)
{
    uint64_t count;

    /* blocking, which holds for the broker's end too, then empty, then full, then empty */
    ck_assert_int_eq(fcntl(villain.bell_fd, F_SETFL, 0), 0);
    ck_assert_int_eq(raw_ring_bell(&villain), 0);
    ck_assert_int_eq((int)read(villain.bell_fd, &count, sizeof(count)), sizeof(count));
    check_victim();
    count = UINT64_MAX - 1;
    ck_assert_int_eq((int)write(villain.bell_fd, &count, sizeof(count)), sizeof(count));
    check_victim();
    ck_assert_int_eq((int)read(villain.bell_fd, &count, sizeof(count)), sizeof(count));
    check_victim();
    ck_assert_int_eq(fcntl(villain.bell_fd, F_SETFL, O_NONBLOCK), 0);
    check_tolerated();
}

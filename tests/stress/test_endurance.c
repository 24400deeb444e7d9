/* SPDX-License-Identifier: MIT */
/* A broker that has served very many clients, one after the other, holds what it held before. */
#include "tests/stress/test_crowd_fixture.h"
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define ONESHOTS 200000
#define SESSIONS 20000
#define GROWTH_KIB_MAX 256 /* over the second half: in the first one pools may still grow */

static struct test_broker broker;

static void setup(void)
{
    test_broker_init(&broker);
    test_broker_start_with(&broker, "{}");
}

static void teardown(void)
{
    test_broker_stop(&broker);
    test_broker_deinit(&broker);
}

static void one_shot(int number)
{
    struct raw_client client = RAW_CLIENT_EMPTY;

    ck_assert_int_eq(crowd_send_oneshot(&client, &broker, number), 0);
    ck_assert_int_eq(crowd_receive_oneshot(&client, number), 0);
    raw_close(&client);
}

static void session(int number)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
    ck_assert_int_eq(raw_open_name(&client, "fipc.echo", &echo), 0);
    ck_assert_int_eq(crowd_call(&client, echo, number), 0);
    raw_close(&client);
}

/* Half of @count clients, then the other half. */
static void endure(const char *name, void (*client)(int number), int count)
{
    int fds = test_broker_count_fds(&broker), mappings = crowd_count_mappings(&broker);
    long half_way_kib, end_kib;
    uint64_t start_ns = fipc_now_ns();

    for (int i = 0; i < count / 2; i++)
        client(i);
    half_way_kib = crowd_rss_kib(&broker);
    for (int i = count / 2; i < count; i++)
        client(i);
    end_kib = crowd_rss_kib(&broker);
    (void)printf("%d %s in %.1f s, broker's memory half-way %ld KiB, at the end %ld KiB\n", count,
                 name, (double)(fipc_now_ns() - start_ns) / (double)FIPC_NS_PER_S, half_way_kib,
                 end_kib);

    TEST_WAIT_FOR(crowd_number(&broker, "slots.taken") == 1); /* this witness */
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == fds);
    ck_assert_int_eq(test_broker_count_regions(&broker), 0);
#ifdef CROWD_SANITIZED
    (void)mappings; /* the sanitizers keep memory of their own */
#else
    ck_assert_int_eq(crowd_count_mappings(&broker), mappings);
    ck_assert_int_le(end_kib - half_way_kib, GROWTH_KIB_MAX);
#endif
}

GROUP(endurance, .timeout = 100, .fixtures = {{setup, teardown}});

TEST(one_shots_in_a_row_leave_nothing_behind)
{
    endure("one-shots", one_shot, test_scaled(ONESHOTS));
}

TEST(sessions_in_a_row_leave_nothing_behind) { endure("sessions", session, test_scaled(SESSIONS)); }

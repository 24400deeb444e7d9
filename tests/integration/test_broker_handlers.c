/* SPDX-License-Identifier: MIT */
/* Callers that die: the broker drops their messages, and its counters add up. */
#include "tests/integration/handlers_fixture.h"
#include "tests/suite.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

GROUP(dying, .timeout = 60, .fixtures = {{start, stop}});

TEST(calls_of_the_dead_are_dropped)
{
    uint64_t id;

    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(raw_send_request(&client, delay, "20000", 5, &id), 0);
    TEST_WAIT_FOR(in_state("running") == 10);
    raw_close(&client);

    TEST_WAIT_FOR(number("slots.taken") == 1);
    ck_assert_int_eq(number("handlers.dropped"), 10);
    ck_assert_int_eq(number("handlers.live"), 1);
}

TEST(replies_that_wait_for_the_dead_are_dropped)
{
    (void)send_all(1000);
    ck_assert_int_eq(in_state("replying"), 1);
    raw_close(&client);

    TEST_WAIT_FOR(number("slots.taken") == 1);
    ck_assert_int_eq(number("handlers.dropped"), 1);
    ck_assert_int_eq(number("handlers.live"), 1);
}

TEST(oneshot_of_the_dead_is_dropped)
{
    struct raw_client dead = RAW_CLIENT_EMPTY;
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello = {.flags = FIPC_HELLO_ONESHOT, .name_bytes = 10, .data_bytes = 5},
        .name = "fipc.delay",
        .data = "20000",
    };

    ck_assert_int_eq(raw_connect(&dead, broker.socket), 0);
    ck_assert_int_eq(raw_send_packet(&dead, &hello), 0);
    TEST_WAIT_FOR(number("slots.oneshot") == 1);
    ck_assert_int_eq(number("handlers.live"), 2);
    raw_close(&dead);

    TEST_WAIT_FOR(number("slots.oneshot") == 0);
    ck_assert_int_eq(number("handlers.dropped"), 1);
}

/* One call of a random kind, whose reply is not waited for. */
static void send_anything(struct raw_client *caller, uint64_t random)
{
    static const unsigned char data[8 * KIB];
    const struct fipc_header flagged = {
        .kind = FIPC_KIND_REQUEST, .flags = 0x8000, .target = echo, .id = random};
    char ms[16];
    uint64_t id;

    switch (random % 5) {
    case 0:
        (void)snprintf(ms, sizeof(ms), "%u", (unsigned)(random >> 8) % 30);
        (void)raw_send_request(caller, delay, ms, strlen(ms), &id);
        break;
    case 1:
        (void)raw_send_request(caller, delay, "never", 5, &id);
        break;
    case 2:
        (void)raw_send_request(caller, 999, data, 10, &id);
        break;
    case 3:
        (void)raw_send_record(caller, &flagged, NULL, 0);
        break;
    default:
        (void)raw_send_request(caller, echo, data, (random >> 8) % sizeof(data), &id);
    }
}

/* A process that calls at random and dies at random, again and again. */
static pid_t start_caller(uint64_t seed)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t random = seed;;) {
        struct raw_client caller = RAW_CLIENT_EMPTY;

        if (raw_open_session(&caller, broker.socket, 0, 0) < 0)
            _exit(1);
        for (uint64_t i = random >> 32 & 63; i > 0; i--) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            send_anything(&caller, random >> 16);
            if (random >> 63)
                (void)raw_try_receive_record(&caller);
        }
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        raw_close(&caller);
    }
}

TEST(counters_add_up_at_every_look)
{
    pid_t callers[4];
    siginfo_t info = {.si_pid = 0};

    for (int i = 0; i < COUNT_OF(callers); i++)
        callers[i] = start_caller((uint64_t)i + 1);
    for (int look = 0; look < test_scaled(500); look++)
        test_witness_check_sum(&witness);
    TEST_WAIT_FOR(number("handlers.dropped") > 10);
    for (int i = 0; i < COUNT_OF(callers); i++) {
        ck_assert_int_eq(waitid(P_PID, (id_t)callers[i], &info, WEXITED | WNOHANG), 0);
        ck_assert_int_eq(info.si_pid, 0); /* it has not failed */
        ck_assert_int_eq(kill(callers[i], SIGKILL), 0);
        ck_assert_int_eq(waitpid(callers[i], NULL, 0), callers[i]);
    }
    TEST_WAIT_FOR(number("handlers.live") == 1);
    ck_assert_int_gt(number("handlers.replied"), 0);
    ck_assert_int_gt(number("handlers.failed"), 0);
}

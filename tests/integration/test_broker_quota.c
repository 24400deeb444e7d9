/* SPDX-License-Identifier: MIT */
/* Clients that wait for a slot, and the quota of one user. */
#include "tests/integration/slots_fixture.h"
#include "tests/suite.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static long long n_waiting(void) { return number("slots.waiting"); }

/* ---- the waiting room ---- */

GROUP(waiting, .timeout = 30, .fixtures = {{setup, teardown}});

TEST(who_finds_no_slot_waits_and_is_served_first_come_first_served)
{
    if (!start_for_strangers("{\"slots\": {\"count\": 3, \"per_uid\": 2}}"))
        return;
    open_session(&clients[0]);
    open_session(&clients[1]);
    for (int i = 2; i < 5; i++) {
        knock(&clients[i], 10000); /* the kernel's queue keeps their order */
    }
    raw_close(&clients[0]);
    ck_assert_int_eq(raw_receive_welcome(&clients[2]), 0);
    ck_assert(!has_answer(&clients[3]));
    raw_close(&clients[1]);
    ck_assert_int_eq(raw_receive_welcome(&clients[3]), 0);
    ck_assert(!has_answer(&clients[4]));
    raw_close(&clients[2]);
    ck_assert_int_eq(raw_receive_welcome(&clients[4]), 0);
}

TEST(who_waits_is_refused_at_its_own_deadline)
{
    uint64_t start_ns;

    if (!start_for_strangers("{\"slots\": {\"count\": 4, \"per_uid\": 1},"
                             " \"timeouts\": {\"doorbell_ms\": 60000}}"))
        return;
    open_session(&clients[0]);
    start_ns = fipc_now_ns();
    knock(&clients[1], 300);
    ck_assert_refused(&clients[1], FIPC_REASON_QUOTA);
    ck_assert_uint_ge(fipc_now_ns() - start_ns, 250 * FIPC_NS_PER_MS);
}

TEST(who_says_hello_late_has_his_own_deadline_too)
{
    const struct fipc_hello hello = {.wait_ms = 300};
    struct test_witness witness;

    if (!start_for_strangers("{\"slots\": {\"count\": 4, \"per_uid\": 1},"
                             " \"timeouts\": {\"doorbell_ms\": 60000}}"))
        return;
    open_session(&clients[0]);
    raw_connect_uid = 0;
    test_witness_open(&witness, &broker);
    raw_connect_uid = STRANGER;
    ck_assert_int_eq(raw_connect(&clients[1], broker.socket), 0);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.waiting") == 1);
    ck_assert_int_eq(raw_send_hello(&clients[1], &hello), 0);
    ck_assert_refused(&clients[1], FIPC_REASON_QUOTA);
    test_witness_close(&witness);
}

TEST(place_of_a_waiting_client_that_hangs_up_is_free)
{
    int n_fds;

    start_with("{\"slots\": {\"count\": 2, \"per_uid\": 2}, \"control\": {\"backlog\": 2}}");
    n_fds = test_broker_count_fds(&broker) + 4; /* two of a session each */
    open_session(&clients[0]);
    open_session(&clients[1]);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == n_fds);
    for (int i = 0; i < 20; i++) {
        knock(&clients[2], 10000);
        TEST_WAIT_FOR(test_broker_count_fds(&broker) == n_fds + 1);
        raw_close(&clients[2]);
        TEST_WAIT_FOR(test_broker_count_fds(&broker) == n_fds);
    }
    knock(&clients[3], 10000);
    raw_close(&clients[0]);
    ck_assert_int_eq(raw_receive_welcome(&clients[3]), 0);
    raw_close(&clients[1]);
    TEST_WAIT_FOR(n_waiting() == 0);
}

TEST(waiting_room_is_bounded)
{
    if (!start_for_strangers("{\"slots\": {\"count\": 2, \"per_uid\": 2},"
                             " \"control\": {\"backlog\": 8},"
                             " \"timeouts\": {\"doorbell_ms\": 60000}}"))
        return;
    open_session(&clients[0]);
    open_session(&clients[1]);
    for (int i = 2; i < 6; i++)
        knock(&clients[i], 60000);
    knock(&clients[6], 60000); /* half of the places is the most of one */
    ck_assert_refused(&clients[6], FIPC_REASON_NO_SLOT);
    ck_assert_uint_gt(clients[6].packet.refused.retry_ms, 0);
    raw_close(&clients[0]);
    ck_assert_int_eq(raw_receive_welcome(&clients[2]), 0);
}

/* ---- what one user may have ---- */

/* Runs a part of a test as another user. Return: what it returned. */
static int as_nobody(int (*part)(void))
{
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
            _exit(99);
        raw_connect_uid = 0; /* as this process runs */
        _exit(part());
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_one_session(void)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int r = raw_open_session(&client, broker.socket, 0, 0);

    raw_close(&client);
    return r == 0 ? 0 : 1;
}

GROUP(quota, .timeout = 30, .fixtures = {{setup, teardown}});

TEST(user_at_its_quota_leaves_the_rest_to_others)
{
    if (!start_for_strangers("{\"slots\": {\"count\": 4, \"per_uid\": 2}}"))
        return;
    open_session(&clients[0]);
    open_session(&clients[1]);
    knock(&clients[2], 60000);
    ck_assert_int_eq(as_nobody(open_one_session), 0);
    ck_assert(!has_answer(&clients[2]));
}

/* The largest rings that a stranger may ask for, and larger ones. Return: 0 all is as it should be
 */
static int ask_for_rings(void)
{
    static const struct {
        uint32_t request_bytes, reply_bytes;
        int error;
    } rings[] = {
        {524288, 524288, 0},
        {1048576, 524288, 0},
        {524288, 1048576, 0},
        {1048576, 1048576, -ECONNREFUSED},
        {2097152, 4096, -ECONNREFUSED},
        {4096, 2097152, -ECONNREFUSED},
    };

    for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
        struct raw_client client = RAW_CLIENT_EMPTY;
        int r =
            raw_open_session(&client, broker.socket, rings[i].request_bytes, rings[i].reply_bytes);

        if (r != rings[i].error ||
            (r != 0 && client.packet.refused.reason != FIPC_REASON_RING_BYTES))
            return (int)i + 1;
        raw_close(&client);
    }
    return 0;
}

static int open_large_session(void)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int r = raw_open_session(&client, broker.socket, 1048576, 2097152);

    raw_close(&client);
    return r == 0 ? 0 : 1;
}

/* A process that touches a region of which its client makes a huge page waits meanwhile. */
TEST(stranger_has_no_room_for_a_huge_page)
{
    struct raw_client root = RAW_CLIENT_EMPTY;

    if (geteuid() != 0) {
        (void)printf("SKIP: only root can be two users\n");
        start_with("{}");
        return;
    }
    start_with("{\"control\": {\"mode\": \"0666\"}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    ck_assert_int_eq(as_nobody(ask_for_rings), 0);
    ck_assert_int_ne(as_nobody(open_large_session), 0);
    ck_assert_int_eq(raw_open_session(&root, broker.socket, 16777216, 16777216), 0);
    raw_close(&root);

    reload("{\"control\": {\"mode\": \"0666\"}, \"slots\": {\"request_ring_bytes\": 1048576,"
           " \"reply_ring_bytes\": 2097152}}",
           "config reloaded");
    ck_assert_int_ne(as_nobody(open_large_session), 0);
}

/* Return: the KiB of the rings that this user gets unasked; 255: no session */
static int default_kib(void)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int r = raw_open_session(&client, broker.socket, 0, 0);
    int kib = (int)(client.welcome.request_ring_bytes / 1024);

    if (r < 0 || client.welcome.reply_ring_bytes != client.welcome.request_ring_bytes)
        kib = 255;
    raw_close(&client);
    return kib;
}

TEST(strangers_have_a_default_size_of_their_own)
{
    if (geteuid() != 0) {
        (void)printf("SKIP: only root can be two users\n");
        start_with("{}");
        return;
    }
    start_with("{\"control\": {\"mode\": \"0666\"}, \"slots\": {\"stranger_ring_bytes\": 8192}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    ck_assert_int_eq(as_nobody(default_kib), 8);
    ck_assert_int_eq(default_kib(), 64);
}

#define HELD (CLIENTS_MAX - 1)
/* The regions of one burst may not be gone yet when the next one comes. */
#define BURST (HELD / 2)

/* Return: how many of them got no session */
static int open_many_at_once(void)
{
    struct raw_client many[BURST];
    const struct fipc_hello hello = {.wait_ms = 10000};
    int failed = 0;

    for (int i = 0; i < BURST; i++) {
        many[i] = RAW_CLIENT_EMPTY;
        failed += raw_connect(&many[i], broker.socket) < 0 || raw_send_hello(&many[i], &hello) < 0;
    }
    for (int i = 0; i < BURST; i++) {
        failed += raw_receive_welcome(&many[i]) < 0;
        raw_close(&many[i]);
    }
    return failed;
}

TEST(who_waits_for_his_quota_is_in_nobodys_way)
{
    /* a single place in the waiting room for each */
    if (!start_for_strangers("{\"slots\": {\"count\": 100, \"per_uid\": 15},"
                             " \"control\": {\"backlog\": 6}}"))
        return;
    for (int i = 0; i < HELD; i++)
        open_session(&clients[i]);
    knock(&clients[HELD], 60000);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(as_nobody(open_many_at_once), 0);
        TEST_WAIT_FOR(number("slots.open") == HELD);
    }
    ck_assert(!has_answer(&clients[HELD]));
}

TEST(user_has_a_share_of_the_waiting_room_too)
{
    if (!start_for_strangers("{\"slots\": {\"count\": 100, \"per_uid\": 14},"
                             " \"control\": {\"backlog\": 7}}"))
        return;
    for (int i = 0; i < CLIENTS_MAX - 2; i++)
        open_session(&clients[i]);
    knock(&clients[CLIENTS_MAX - 2], 60000); /* 14 of 100 of 7 places: one */
    ck_assert_int_eq(raw_connect(&clients[CLIENTS_MAX - 1], broker.socket), 0);
    ck_assert_refused(&clients[CLIENTS_MAX - 1], FIPC_REASON_QUOTA);
    ck_assert(!has_answer(&clients[CLIENTS_MAX - 2]));
}

/* ---- one person with many uids ---- */

GROUP(owners, .timeout = 30, .fixtures = {{setup, teardown}});

#define OWNER_OF_TEN                                                                               \
    "\"limits\": {\"owners\": [{\"first\": 60010, \"count\": 10, \"owner\": 60000}]}"

static int try_session_as(struct raw_client *client, uid_t uid)
{
    raw_connect_uid = uid;
    return raw_open_session(client, broker.socket, 0, 0);
}

TEST(uids_of_one_owner_have_what_one_user_may_have)
{
    /* a single place in the waiting room, which is taken */
    if (!start_for_strangers("{\"slots\": {\"count\": 40, \"per_uid\": 4}, " OWNER_OF_TEN
                             ", \"control\": {\"backlog\": 4}}"))
        return;
    for (uid_t i = 0; i < 4; i++)
        ck_assert_int_eq(try_session_as(&clients[i], 60010 + i), 0);
    raw_connect_uid = 60014;
    knock(&clients[4], 60000);
    TEST_WAIT_FOR(n_waiting() == 1);
    raw_connect_uid = 60019;
    ck_assert_int_eq(raw_connect(&clients[5], broker.socket), 0);
    ck_assert_refused(&clients[5], FIPC_REASON_QUOTA);
    raw_connect_uid = 60000; /* the owner itself */
    ck_assert_int_eq(raw_connect(&clients[6], broker.socket), 0);
    ck_assert_refused(&clients[6], FIPC_REASON_QUOTA);

    for (uid_t i = 0; i < 4; i++) /* uids beside them */
        ck_assert_int_eq(try_session_as(&clients[7 + i], 60020 + i), 0);
    raw_close(&clients[0]);
    ck_assert_int_eq(raw_receive_welcome(&clients[4]), 0);
}

TEST(new_owners_are_for_those_that_connect_later)
{
    if (!start_for_strangers("{\"slots\": {\"count\": 40, \"per_uid\": 2}}"))
        return;
    for (uid_t i = 0; i < 4; i++)
        ck_assert_int_eq(try_session_as(&clients[i], 60010 + i), 0);
    reload("{\"slots\": {\"count\": 40, \"per_uid\": 2}, " OWNER_OF_TEN
           ", \"timeouts\": {\"doorbell_ms\": 300}}",
           "config reloaded");
    for (uid_t i = 0; i < 2; i++) /* those before count to themselves */
        ck_assert_int_eq(try_session_as(&clients[4 + i], 60010 + i), 0);
    raw_connect_uid = 60012;
    ck_assert_int_eq(raw_connect(&clients[6], broker.socket), 0);
    ck_assert_refused(&clients[6], FIPC_REASON_QUOTA);

    for (int i = 0; i < 4; i++)
        raw_close(&clients[i]);
    raw_connect_uid = 60013;
    ck_assert_int_eq(raw_connect(&clients[7], broker.socket), 0);
    ck_assert_refused(&clients[7], FIPC_REASON_QUOTA);
    raw_close(&clients[4]);
    ck_assert_int_eq(try_session_as(&clients[8], 60013), 0);
}

/* Four uids of one owner take what they can; another user and root still get in. */
TEST(owner_leaves_slots_to_others_and_the_last_to_root)
{
    int n_others = 0;

    if (!start_for_strangers("{\"slots\": {\"count\": 16, \"per_uid\": 16}, " OWNER_OF_TEN
                             ", \"timeouts\": {\"doorbell_ms\": 200}}"))
        return;
    for (uid_t i = 0; i < 5; i++)
        ck_assert_int_eq(try_session_as(&clients[i], 60010 + i), 0);
    for (uid_t i = 0; i < 7; i++) /* the reserve is 4 of 16: all but these are taken */
        ck_assert_int_eq(try_session_as(&clients[5 + i], 60020 + i), 0);
    raw_connect_uid = 60027;
    ck_assert_int_eq(raw_connect(&clients[12], broker.socket), 0);
    ck_assert_refused(&clients[12], FIPC_REASON_NO_SLOT);
    raw_connect_uid = 60010;
    ck_assert_int_eq(raw_connect(&clients[13], broker.socket), 0);
    ck_assert_refused(&clients[13], FIPC_REASON_NO_SLOT);
    for (int i = 12; i < 16; i++) {
        raw_close(&clients[i]);
        n_others += try_session_as(&clients[i], 0) == 0;
    }
    ck_assert_int_eq(n_others, 4);
}

/* ---- memory ---- */

GROUP(memory, .timeout = 30, .fixtures = {{setup, teardown}});

TEST(rings_are_counted_against_the_user)
{
    start_with("{\"slots\": {\"count\": 8, \"per_uid\": 8, \"ring_bytes_max\": 262144}}");
    /* 8 sessions of 132 KiB each are allowed: two of 516 KiB, not three */
    ck_assert_int_eq(raw_open_session(&clients[0], broker.socket, 262144, 262144), 0);
    ck_assert_int_eq(raw_open_session(&clients[1], broker.socket, 262144, 262144), 0);
    ck_assert_int_eq(raw_open_session(&clients[2], broker.socket, 262144, 262144), -ECONNREFUSED);
    ck_assert_uint_eq(clients[2].packet.refused.reason, FIPC_REASON_QUOTA);
    raw_close(&clients[0]);
    TEST_WAIT_FOR(number("slots.open") == 1);
    ck_assert_int_eq(raw_open_session(&clients[3], broker.socket, 262144, 262144), 0);
}

/* SPDX-License-Identifier: MIT */
/* Users that take all that they can get, of a broker with the default limits: others are served all
 * the same, and root has the last of everything. */
#include "tests/integration/slots_fixture.h"
#include "tests/suite.h"

#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 1100
#define WAITS                                                                                      \
    1000 /* of a session: the rest of its calls is for those that look what became of them */
#define FIRST_UID 60010
#define VICTIM_UID 60100

static struct raw_client sessions[SESSIONS_MAX];
static int n_sessions;

static void set_up(void)
{
    setup();
    n_sessions = 0;
    for (int i = 0; i < SESSIONS_MAX; i++)
        sessions[i] = RAW_CLIENT_EMPTY;
}

static void tear_down(void)
{
    while (n_sessions > 0)
        raw_close(&sessions[--n_sessions]);
    teardown();
}

GROUP(shares, .timeout = 120, .fixtures = {{set_up, tear_down}});

/* @n_uids from FIRST_UID on are of one owner; those after them belong to themselves. */
static bool start(int n_uids, uint32_t count)
{
    char json[256];

    (void)snprintf(json, sizeof(json),
                   "{\"slots\": {\"count\": %u}, \"timeouts\": {\"handler_ms\": 600000},"
                   " \"limits\": {\"owners\": [{\"first\": %u, \"count\": %d, \"owner\": %u}]}}",
                   count, FIRST_UID, n_uids, FIRST_UID);
    test_raise_fds_limit();
    return start_for_strangers(json);
}

static struct raw_client *open_as(uid_t uid)
{
    struct raw_client *client = &sessions[n_sessions++];

    raw_connect_uid = uid;
    ck_assert_int_eq(raw_open_session(client, broker.socket, 0, 0), 0);
    return client;
}

/* Return: the status of the reply to a call of fipc.echo; how many records before it say that
 * something was refused */
static int32_t call(struct raw_client *client, uint32_t echo, int *ret_refused)
{
    uint64_t id;
    int r;

    *ret_refused = 0;
    TEST_WAIT_FOR((r = raw_send_request(client, echo, NULL, 0, &id)) != -EAGAIN);
    ck_assert_int_eq(r, 0);
    do {
        ck_assert_int_eq(raw_receive_record(client), 0);
        *ret_refused += client->header.id != id && client->header.status < 0;
    } while (client->header.id != id);
    return client->header.status;
}

/* A session waits for names. @first: the number of the first one; -1: for one name. Return: how
 * many of the waits were refused */
static int wait_for_names(struct raw_client *client, int first)
{
    uint32_t echo;
    uint64_t id;
    int refused;

    ck_assert_int_eq(raw_open_name(client, "fipc.echo", &echo), 0);
    for (int i = 0; i < WAITS; i++) {
        char name[64];
        int r;

        (void)snprintf(name, sizeof(name), "com.example.n%d", first < 0 ? 0 : first + i);
        TEST_WAIT_FOR((r = raw_send_wait(client, name, 0, &id)) != -EAGAIN);
        ck_assert_int_eq(r, 0);
    }
    (void)call(client, echo, &refused);
    return refused;
}

/* Each of these uids opens sessions that wait, until one is refused something. Return: how many
 * waits are there */
static int take_all(int n_uids, bool of_one_name)
{
    int n_waits = 0, n_names = 0;

    for (int i = 0; i < n_uids; i++) {
        int refused = 0;

        while (refused == 0) {
            refused = wait_for_names(open_as(FIRST_UID + (uid_t)i), of_one_name ? -1 : n_names);
            n_waits += WAITS - refused;
            n_names += WAITS;
        }
    }
    return n_waits;
}

/* Return: how many of 1000 calls were refused */
static int victim_calls(void)
{
    struct raw_client *victim = open_as(VICTIM_UID);
    int refused = 0, other;
    uint32_t echo;

    ck_assert_int_eq(raw_open_name(victim, "fipc.echo", &echo), 0);
    for (int i = 0; i < 1000; i++)
        refused += call(victim, echo, &other) != 0;
    return refused;
}

TEST(calls_of_one_owner_leave_those_of_others)
{
    int taken;

    if (!start(4, 4096))
        return;
    taken = take_all(4, true);
    ck_assert_int_eq(taken, (1 << 20) / 4);
    ck_assert_int_eq(victim_calls(), 0);
}

/* Sessions of a user, until it gets no more. */
static int take_slots(uid_t uid)
{
    int n_taken = 0;

    raw_connect_uid = uid;
    while (raw_open_session(&sessions[n_sessions], broker.socket, 0, 0) == 0) {
        n_sessions++;
        n_taken++;
    }
    raw_close(&sessions[n_sessions]);
    return n_taken;
}

TEST(slots_of_others_leave_some_for_each_user_and_for_root)
{
    static const int wanted[] = {64, 64, 48, 24, 12};

    if (!start(1, 256))
        return;
    for (int i = 0; i < COUNT_OF(wanted); i++)
        ck_assert_int_eq(take_slots(FIRST_UID + (uid_t)i), wanted[i]);
    ck_assert_int_ge(take_slots(VICTIM_UID), 4);
    for (uid_t uid = 60200; uid < 60208; uid++)
        (void)take_slots(uid);
    ck_assert_int_eq(take_slots(60300), 0);
    ck_assert_int_eq(take_slots(0), 16);
}

static const struct {
    int n_uids, n_owned; /* of these: of one owner */
    int least, most;
} of_names[] = {
    {4, 4, 4096, 4096},
    {16, 0, 60000, 65534 - 65534 / 16 - 16},
};

LOOP_TEST(names_of_others_leave_some_for_each_user_and_for_root, COUNT_OF(of_names))
{
    struct raw_client *victim, *root;
    uint32_t target;
    int taken;

    if (!start(of_names[_i].n_owned > 0 ? of_names[_i].n_owned : 1, 4096))
        return;
    taken = take_all(of_names[_i].n_uids, false);
    (void)printf("%d names\n", taken);
    victim = open_as(VICTIM_UID);
    ck_assert_int_le(wait_for_names(victim, 1000000), WAITS - 8);
    root = open_as(0);
    ck_assert_int_eq(raw_serve(root, "com.example.served", 1, &target), 0);
    ck_assert_int_ge(taken, of_names[_i].least);
    ck_assert_int_le(taken, of_names[_i].most);
}

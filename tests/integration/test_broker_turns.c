/* SPDX-License-Identifier: MIT */
/*
 * Whatever one user has the broker do at once, a turn begins nothing new after its end, and no act
 * is long: the broker's own counters tell. All that comes at once was prepared while the broker
 * stood still.
 *
 * How many acts a turn began late does not depend on the machine. How long an act took does: the
 * CPU time of a loop that does nothing jumps by 0.2 to 4 ms about once a second here, where the
 * host takes the CPU away without saying so. So the longest act tells nothing, and a few acts may
 * be long; an act that is long by itself is so each time.
 */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One thing of each share of a turn. */
#define LATE_MAX 12
/* Long acts that the machine may make, and three of ten: a host has to find memory for those that
 * touch some first, and a neighbour on the same core slows all. */
#define LONG_BY_CHANCE 10

#define CALLS 1000 /* of a session */
#define CLIENTS_MAX 400
#define FIRST_UID 60010

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_TIME 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_TIME 0
#endif
#endif
#ifndef HAS_TIME
#define HAS_TIME 1
#endif

static const char *const kinds[] = {"greeting", "seating", "close", "wake", "deadline", "report"};

static struct test_broker broker;
static struct test_witness witness;
static struct raw_client clients[CLIENTS_MAX];
static int n_clients;

static void start_with(const char *config)
{
    test_raise_fds_limit();
    test_broker_init(&broker);
    test_broker_start_with(&broker, config);
    test_broker_open_to_all(&broker);
    raw_connect_uid = 0;
    test_witness_open(&witness, &broker);
    n_clients = 0;
}

static void set_up(void) { start_with("{\"timeouts\": {\"handler_ms\": 60000}}"); }

static void drop_clients(void)
{
    while (n_clients > 0)
        raw_close(&clients[--n_clients]);
}

static void tear_down(void)
{
    drop_clients();
    raw_connect_uid = 0;
    test_witness_close(&witness);
    test_broker_deinit(&broker);
}

/* Clients that come from now on are another user's than the witness, if that is possible. */
static void come_as(int user) { raw_connect_uid = getuid() == 0 ? FIRST_UID + (uid_t)user : 0; }

static struct raw_client *add_client(void)
{
    ck_assert_int_lt(n_clients, CLIENTS_MAX);
    clients[n_clients] = RAW_CLIENT_EMPTY;
    return &clients[n_clients++];
}

static struct raw_client *open_client(void)
{
    struct raw_client *client = add_client();

    ck_assert_int_eq(raw_open_session(client, broker.socket, 0, 0), 0);
    return client;
}

static long long number(const char *path) { return test_witness_number(&witness, path); }

static long long of_acts(const char *kind, const char *what)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "loop.acts.%s.%s", kind, what);
    return number(path);
}

/* The turns were as long as they may be. */
static void judge(void)
{
    test_witness_check(&witness);
    ck_assert_int_le(number("loop.late_max"), LATE_MAX);
    for (size_t i = 0; HAS_TIME && i < COUNT_OF(kinds); i++) {
        long long n = of_acts(kinds[i], "count"), n_long = of_acts(kinds[i], "long");

        ck_assert_msg(n_long <= LONG_BY_CHANCE + 3 * n / 10, "%lld of %lld acts were long: %s",
                      n_long, n, kinds[i]);
    }
}

static void stand_still_until(uint64_t due_ns)
{
    test_broker_freeze(&broker);
    TEST_WAIT_FOR(fipc_now_ns() > due_ns);
    test_broker_thaw(&broker);
}

GROUP(turns, .timeout = 60, .fixtures = {{set_up, tear_down}});

/* ---- what is due at one moment ---- */

#define SESSIONS 16
#define MARGIN_NS (100 * FIPC_NS_PER_MS) /* half of it for the last ones to be taken */

/* Sends them until there are enough, or the moment is near: a slow machine gets fewer. Return: how
 * many */
static int ask_sessions(uint64_t due_ns, void (*ask)(struct raw_client *client, uint64_t due_ns))
{
    uint64_t end_ns = due_ns - MARGIN_NS;
    int n = 0;

    come_as(0);
    for (int i = 0; i < SESSIONS && fipc_now_ns() < end_ns; i++) {
        struct raw_client *client = open_client();

        for (int call = 0; call < CALLS && fipc_now_ns() < end_ns; call++, n++)
            ask(client, due_ns);
    }
    while (number("handlers.live") < n && fipc_now_ns() < due_ns - MARGIN_NS / 2)
        test_pause();
    return n;
}

static void ask_for_delay(struct raw_client *client, uint64_t due_ns)
{
    static uint32_t delay; /* the same number for all */
    char text[16];
    int size =
        snprintf(text, sizeof(text), "%d", (int)((due_ns - fipc_now_ns()) / FIPC_NS_PER_MS) + 1);
    uint64_t id;

    if (client->last_id == 0)
        ck_assert_int_eq(raw_open_name(client, "fipc.delay", &delay), 0);
    TEST_WAIT_FOR(raw_send_request(client, delay, text, (size_t)size, &id) == 0);
}

static void ask_for_service(struct raw_client *client, uint64_t due_ns)
{
    uint64_t now_ns = fipc_now_ns(), id;

    TEST_WAIT_FOR(
        raw_send_wait(client, "com.example.late", due_ns > now_ns ? due_ns - now_ns : 1, &id) == 0);
}

TEST(calls_that_are_due_at_once)
{
    uint64_t due_ns = fipc_now_ns() + FIPC_NS_PER_S / 4;
    int n = ask_sessions(due_ns, ask_for_delay);

    stand_still_until(due_ns + 10 * FIPC_NS_PER_MS);
    TEST_WAIT_FOR(number("handlers.live") == 1);
    ck_assert_int_ge(number("handlers.started"), n);
    judge();
}

TEST(waits_that_end_at_once)
{
    uint64_t due_ns = fipc_now_ns() + FIPC_NS_PER_S / 4;
    int n = ask_sessions(due_ns, ask_for_service);

    stand_still_until(due_ns);
    TEST_WAIT_FOR(number("handlers.live") == 1);
    ck_assert_int_ge(number("handlers.started"), n);
    judge();
}

TEST(waits_that_are_answered_at_once)
{
    uint32_t target;
    int n = ask_sessions(fipc_now_ns() + 20 * FIPC_NS_PER_S, ask_for_service);

    TEST_WAIT_FOR(number("handlers.live") >= n);
    raw_connect_uid = 0;
    ck_assert_int_eq(raw_serve(open_client(), "com.example.late", 1, &target), 0);
    TEST_WAIT_FOR(number("handlers.live") == 1);
    judge();
}

/* ---- connections ---- */

static void connect_all(int count, const struct fipc_hello *hello)
{
    for (int i = 0; i < count; i++) {
        struct raw_client *client = add_client();

        ck_assert_int_eq(raw_connect(client, broker.socket), 0);
        if (hello != NULL)
            ck_assert_int_eq(raw_send_hello(client, hello), 0);
    }
}

/* Each has as much memory populated as a stranger may have. */
TEST(sessions_that_are_seated_in_a_row)
{
    static const struct fipc_hello hello = {.request_ring_bytes = 1 << 19,
                                            .reply_ring_bytes = 1 << 19};

    come_as(0);
    test_broker_freeze(&broker);
    connect_all(100, &hello);
    test_broker_thaw(&broker);
    for (int i = 0; i < n_clients; i++)
        ck_assert_int_eq(raw_receive_welcome(&clients[i]), 0);
    judge();
}

TEST(sessions_that_die_at_once)
{
    come_as(0);
    while (n_clients < 300)
        (void)open_client();
    test_broker_freeze(&broker);
    drop_clients();
    test_broker_thaw(&broker);
    TEST_WAIT_FOR(number("slots.taken") == 1);
    ck_assert_int_ge(of_acts("close", "count"), 300);
    judge();
}

TEST(half_open_greetings_that_end_at_once)
{
    come_as(0);
    connect_all(CLIENTS_MAX, NULL);
    TEST_WAIT_FOR(number("slots.greeting") == CLIENTS_MAX);
    test_broker_freeze(&broker);
    drop_clients();
    test_broker_thaw(&broker);
    TEST_WAIT_FOR(number("slots.taken") == 1);
    judge();
}

/* Each is asleep, and is woken for the answer; half of them are gone by then. */
TEST(bells_that_ring_at_once)
{
    uint32_t echo = 0;
    uint64_t id;

    come_as(0);
    while (n_clients < 300)
        ck_assert_int_eq(raw_open_name(open_client(), "fipc.echo", &echo), 0);
    test_broker_freeze(&broker);
    for (int i = 0; i < n_clients; i++) {
        atomic_store(&clients[i].channel.own->word, FIPC_END_ASLEEP_FD);
        ck_assert_int_eq(raw_send_request(&clients[i], echo, "x", 1, &id), 0);
        ck_assert_int_eq(raw_ring_bell(&clients[i]), 0);
    }
    while (n_clients > 150)
        raw_close(&clients[--n_clients]);
    test_broker_thaw(&broker);
    for (int i = 0; i < n_clients; i++)
        ck_assert_int_eq(raw_receive_record(&clients[i]), 0);
    ck_assert_int_ge(of_acts("wake", "count"), 150);
    judge();
}

/* ---- reports ---- */

#define NAMES 60
#define USERS 8
/* Of one user at once, and then as many a second: daemon/traffic/builtin.c. */
#define REPORTS_SAVED 200
#define REPORTS_A_SECOND 200
#define REPORTS_ASKED (REPORTS_SAVED + 60)

static void serve_names(struct raw_client *worker)
{
    for (int i = 0; i < NAMES; i++) {
        char name[64];
        uint32_t target;

        (void)snprintf(name, sizeof(name), "com.example.name%d", i);
        ck_assert_int_eq(raw_serve(worker, name, 1, &target), 0);
    }
}

static void ask_for_lists(struct raw_client *client, int count)
{
    uint32_t list;
    uint64_t id;

    ck_assert_int_eq(raw_open_name(client, "fipc.list", &list), 0);
    for (int i = 0; i < count; i++)
        TEST_WAIT_FOR(raw_send_request(client, list, "20", 2, &id) == 0);
}

static int take_lists(struct raw_client *client, int count)
{
    int n_made = 0;

    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(raw_receive_record(client), 0);
        n_made += client->header.status == 0;
    }
    return n_made;
}

/* Some users a few, one of them more than it has saved. */
TEST(reports_that_are_asked_for_at_once)
{
    uint64_t began_ns, took_ms;
    int n_made;

    serve_names(open_client());
    for (int user = 0; user < USERS; user++) {
        come_as(user);
        (void)open_client();
    }
    began_ns = fipc_now_ns();
    for (int user = 0; user < USERS; user++)
        ask_for_lists(&clients[1 + user], user == 0 ? REPORTS_ASKED : 20);
    n_made = take_lists(&clients[1], REPORTS_ASKED);
    took_ms = (fipc_now_ns() - began_ns) / FIPC_NS_PER_MS;
    for (int user = 1; user < USERS; user++)
        (void)take_lists(&clients[1 + user], 20);
    if (getuid() == 0) /* else the witness has the same account */
        ck_assert_int_le(n_made, REPORTS_SAVED + 1 + (int)took_ms * REPORTS_A_SECOND / 1000);
    judge();
}

/* ---- the waiting room ---- */

#define WAITING_USERS 4
#define USER_SLOTS 16 /* of the config; as many may wait */
#define USER_WAITS 16

static void set_up_small(void) { start_with("{\"slots\": {\"count\": 256, \"per_uid\": 16}}"); }

GROUP(few_slots, .timeout = 60, .fixtures = {{set_up_small, tear_down}});

/* Return: whether they wait, each for slots that its own user has */
static bool crowd(void)
{
    static const struct fipc_hello hello = {.wait_ms = 60000};

    if (getuid() != 0) {
        (void)printf("SKIP: only root can be many users\n");
        return false;
    }
    for (int user = 0; user < WAITING_USERS; user++) {
        come_as(user);
        connect_all(USER_SLOTS + USER_WAITS, &hello);
    }
    TEST_WAIT_FOR(number("slots.waiting") == (long long)WAITING_USERS * USER_WAITS);
    return true;
}

TEST(connections_that_leave_the_waiting_room_at_once)
{
    if (!crowd())
        return;
    test_broker_freeze(&broker);
    drop_clients();
    test_broker_thaw(&broker);
    TEST_WAIT_FOR(number("slots.taken") + number("slots.waiting") == 1);
    judge();
}

TEST(connections_that_get_a_slot_at_once)
{
    if (!crowd())
        return;
    test_broker_write_config(&broker, "{\"slots\": {\"count\": 256, \"per_uid\": 200}}");
    ck_assert_int_eq(kill(broker.pid, SIGHUP), 0);
    for (int i = 0; i < n_clients; i++)
        ck_assert_int_eq(raw_receive_welcome(&clients[i]), 0);
    judge();
}

/* SPDX-License-Identifier: MIT */
/* Many clients of one user at the same time, with the default config: all of them are served. */
#include "tests/stress/test_crowd_fixture.h"
#include "tests/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CROWD 1000
#define PROCESSES 4
#define ROUNDS 3
/* More than one user's slots. */
#define SLOTS_PER_UID 1024
#define SURPLUS 2000
#define STRANGER 60010 /* a user that is nobody else, whom the broker does not trust */
/* At most this many waiting clients get a slot in one turn of the broker's loop. */
#define SEATS_PER_TURN 32
#define SESSION_KIB_MAX 14.0

static struct test_broker broker;
static struct raw_client *clients;
static int n_clients;

static void setup(void)
{
    test_raise_fds_limit();
    test_broker_init(&broker);
}

static void teardown(void)
{
    clients = crowd_clients_free(clients, n_clients);
    test_broker_stop(&broker);
    test_broker_deinit(&broker);
}

/* ---- several processes that do each step at the same moment ---- */

/* One of them; its clients have numbers of their own. */
struct part {
    pid_t pid;
    int gate_fd; /* ours; the process has the other end */
};

/* In memory that all share: what became of each client; 0: it was served. */
static int *outcomes;
static int n_outcomes;

/* Of a process: says that a step is done, and waits until all may take the next one. */
static void step(int gate_fd)
{
    char byte = 0;

    if (send(gate_fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(gate_fd, &byte, 1, 0) != 1)
        _exit(EXIT_FAILURE);
}

/* Of the test: waits until all are done with their step; lets all take the next one. */
static void await_step(const struct part parts[PROCESSES])
{
    char byte;

    for (int i = 0; i < PROCESSES; i++)
        ck_assert_int_eq(recv(parts[i].gate_fd, &byte, 1, 0), 1);
}

static void begin_step(const struct part parts[PROCESSES])
{
    for (int i = 0; i < PROCESSES; i++)
        ck_assert_int_eq(send(parts[i].gate_fd, "", 1, MSG_NOSIGNAL), 1);
}

typedef void run_fn(int gate_fd, int first, int count);

static void part_start(struct part *part, run_fn *run, int first, int count)
{
    int gate[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate), 0);
    part->gate_fd = gate[0];
    part->pid = fork();
    ck_assert_int_ge(part->pid, 0);
    if (part->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(gate[0]);
        clients = crowd_clients_new(count);
        run(gate[1], first, count);
        _exit(EXIT_SUCCESS);
    }
    (void)close(gate[1]);
}

/* They wait before their first step. */
static void parts_start(struct part parts[PROCESSES], run_fn *run, int count)
{
    n_outcomes = count;
    outcomes = mmap(NULL, (size_t)count * sizeof(*outcomes), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(outcomes != MAP_FAILED);
    for (int i = 0; i < count; i++)
        outcomes[i] = -ECHILD;
    for (int i = 0; i < PROCESSES; i++) {
        int first = count * i / PROCESSES;

        part_start(&parts[i], run, first, count * (i + 1) / PROCESSES - first);
    }
    await_step(parts);
}

/* Each client was served: the first that was not fails the test. */
static void check_outcomes(void)
{
    int n_failures = 0, worst = 0;

    for (int i = 0; i < n_outcomes; i++) {
        n_failures += outcomes[i] != 0;
        worst = outcomes[i] != 0 ? outcomes[i] : worst;
    }
    ck_assert_msg(n_failures == 0, "%d of %d failed, one with %s", n_failures, n_outcomes,
                  strerror(-worst));
}

static void parts_end(struct part parts[PROCESSES])
{
    for (int i = 0; i < PROCESSES; i++) {
        int status;

        ck_assert_int_eq(waitpid(parts[i].pid, &status, 0), parts[i].pid);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), EXIT_SUCCESS);
        (void)close(parts[i].gate_fd);
    }
    check_outcomes();
    ck_assert_int_eq(munmap(outcomes, (size_t)n_outcomes * sizeof(*outcomes)), 0);
}

/* ---- one-shots ---- */

static void run_oneshots(int gate_fd, int first, int count)
{
    int *outcome = &outcomes[first];

    step(gate_fd);
    for (int i = 0; i < count; i++)
        outcome[i] = crowd_send_oneshot(&clients[i], &broker, first + i);
    step(gate_fd);
    for (int i = 0; i < count; i++) {
        if (outcome[i] == 0)
            outcome[i] = crowd_receive_oneshot(&clients[i], first + i);
    }
}

/* @paused: the broker stands still until the last request was sent, so that all are in flight. */
static void oneshots_at_once(bool paused)
{
    struct part parts[PROCESSES];
    uint64_t start_ns;

    test_broker_start_with(&broker, "{}");
    parts_start(parts, run_oneshots, test_scaled(CROWD));
    if (paused)
        crowd_broker_pause(&broker);
    start_ns = fipc_now_ns();
    begin_step(parts);
    await_step(parts);
    if (paused)
        crowd_broker_resume(&broker);
    begin_step(parts);
    parts_end(parts);
    (void)printf("%d one-shots at once%s: %.1f ms\n", test_scaled(CROWD),
                 paused ? ", all in flight" : "",
                 (double)(fipc_now_ns() - start_ns) / (double)FIPC_NS_PER_MS);
    ck_assert_int_eq(test_broker_log_lines(&broker, "warning"), 0);
}

GROUP(crowd, .timeout = 60, .fixtures = {{setup, teardown}});

TEST(one_shots_started_at_the_same_moment_are_all_answered) { oneshots_at_once(false); }

TEST(one_shots_in_flight_together_are_all_answered) { oneshots_at_once(true); }

/* ---- sessions ---- */

static void call_in_rounds(int first, int count, const uint32_t *echo)
{
    int *outcome = &outcomes[first];

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < count; i++) {
            if (outcome[i] == 0)
                outcome[i] = crowd_send_call(&clients[i], echo[i], round * CROWD + first + i);
        }
        for (int i = 0; i < count; i++) {
            if (outcome[i] == 0)
                outcome[i] = crowd_receive_call(&clients[i], round * CROWD + first + i);
        }
    }
}

static void run_sessions(int gate_fd, int first, int count)
{
    int *outcome = &outcomes[first];
    uint32_t echo[CROWD] = {0};

    step(gate_fd);
    for (int i = 0; i < count; i++)
        outcome[i] = crowd_send_session(&clients[i], &broker);
    for (int i = 0; i < count; i++) {
        if (outcome[i] == 0)
            outcome[i] = raw_receive_welcome(&clients[i]);
        if (outcome[i] == 0)
            outcome[i] = raw_open_name(&clients[i], "fipc.echo", &echo[i]);
    }
    step(gate_fd);
    call_in_rounds(first, count, echo);
    step(gate_fd);
}

TEST(sessions_held_at_the_same_time_are_all_served)
{
    struct part parts[PROCESSES];
    int count = test_scaled(CROWD);

    test_broker_start_with(&broker, "{}");
    parts_start(parts, run_sessions, count);
    begin_step(parts);
    await_step(parts);
    ck_assert_int_eq(crowd_number(&broker, "slots.open"), count);
    begin_step(parts);
    await_step(parts);
    ck_assert_int_eq(crowd_number(&broker, "slots.open"), count);
    begin_step(parts);
    parts_end(parts);
    ck_assert_int_eq(test_broker_log_lines(&broker, "warning"), 0);
    TEST_WAIT_FOR(crowd_number(&broker, "slots.open") == 0);
}

static long region_kib(const struct raw_client *client)
{
    struct stat status;

    ck_assert_int_eq(fstat(client->region_fd, &status), 0);
    return status.st_blocks / 2;
}

/* A page of a region that the broker touched is counted twice: in its RSS, and in the region. */
TEST(session_costs_little_memory)
{
    int count = test_scaled(CROWD);
    long before_kib, growth_kib, regions_kib = 0;
    double session_kib;
    uint32_t echo;

    test_broker_start_with(&broker, "{}");
    clients = crowd_clients_new(n_clients = count);
    (void)crowd_number(&broker, "slots.open"); /* what the first client of all costs */
    before_kib = crowd_rss_kib(&broker);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(raw_open_session(&clients[i], broker.socket, 0, 0), 0);
        ck_assert_int_eq(raw_open_name(&clients[i], "fipc.echo", &echo), 0);
        ck_assert_int_eq(crowd_call(&clients[i], echo, i), 0);
    }
    growth_kib = crowd_rss_kib(&broker) - before_kib;
    for (int i = 0; i < count; i++)
        regions_kib += region_kib(&clients[i]);
    session_kib = (double)(growth_kib + regions_kib) / count;
    (void)printf("%d sessions: broker's RSS growth %ld KiB + blocks of the regions %ld KiB = %.2f "
                 "KiB a session\n",
                 count, growth_kib, regions_kib, session_kib);
#ifndef CROWD_SANITIZED
    ck_assert_double_le(session_kib, SESSION_KIB_MAX);
#endif
}

/* ---- more than one user may have ---- */

/* From now on clients connect as a user whose slots are limited. Return: false if only root can:
 * the test is over then */
static bool are_strangers(void)
{
    if (geteuid() != 0) {
        (void)printf("SKIP: only root can be two users\n");
        return false;
    }
    test_broker_open_to_all(&broker);
    raw_connect_uid = STRANGER;
    return true;
}

static void hold_slots(int n_slots)
{
    for (int i = 0; i < n_slots; i++) {
        uint32_t echo;

        ck_assert_int_eq(raw_open_session(&clients[i], broker.socket, 0, 0), 0);
        ck_assert_int_eq(raw_open_name(&clients[i], "fipc.echo", &echo), 0);
    }
}

static void call_and_leave(struct raw_client *client, int number)
{
    uint32_t echo;

    ck_assert_int_eq(raw_open_name(client, "fipc.echo", &echo), 0);
    ck_assert_int_eq(crowd_call(client, echo, number), 0);
    raw_close(client);
}

static bool is_session(int number) { return number % 2 == 0; }

static int knock(int number)
{
    struct raw_client *client = &clients[number];

    return is_session(number) ? crowd_send_session(client, &broker)
                              : crowd_send_oneshot(client, &broker, number);
}

/* Clients @first to @end - 1 wait for one slot. A one-shot has left it by the time that its answer
 * is here; a session keeps it, and the client behind it must not have been served yet. */
static void serve_in_order(int first, int end)
{
    for (int i = first; i < end; i++) {
        struct raw_client *client = &clients[i];

        if (!is_session(i)) {
            ck_assert_int_eq(crowd_receive_oneshot(client, i), 0);
            raw_close(client);
            continue;
        }
        ck_assert_int_eq(raw_receive_welcome(client), 0);
        ck_assert(i + 1 == end || !crowd_has_answer(&clients[i + 1]));
        ck_assert(i + 1 == end || !crowd_has_answer(&clients[end - 1]));
        call_and_leave(client, i);
    }
}

TEST(clients_beyond_the_limit_are_served_in_the_order_in_which_they_came)
{
    int held = test_scaled(SLOTS_PER_UID), surplus = test_scaled(SURPLUS);
    struct test_witness witness;
    char json[128];

    /* a user has a quarter of the slots, as by default, and of the waiting room */
    (void)snprintf(json, sizeof(json),
                   "{\"slots\": {\"count\": %d}, \"control\": {\"backlog\": %d},"
                   " \"timeouts\": {\"idle_ms\": 0}}",
                   4 * held, 4 * surplus);
    test_broker_start_with(&broker, json);
    clients = crowd_clients_new(n_clients = held + surplus);
    test_witness_open(&witness, &broker);
    if (!are_strangers())
        return;
    hold_slots(held);
    for (int i = held; i < held + surplus; i++)
        TEST_WAIT_FOR(knock(i) == 0); /* the kernel's queue is shorter than the crowd */
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.waiting") == surplus);
    raw_close(&clients[0]);
    serve_in_order(held, held + surplus);
    ck_assert_int_eq(test_witness_number(&witness, "slots.waiting"), 0);
    ck_assert_int_eq(test_broker_log_lines(&broker, "warning"), 0);
    test_witness_close(&witness);
}

/* One-shots leave their slot at once, so that one slot is enough for all. In between the loop does
 * other things; a client that comes meanwhile is the last. */
TEST(waiting_room_is_emptied_over_many_turns)
{
    const int surplus = 1000, newcomer = 1 + surplus;
    struct test_witness witness;
    long long turns;

    test_broker_start_with(&broker, "{\"slots\": {\"count\": 2, \"per_uid\": 2}}");
    clients = crowd_clients_new(n_clients = newcomer + 1);
    test_witness_open(&witness, &broker);
    hold_slots(1); /* and the witness */
    for (int i = 1; i <= surplus; i++)
        ck_assert_int_eq(crowd_send_oneshot(&clients[i], &broker, i), 0);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.waiting") == surplus);
    turns = test_witness_number(&witness, "loop.turns");
    raw_close(&clients[0]);
    ck_assert_int_eq(crowd_receive_oneshot(&clients[1], 1), 0);
    ck_assert_int_eq(crowd_send_oneshot(&clients[newcomer], &broker, newcomer), 0);
    ck_assert_int_eq(crowd_receive_oneshot(&clients[newcomer], newcomer), 0);
    for (int i = 2; i <= surplus; i++)
        ck_assert(crowd_has_answer(&clients[i]));
    for (int i = 2; i <= surplus; i++)
        ck_assert_int_eq(crowd_receive_oneshot(&clients[i], i), 0);
    ck_assert_int_ge(test_witness_number(&witness, "loop.turns") - turns, surplus / SEATS_PER_TURN);
    test_witness_close(&witness);
}

/* One look at a client that tries again, as long as the broker asks for it, when there is no place
 * left to wait. Return: whether it was served, and left. */
static bool try_to_be_served(int number, uint64_t *due_ns)
{
    struct raw_client *client = &clients[number];
    int r;

    if (client->lane_fd < 0) {
        r = fipc_now_ns() < *due_ns ? -EAGAIN : crowd_send_session(client, &broker);
        /* -EPIPE: it was refused before it could say hello */
        ck_assert(r == 0 || r == -EAGAIN || r == -EPIPE);
        return false;
    }
    if (!crowd_has_answer(client))
        return false;
    r = raw_receive_welcome(client);
    if (r == 0) {
        call_and_leave(client, number);
        return true;
    }
    ck_assert_int_eq(r, -ECONNREFUSED);
    ck_assert_uint_gt(client->packet.refused.retry_ms, 0);
    *due_ns = fipc_now_ns() + client->packet.refused.retry_ms * FIPC_NS_PER_MS;
    raw_close(client);
    return false;
}

/* Return: how many were served this time. */
static int try_all(int first, int count, bool *served, uint64_t *due_ns)
{
    int n_served = 0;

    for (int i = 0; i < count; i++) {
        if (!served[i])
            n_served += served[i] = try_to_be_served(first + i, &due_ns[i]);
    }
    return n_served;
}

TEST(clients_beyond_the_waiting_room_are_served_when_they_try_again)
{
    int surplus = test_scaled(SURPLUS), held = SLOTS_PER_UID, n_served = 0;
    uint64_t deadline_ns, due_ns[SURPLUS] = {0};
    struct test_witness witness;
    bool served[SURPLUS] = {false};

    test_broker_start_with(&broker, "{}");
    clients = crowd_clients_new(n_clients = held + surplus);
    test_witness_open(&witness, &broker);
    if (!are_strangers())
        return;
    hold_slots(held);
    deadline_ns = fipc_now_ns() + RAW_DEADLINE_MS * FIPC_NS_PER_MS;
    for (int i = 0; n_served < surplus; i++) {
        ck_assert_uint_lt(fipc_now_ns(), deadline_ns);
        n_served += try_all(held, surplus, served, due_ns);
        if (i > 0 && i < held)
            raw_close(&clients[i]);
    }
    (void)printf("%d clients beyond the limit, %lld refusals, all served\n", surplus,
                 test_witness_number(&witness, "slots.refused.over the quota of this uid"));
    test_witness_close(&witness);
}

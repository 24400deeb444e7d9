/* SPDX-License-Identifier: MIT */
/*
 * Whatever the broker lacks, it lacks once: every call that makes an fd or needs memory fails in
 * turn, in a life in which everything happens that can happen to clients. It may fail to start, and
 * says why; while it serves it refuses that one thing, says so to whom it refuses it, and goes on;
 * it ends in order, and nothing is left. DESIGN 4.3 "Accepting pauses", 6; each position is a life
 * of its own.
 */
#include "tests/integration/short_life_fixture.h"
#include "tests/suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define WORKERS 2
/* Of ROW positions in a row test_scaled(ROW) are tried: all, or one. */
#define ROW 4
#define LOG_LINES_MAX 12

static const char *const kind_names[FAIL_KIND_COUNT] = {
    [FAIL_ACCEPT4] = "accept4",
    [FAIL_EPOLL_CREATE1] = "epoll_create1",
    [FAIL_EPOLL_ADD] = "epoll_ctl ADD",
    [FAIL_EVENTFD] = "eventfd",
    [FAIL_MEMFD_CREATE] = "memfd_create",
    [FAIL_OPEN] = "open",
    [FAIL_PIPE] = "pipe",
    [FAIL_SCANDIR] = "scandir",
    [FAIL_SOCKET] = "socket",
    [FAIL_MALLOC] = "malloc",
    [FAIL_CALLOC] = "calloc",
    [FAIL_REALLOC] = "realloc",
    [FAIL_MMAP] = "mmap",
    [FAIL_FTRUNCATE] = "ftruncate",
    [FAIL_SEALS] = "fcntl F_ADD_SEALS",
    [FAIL_PTHREAD_CREATE] = "pthread_create",
    [FAIL_SEND] = "send",
    [FAIL_SENDMSG_FDS] = "sendmsg SCM_RIGHTS",
    [FAIL_INOTIFY] = "inotify_add_watch",
    [FAIL_PASSRIGHTS] = "setsockopt SO_PASSRIGHTS",
};

/* What all lives of one kind found out, in all workers. */
struct results {
    _Atomic uint64_t existing; /* calls in a life in which none fails */
    _Atomic uint64_t tried;
    _Atomic uint64_t refused;
    _Atomic int64_t blocks; /* left in a life in which nothing fails */
};

static struct results *results;

/* ---- serving ---- */

/* REFUSED, for want of something, and worth another try. */
static void check_short(struct life *life, const struct raw_client *client)
{
    ck_assert_str_eq(fipc_reason_name(client->packet.refused.reason),
                     fipc_reason_name(FIPC_REASON_SHORT));
    ck_assert_uint_gt(client->packet.refused.retry_ms, 0);
    ck_assert_int_eq(test_broker_log_lines(&life->broker, "warning"), 1);
    allow_refusal(life);
}

static void open_session(struct life *life, struct raw_client *client, uint32_t request_ring_bytes,
                         uint32_t reply_ring_bytes)
{
    int r = raw_open_session(client, life->broker.socket, request_ring_bytes, reply_ring_bytes);

    if (r == -EPIPE) /* it was refused before it could send HELLO */
        r = raw_receive_welcome(client);
    if (r == -ECONNREFUSED) {
        check_short(life, client);
        raw_close(client);
        r = raw_open_session(client, life->broker.socket, request_ring_bytes, reply_ring_bytes);
    }
    ck_assert_int_eq(r, 0);
}

static uint32_t open_name(struct raw_client *client, const char *name)
{
    uint32_t target;

    ck_assert_int_eq(raw_open_name(client, name, &target), 0);
    return target;
}

/* A status that says 0, or once that there was no memory. Return: whether it says 0 */
static bool check_status(struct life *life, int status)
{
    if (status == -ENOMEM)
        allow_refusal(life);
    else
        ck_assert_int_eq(status, 0);
    return status == 0;
}

static void call(struct life *life, struct raw_client *client, const char *name, const char *data)
{
    uint32_t target = open_name(client, name);

    if (!check_status(life, raw_call(client, target, data, strlen(data))))
        ck_assert_int_eq(raw_call(client, target, data, strlen(data)), 0);
}

/* Asks for a report, which is whole or not there at all. */
static void ask(struct life *life, const char *question)
{
    call(life, &life->witness.client, "fipc.stats", question);
}

static long long answer(const struct life *life, const char *path)
{
    const struct raw_client *client = &life->witness.client;

    return test_report_number(client->payload, client->payload_bytes, path);
}

static void open_witness(struct life *life)
{
    struct test_witness *witness = &life->witness;

    witness->client = RAW_CLIENT_EMPTY;
    open_session(life, &witness->client, 0, 0);
    witness->echo = open_name(&witness->client, "fipc.echo");
    witness->stats = open_name(&witness->client, "fipc.stats");
    test_witness_check(witness);
}

static void call_once(struct life *life, const char *name, const char *data)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int r = raw_call_once(&client, life->broker.socket, name, data, strlen(data));

    if (r == -EPIPE)
        r = raw_receive_welcome(&client);
    if (r == -ECONNREFUSED || r == -ENOMEM) {
        if (r == -ECONNREFUSED)
            check_short(life, &client);
        else
            allow_refusal(life);
        raw_close(&client);
        r = raw_call_once(&client, life->broker.socket, name, data, strlen(data));
    }
    ck_assert_int_eq(r, 0);
    raw_close(&client);
}

/* Whether the broker has taken what was sent up to here. */
static bool is_taken(const struct raw_client *client, uint64_t tail)
{
    return atomic_load(&client->channel.out.shared->head) >= tail;
}

/* Four answers for a ring that holds two: the third is kept until there is room. */
static void let_replies_wait(struct life *life)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    const char data[1500] = {0};
    uint64_t ids[4], third = 0;
    uint32_t echo;

    open_session(life, &client, 8192, 4096);
    echo = open_name(&client, "fipc.echo");
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(raw_send_request(&client, echo, data, sizeof(data), &ids[i]), 0);
        if (i == 2)
            third = client.channel.out.tail;
    }
    TEST_WAIT_FOR(is_taken(&client, third));
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(raw_receive_record(&client), 0);
        ck_assert_int_eq(client.header.kind, FIPC_KIND_REPLY);
        ck_assert_uint_eq(client.header.id, ids[i]);
        (void)check_status(life, client.header.status);
    }
    raw_close(&client);
}

static void knock(const struct life *life, struct raw_client *client)
{
    const struct fipc_hello hello = {.wait_ms = 60000};
    int r;

    ck_assert_int_eq(raw_connect(client, life->broker.socket), 0);
    r = raw_send_hello(client, &hello);
    ck_assert(r == 0 || r == -EPIPE); /* it may be refused before it could send HELLO */
}

static bool has_answer(const struct raw_client *client)
{
    struct pollfd lane = {.fd = client->lane_fd, .events = POLLIN};

    return poll(&lane, 1, 0) > 0;
}

/* With all slots taken: the next client gets the slot that is left first. */
static void wait_for_a_slot(struct life *life, struct raw_client *leaves)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int fds = test_broker_count_fds(&life->broker);

    knock(life, &client);
    TEST_WAIT_FOR(test_broker_count_fds(&life->broker) > fds || has_answer(&client));
    if (has_answer(&client)) {
        ck_assert_int_eq(raw_receive_welcome(&client), -ECONNREFUSED);
        check_short(life, &client);
        raw_close(&client);
        knock(life, &client);
    }
    test_witness_check(&life->witness);
    raw_close(leaves);
    if (raw_receive_welcome(&client) == -ECONNREFUSED) {
        check_short(life, &client);
        raw_close(&client);
        open_session(life, &client, 0, 0);
    }
    call(life, &client, "fipc.ping", "");
    raw_close(&client);
}

/* Return: whether the new config is in force */
static bool try_reload(const struct life *life)
{
    int reloaded = test_broker_log_lines(&life->broker, "config reloaded");
    int failed = test_broker_log_lines(&life->broker, "was not reloaded");

    ck_assert_int_eq(kill(life->broker.pid, SIGHUP), 0);
    TEST_WAIT_FOR(test_broker_log_lines(&life->broker, "config reloaded") > reloaded ||
                  test_broker_log_lines(&life->broker, "was not reloaded") > failed);
    return test_broker_log_lines(&life->broker, "config reloaded") > reloaded;
}

static void reload(struct life *life)
{
    if (try_reload(life))
        return;
    allow_refusal(life);
    test_witness_check(&life->witness);
    ck_assert(try_reload(life));
}

/* An open call is answered before the end. */
static void stop(struct life *life, struct raw_client *client)
{
    uint32_t delay = open_name(client, "fipc.delay");
    enum fipc_reason reason;
    uint64_t id;

    ck_assert_int_eq(raw_send_request(client, delay, "20", 2, &id), 0);
    TEST_WAIT_FOR(is_taken(client, client->channel.out.tail));
    test_broker_stop(&life->broker);
    ck_assert_int_eq(raw_receive_record(client), 0);
    ck_assert_int_eq(client->header.kind, FIPC_KIND_REPLY);
    ck_assert_uint_eq(client->header.id, id);
    (void)check_status(life, client->header.status);
    ck_assert_int_eq(raw_receive_goodbye(client, &reason), 0);
    ck_assert_uint_eq(reason, FIPC_REASON_STOPPING);
}

/* ---- whole lives ---- */

static void serve_everything(struct life *life)
{
    struct raw_client clients[3] = {RAW_CLIENT_EMPTY, RAW_CLIENT_EMPTY, RAW_CLIENT_EMPTY};
    int fds;

    open_witness(life);
    fds = test_broker_count_fds(&life->broker);
    call_once(life, "fipc.echo", "once");
    call_once(life, "fipc.list", "");
    call_once(life, "fipc.delay", "1");
    ask(life, "slots 0");
    ck_assert_int_eq(answer(life, "slots.0.slot"), life->witness.client.welcome.slot);
    let_replies_wait(life);

    for (int i = 0; i < 3; i++) {
        open_session(life, &clients[i], 0, 0);
        call(life, &clients[i], "fipc.ping", "");
    }
    {
        struct raw_client last = RAW_CLIENT_EMPTY;

        open_session(life, &last, 0, 0);
        call(life, &last, "fipc.ping", "");
        wait_for_a_slot(life, &last);
    }
    reload(life);
    reload(life);

    raw_close(&clients[0]);
    raw_close(&clients[1]);
    TEST_WAIT_FOR(test_broker_count_fds(&life->broker) <= fds + 2);
    ck_assert_int_eq(test_broker_count_regions(&life->broker), 2);
    ask(life, "");
    ck_assert_int_eq(answer(life, "slots.taken"), 2);
    ck_assert_int_eq(answer(life, "handlers.live"), 1);
    ck_assert_int_eq(answer(life, "handlers.started"),
                     answer(life, "handlers.replied") + answer(life, "handlers.failed") + 1);
    stop(life, &clients[2]);
    raw_close(&clients[2]);
    test_witness_close(&life->witness);
}

static void live_on_an_old_socket(struct life *life)
{
    const char *const arguments[] = {"--config", life->broker.config, "--socket",
                                     life->broker.socket, NULL};

    write_config(life);
    leave_stale_socket(life);
    fail_broker_spawn(&life->broker, arguments);
    if (has_started(life))
        serve_everything(life);
}

/* A user's own broker, whose kernel does not refuse fds: it has a closer thread. */
static void live_on_an_old_kernel(struct life *life)
{
    static const char *const arguments[] = {"--user", NULL};

    if (life->kind != FAIL_PASSRIGHTS)
        fail_always(life->calls, FAIL_PASSRIGHTS);
    (void)snprintf(life->broker.socket, sizeof(life->broker.socket), "%s/fipc/control.sock",
                   life->broker.folder);
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", life->broker.folder, 1), 0);
    fail_broker_spawn(&life->broker, arguments);
    if (!has_started(life))
        return;
    open_witness(life);
    call_once(life, "fipc.ping", "");
    test_witness_close(&life->witness);
    test_broker_stop(&life->broker);
}

static const struct {
    const char *name;
    void (*live)(struct life *life);
} lives[] = {
    {"serve", live_on_an_old_socket},
    {"old kernel", live_on_an_old_kernel},
};

/* One life, in which call number @position fails. Return: whether there was such a call */
static bool run_life(int which, enum fail_kind kind, uint64_t position)
{
    struct life life = {.kind = kind};
    bool failed;

    test_broker_init(&life.broker);
    life.calls = fail_calls_open(&life.broker);
    atomic_store(&life.calls->kinds[kind].first, position);
    atomic_store(&life.calls->kinds[kind].last, position);
    lives[which].live(&life);

    ck_assert_int_le(test_broker_log_lines(&life.broker, ""), LOG_LINES_MAX);
    failed = life.calls->kinds[kind].failed > 0;
    if (position == 0) {
        ck_assert_uint_gt(life.calls->kinds[FAIL_ACCEPT4].made, 0); /* else nothing is preloaded */
        atomic_store(&results->existing, life.calls->kinds[kind].made);
        atomic_store(&results->blocks, life.calls->blocks);
    } else if (kind != FAIL_PASSRIGHTS) { /* a thread leaves its stack behind */
        ck_assert_int_le(life.calls->blocks, results->blocks);
    }
    if (failed) {
        atomic_fetch_add(&results->tried, 1);
        atomic_fetch_add(&results->refused, (uint64_t)life.n_refused);
    }
    fail_calls_close(life.calls);
    test_broker_deinit(&life.broker);
    return failed;
}

static void start_worker(int which, enum fail_kind kind, uint64_t first)
{
    const uint64_t step = (uint64_t)(ROW / test_scaled(ROW));

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t i = first; run_life(which, kind, 1 + i * step); i += WORKERS)
        ;
    _exit(0);
}

/* Of calls of malloc(3) there are hundreds: 40 s on a busy machine. */
GROUP(calls, .timeout = 240);

/* The positions of one kind in one life, shared out among the workers. */
LOOP_TEST(call_that_fails_is_survived, 2 * FAIL_KIND_COUNT)
{
    enum fail_kind kind = (enum fail_kind)(_i % FAIL_KIND_COUNT);
    int which = _i / FAIL_KIND_COUNT, status;
    pid_t pids[WORKERS];

    results =
        mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(results, MAP_FAILED);
    (void)run_life(which, kind, 0);
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0)
            start_worker(which, kind, (uint64_t)i);
    }
    for (int i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
    }
    (void)printf("%s: %s: positions tried %llu of %llu existing, %llu were felt\n",
                 lives[which].name, kind_names[kind], (unsigned long long)results->tried,
                 (unsigned long long)results->existing, (unsigned long long)results->refused);
}

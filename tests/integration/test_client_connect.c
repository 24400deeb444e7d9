/* SPDX-License-Identifier: MIT */
/* Finding the broker: with which options, how long, and what it leaves behind. */
#include "tests/integration/client_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

static int connect_within(int timeout_ms)
{
    fipc_options options = options_for_broker();

    options.connect_timeout_ms = timeout_ms;
    return fipc_connect(&client, &options);
}

/* ---- options ---- */

static void set_nothing(fipc_options *options) { (void)options; }

static void set_no_size(fipc_options *options) { options->size = 0; }

static void set_size_of_size_only(fipc_options *options) { options->size = sizeof(size_t) - 1; }

static void set_flag(fipc_options *options) { options->flags = 1; }

static void set_timeout(fipc_options *options) { options->connect_timeout_ms = -2; }

static void set_odd_ring(fipc_options *options) { options->request_ring_bytes = 5000; }

static void set_small_ring(fipc_options *options) { options->reply_ring_bytes = 2048; }

static void set_empty_path(fipc_options *options) { options->socket = ""; }

static void set_long_path(fipc_options *options)
{
    static char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];

    memset(path, 'p', sizeof(path) - 1);
    options->socket = path;
}

static const struct {
    void (*set)(fipc_options *options);
    int error;
} options_table[] = {
    {set_nothing, 0},          {set_no_size, -EINVAL},    {set_size_of_size_only, -EINVAL},
    {set_flag, -EINVAL},       {set_timeout, -EINVAL},    {set_odd_ring, -EINVAL},
    {set_small_ring, -EINVAL}, {set_empty_path, -EINVAL}, {set_long_path, -ENAMETOOLONG},
};

GROUP(options, .timeout = 60, .fixtures = {{set_up_broker, tear_down_client}});

LOOP_TEST(options_are_checked, COUNT_OF(options_table))
{
    fipc_options options = options_for_broker();

    options_table[_i].set(&options);
    ck_assert_int_eq(fipc_connect(&client, &options), options_table[_i].error);
    ck_assert_int_eq(client != NULL, options_table[_i].error == 0);
}

TEST(options_of_another_age_are_understood)
{
    struct {
        fipc_options options;
        uint64_t newer;
    } future = {.options = options_for_broker()};
    fipc_options old = options_for_broker();

    old.size = offsetof(fipc_options, request_ring_bytes);
    old.request_ring_bytes = 5000; /* not looked at */
    old.flags = 1;
    ck_assert_int_eq(fipc_connect(&client, &old), 0);
    close_client();

    future.options.size = sizeof(future);
    ck_assert_int_eq(fipc_connect(&client, &future.options), 0);
    close_client();
    future.newer = 1;
    ck_assert_int_eq(fipc_connect(&client, &future.options), -EINVAL);
}

TEST(nothing_to_return_to_is_invalid) { ck_assert_int_eq(fipc_connect(NULL, NULL), -EINVAL); }

TEST(environment_names_the_socket)
{
    fipc_options options = options_for_broker();

    ck_assert_int_eq(setenv("FIPC_SOCKET", broker.socket, 1), 0);
    ck_assert_int_eq(fipc_connect(&client, NULL), 0);
    ck_assert_int_eq(echo(client, 10, 1), 0);
    close_client();
    ck_assert_int_eq(fipc_call_once(NULL, "fipc.ping", NULL, 0, PATIENT_MS, NULL), 0);

    ck_assert_int_eq(setenv("FIPC_SOCKET", "/nowhere/control.sock", 1), 0);
    ck_assert_int_eq(fipc_connect(&client, &options), 0); /* options beat it */
}

/* Connecting again later, it must not find another broker, or none. */
TEST(relative_path_of_the_socket_leads_to_the_same_broker_for_ever)
{
    fipc_options options = options_for_broker();

    options.socket = strrchr(broker.socket, '/') + 1;
    ck_assert_int_eq(chdir(broker.folder), 0);
    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    ck_assert_int_eq(chdir("/"), 0);
    test_broker_kill(&broker);
    test_broker_start(&broker, NULL);
    TEST_WAIT_FOR(echo(client, 10, 1) == 0); /* the first one may tell of the loss */
    close_client();
    options.socket = broker.socket + 1;
    ck_assert_int_eq(fipc_connect(&client, &options), 0); /* from the root */
}

TEST(relative_path_is_as_long_as_with_its_folder)
{
    fipc_options options = options_for_broker();
    char folder[128];

    (void)snprintf(folder, sizeof(folder), "%s/%0*d", broker.folder,
                   (int)(106 - strlen(broker.folder) - 2), 0);
    ck_assert_int_eq(mkdir(folder, 0700), 0); /* 105 bytes, '/', and 1 byte */
    ck_assert_int_eq(chdir(folder), 0);
    options.connect_timeout_ms = 1;
    options.socket = "s";
    ck_assert_int_eq(fipc_connect(&client, &options), -ECONNREFUSED);
    options.socket = "so";
    ck_assert_int_eq(fipc_connect(&client, &options), -ENAMETOOLONG);
    ck_assert_int_eq(rmdir(folder), 0); /* which getcwd(2) finds no more */
    options.socket = "s";
    ck_assert_int_eq(fipc_connect(&client, &options), -ECONNREFUSED);
    ck_assert_int_eq(chdir("/"), 0);
}

TEST(ring_that_the_broker_does_not_allow_is_invalid)
{
    fipc_options options = options_for_broker();

    options.request_ring_bytes = UINT32_C(1) << 30;
    ck_assert_int_eq(fipc_connect(&client, &options), -EINVAL);
}

/* ---- no broker ---- */

static const int timeouts_ms[] = {1, 30, 200};

GROUP(nobody, .timeout = 60, .fixtures = {{set_up_folder, tear_down_client}});

LOOP_TEST(nobody_there_is_told_at_the_deadline, COUNT_OF(timeouts_ms))
{
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(connect_within(timeouts_ms[_i]), -ECONNREFUSED);
    ck_assert_uint_ge(ms_since(start_ns), (uint64_t)timeouts_ms[_i]);
    ck_assert_uint_lt(ms_since(start_ns), 5000);
    ck_assert_ptr_null(client);
}

TEST(call_once_without_a_broker_is_told_at_the_deadline)
{
    static unsigned char large[10000];
    fipc_options options = options_for_broker();
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(fipc_call_once(&options, "fipc.ping", NULL, 0, 50, NULL), -ECONNREFUSED);
    ck_assert_uint_ge(ms_since(start_ns), 50);
    ck_assert_int_eq(fipc_call_once(&options, "fipc.ping", large, sizeof(large), 50, NULL),
                     -ECONNREFUSED);
    options.connect_timeout_ms = 30;
    ck_assert_int_eq(fipc_call_once(&options, "fipc.ping", NULL, 0, PATIENT_MS, NULL),
                     -ECONNREFUSED);
    ck_assert_uint_lt(ms_since(start_ns), 5000);
}

TEST(socket_that_a_dead_broker_left_is_nobody)
{
    test_broker_start(&broker, NULL);
    test_broker_kill(&broker);
    ck_assert_int_eq(connect_within(30), -ECONNREFUSED);
}

static const int patient_timeouts_ms[] = {PATIENT_MS, -1};

static void *connect_patiently(void *arg)
{
    ck_assert_int_eq(connect_within(patient_timeouts_ms[*(const int *)arg]), 0);
    ck_assert_int_eq(echo(client, 100, 1), 0);
    return NULL;
}

LOOP_TEST(broker_that_starts_later_is_waited_for, COUNT_OF(patient_timeouts_ms))
{
    pthread_t thread = thread_start(connect_patiently, &_i);

    for (int i = 0; i < 50; i++)
        test_pause();
    test_broker_start(&broker, NULL);
    thread_join(thread);
}

static void *call_once_patiently(void *arg)
{
    const fipc_options options = options_for_broker();

    ck_assert_int_eq(fipc_call_once(&options, "fipc.ping", NULL, 0, PATIENT_MS, NULL), 0);
    return arg;
}

TEST(call_once_waits_for_a_broker_that_starts_later)
{
    pthread_t thread = thread_start(call_once_patiently, NULL);

    for (int i = 0; i < 50; i++)
        test_pause();
    test_broker_start(&broker, NULL);
    thread_join(thread);
}

TEST(file_that_is_no_socket_is_nobody)
{
    int fd = open(broker.socket, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(connect_within(30), -ECONNREFUSED);
}

/* Root may do everything, and anybody else owns the folder: take the way to it away. */
static void close_folder(void)
{
    set_up_broker();
    ck_assert_int_eq(chmod(broker.folder, geteuid() == 0 ? 0700 : 0), 0);
}

static void reopen_folder(void)
{
    ck_assert_int_eq(chmod(broker.folder, 0700), 0);
    tear_down_client();
}

GROUP(access, .timeout = 60, .fixtures = {{close_folder, reopen_folder}});

TEST(socket_of_others_is_not_allowed_at_once)
{
    uint64_t start_ns = fipc_now_ns();
    pid_t pid = fork();

    if (pid == 0) {
        if (geteuid() == 0 && seteuid(65534) < 0)
            _exit(1);
        _exit(connect_within(PATIENT_MS) == -EACCES ? 0 : 2);
    }
    ck_assert_int_eq(wait_for_exit(pid), 0);
    ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS / 2);
}

/* ---- over the quota ---- */

#define STRANGER 60009

static fipc_client *first; /* has the one slot that its uid may have */

/* What a broker has for its own user tells nothing: all clients here belong to another one. */
static void fill_quota(void)
{
    set_up_folder();
    start_with_config(
        "{\"slots\": {\"count\": 8, \"per_uid\": 1}, \"control\": {\"mode\": \"0666\"}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    ck_assert_int_eq(seteuid(STRANGER), 0);
    open_client();
    first = client;
    client = NULL;
}

static void empty_quota(void)
{
    ck_assert_int_eq(seteuid(0), 0);
    fipc_unref(first);
    tear_down_client();
}

static int once_within(int timeout_ms)
{
    fipc_options options = options_for_broker();

    return fipc_call_once(&options, "fipc.ping", NULL, 0, timeout_ms, NULL);
}

static const struct {
    int (*try)(int timeout_ms);
    int timeout_ms;
} over_quota[] = {
    {connect_within, 20}, {connect_within, 50}, {connect_within, 300},
    {once_within, 20},    {once_within, 50},    {once_within, 300},
};

GROUP(quota, .timeout = 60, .fixtures = {{fill_quota, empty_quota}}, .needs_root = "other uids");

/* The broker has half of the timeout to tell, which a busy machine may take away, but not always.
 */
LOOP_TEST(over_the_quota_is_told_within_any_timeout, COUNT_OF(over_quota))
{
    int r = -ECONNREFUSED;

    for (int tries = 0; tries < 50 && r == -ECONNREFUSED; tries++)
        r = over_quota[_i].try(over_quota[_i].timeout_ms);
    ck_assert_int_eq(r, -EDQUOT);
}

/* ---- many, and few fds ---- */

#define MANY 100

GROUP(options_2, .timeout = 60, .fixtures = {{set_up_broker, tear_down_client}});

TEST(many_sessions_live_side_by_side)
{
    fipc_client *clients[MANY];
    const fipc_options options = options_for_broker();

    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(fipc_connect(&clients[i], &options), 0);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(echo(clients[i], 100, (uint64_t)i), 0);
    for (int i = 0; i < MANY; i++)
        fipc_unref(clients[i]);
}

/* Takes every fd below 1024, which is more than select(2) can name. */
static void raise_fds(void)
{
    struct rlimit limit;
    int fd;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    do
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd < 1100);
    ck_assert_int_ge(fd, 1100);
}

static void drop_fds(void)
{
    test_broker_deinit(&broker);
    ck_assert_int_eq((int)close_range(1020, ~0U, 0), 0);
}

/* How many fds are open above those that were taken. */
static int n_high_fds(void)
{
    int n = 0;

    for (int fd = 1101; fd < 1200; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void expect_no_answer_in_time(void)
{
    static const unsigned char large[10000];
    const fipc_options options = options_for_broker();
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(delay(client, PATIENT_MS, 60), -ETIMEDOUT);
    ck_assert_int_eq(fipc_call_once(&options, "fipc.ping", NULL, 0, 60, NULL), -ECONNREFUSED);
    ck_assert_int_eq(fipc_call_once(&options, "fipc.echo", large, sizeof(large), 60, NULL),
                     -ECONNREFUSED);
    ck_assert_uint_ge(ms_since(start_ns), 180);
    ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS / 2);
}

GROUP(many_fds, .timeout = 60, .fixtures = {{set_up_broker, drop_fds}});

TEST(fds_above_1024_are_fds)
{
    const fipc_options options = options_for_broker();

    raise_fds();
    open_client();
    ck_assert_int_eq(n_high_fds(), 2); /* lane and bell */
    ck_assert_int_eq(echo(client, 100, 1), 0);
    ck_assert_int_eq(delay(client, 60, PATIENT_MS), 0); /* the lane is looked at meanwhile */
    ck_assert_int_eq(fipc_call_once(&options, "fipc.ping", NULL, 0, PATIENT_MS, NULL), 0);
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    expect_no_answer_in_time();
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);

    test_broker_kill(&broker);
    ck_assert_int_eq(delay(client, 1, 60), -ECONNREFUSED);
    test_broker_start(&broker, NULL);
    ck_assert_int_eq(echo(client, 100, 1), 0);
    ck_assert_int_eq(n_high_fds(), 2);
    close_client();
    ck_assert_int_eq(n_high_fds(), 0);
}

/* The lowest limit under which @n_free more fds can be opened. */
static rlim_t limit_for(int n_free)
{
    int fd = 0;

    for (int n = 0; n < n_free; fd++)
        n += fcntl(fd, F_GETFD) < 0;
    return (rlim_t)fd;
}

static int connect_with_fds(int n_free)
{
    struct rlimit before, limit;
    int r;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = (struct rlimit){.rlim_cur = limit_for(n_free), .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    r = connect_within(PATIENT_MS);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    return r;
}

GROUP(options_3, .timeout = 60, .fixtures = {{set_up_broker, tear_down_client}});

TEST(want_of_fds_is_told_and_leaks_none)
{
    char before[16384], after[16384];

    list_holdings(before, sizeof(before));
    for (int n_free = 0; n_free < 3; n_free++) { /* it takes the lane, the region, the bell */
        ck_assert_int_eq(connect_with_fds(n_free), -EMFILE);
        list_holdings(after, sizeof(after));
        ck_assert_str_eq(before, after);
    }
    ck_assert_int_eq(connect_with_fds(3), 0);
    ck_assert_int_eq(echo(client, 100, 1), 0);
}

TEST(nothing_is_left_behind)
{
    char before[16384], after[16384];

    list_holdings(before, sizeof(before));
    for (int i = 0; i < test_scaled(200); i++) {
        open_client();
        ck_assert_int_eq(echo(client, 100, 1), 0);
        close_client();
        list_holdings(after, sizeof(after));
        ck_assert_str_eq(before, after);
    }
}

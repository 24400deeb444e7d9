/* SPDX-License-Identifier: MIT */
/* How a broker starts, who may connect to it, and how it ends. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define EXIT_CONFIG 78

static struct test_broker broker;
static struct raw_client client;

static void make_folder(void)
{
    test_broker_init(&broker);
    client = RAW_CLIENT_EMPTY;
}

static void remove_folder(void)
{
    raw_close(&client);
    test_broker_deinit(&broker);
}

/* The path of a file in the broker's folder. */
static const char *in_folder(const char *name)
{
    static char paths[4][160];
    static int turn;
    char *path = paths[turn++ % COUNT_OF(paths)];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", broker.folder, name);
    return path;
}

static const char *write_file(const char *name, const char *text)
{
    const char *path = in_folder(name);
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

static void start(void) { test_broker_start(&broker, NULL); }

static void start_with_config(const char *config) { test_broker_start_with(&broker, config); }

static void open_session(void)
{
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
}

static void check_served(void)
{
    uint32_t ping;

    open_session();
    ck_assert_int_eq(raw_open_name(&client, "fipc.ping", &ping), 0);
    ck_assert_int_eq(raw_call(&client, ping, NULL, 0), 0);
    raw_close(&client);
}

static void check_exit_status(int status, int expected)
{
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), expected);
}

static bool exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

/* It exits with status 0 and has removed its files. */
static void check_ended(void)
{
    check_exit_status(test_broker_wait(&broker), 0);
    ck_assert(!exists(broker.socket));
    ck_assert(!exists(in_folder("control.sock.lock")));
}

/* ---- stopping ---- */

static const int stop_signals[] = {SIGTERM, SIGINT};

static void stop(int signal_number) { ck_assert_int_eq(kill(broker.pid, signal_number), 0); }

GROUP(stopping, .timeout = 30, .fixtures = {{make_folder, remove_folder}});

LOOP_TEST(signal_ends_it_with_status_zero, COUNT_OF(stop_signals))
{
    start();
    stop(stop_signals[_i]);
    check_ended();
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": error: "), 0);
}

LOOP_TEST(sessions_are_told_goodbye, COUNT_OF(stop_signals))
{
    enum fipc_reason reason;

    start();
    open_session();
    stop(stop_signals[_i]);

    ck_assert_int_eq(raw_receive_goodbye(&client, &reason), 0);
    ck_assert_uint_eq(reason, FIPC_REASON_STOPPING);
    ck_assert_uint_gt(client.packet.goodbye.retry_ms, 0);
    check_ended();
}

/* Connects, and waits until the broker has taken notice. */
static void connect_only(struct raw_client *late)
{
    struct test_witness witness;

    ck_assert_int_eq(raw_connect(late, broker.socket), 0);
    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.greeting") == 1);
    test_witness_close(&witness);
}

LOOP_TEST(who_has_not_greeted_yet_is_refused, COUNT_OF(stop_signals))
{
    start();
    connect_only(&client);
    stop(stop_signals[_i]);

    ck_assert_int_eq(raw_receive_welcome(&client), -ECONNREFUSED);
    ck_assert_uint_eq(client.packet.refused.reason, FIPC_REASON_STOPPING);
    check_ended();
}

/* A session with one fipc.delay open. Return: the request's id */
static uint64_t open_delay(const char *ms)
{
    struct test_witness witness;
    uint32_t delay;
    uint64_t id;

    open_session();
    ck_assert_int_eq(raw_open_name(&client, "fipc.delay", &delay), 0);
    ck_assert_int_eq(raw_send_request(&client, delay, ms, strlen(ms), &id), 0);
    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_slot_number(&witness, client.welcome.slot, "calls") == 1);
    test_witness_close(&witness);
    return id;
}

static bool has_stopped_listening(void)
{
    struct raw_client probe = RAW_CLIENT_EMPTY;
    int r = raw_connect(&probe, broker.socket);

    raw_close(&probe);
    return r < 0;
}

/* It waits for open calls longer than any test does, but not longer than they take. */
static const char very_patient[] = "{\"timeouts\": {\"drain_ms\": 600000}}";

LOOP_TEST(open_call_is_answered_before_goodbye, COUNT_OF(stop_signals))
{
    enum fipc_reason reason;
    uint64_t id;

    start_with_config(very_patient);
    id = open_delay("300");
    stop(stop_signals[_i]);

    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_int_eq(client.header.kind, FIPC_KIND_REPLY);
    ck_assert_uint_eq(client.header.id, id);
    ck_assert_int_eq(client.header.status, 0);
    ck_assert_int_eq(raw_receive_goodbye(&client, &reason), 0);
    ck_assert_uint_eq(reason, FIPC_REASON_STOPPING);
    check_ended();
}

LOOP_TEST(open_oneshot_is_answered, COUNT_OF(stop_signals))
{
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello = {.flags = FIPC_HELLO_ONESHOT, .id = 7, .name_bytes = 10, .data_bytes = 3},
        .name = "fipc.delay",
        .data = "300",
    };
    struct test_witness witness;

    start_with_config(very_patient);
    test_witness_open(&witness, &broker);
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_packet(&client, &hello), 0);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.oneshot") == 1);
    stop(stop_signals[_i]);

    ck_assert_int_eq(raw_receive_packet(&client), 0);
    ck_assert_int_eq(client.packet.type, FIPC_CONTROL_ONESHOT_REPLY);
    ck_assert_uint_eq(client.packet.oneshot_reply.id, 7);
    ck_assert_int_eq(client.packet.oneshot_reply.status, 0);
    test_witness_close(&witness);
    check_ended();
}

TEST(call_that_takes_too_long_is_not_waited_for)
{
    uint64_t stopped_ns;
    enum fipc_reason reason;

    start_with_config("{\"timeouts\": {\"drain_ms\": 100}}");
    (void)open_delay("20000");
    stopped_ns = fipc_now_ns();
    stop(SIGTERM);

    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_int_eq(client.header.kind,
                     FIPC_KIND_CONTROL); /* no reply: GOODBYE, which is its record */
    ck_assert_uint_ge(fipc_now_ns() - stopped_ns, 100 * FIPC_NS_PER_MS);
    ck_assert_int_eq(raw_receive_goodbye(&client, &reason), -EPIPE); /* and nothing after it */
    check_ended();
}

LOOP_TEST(second_signal_does_not_wait, COUNT_OF(stop_signals))
{
    start_with_config(very_patient);
    (void)open_delay("600000");
    stop(stop_signals[_i]);
    TEST_WAIT_FOR(has_stopped_listening());
    ck_assert(test_broker_is_alive(&broker));

    stop(stop_signals[_i]);
    check_ended();
}

LOOP_TEST(storm_of_signals_does_no_harm, COUNT_OF(stop_signals))
{
    for (int turn = 0; turn < test_scaled(50); turn++) {
        start();
        open_session();
        while (test_broker_is_alive(&broker))
            stop(stop_signals[_i]);
        check_ended();
        raw_close(&client);
    }
}

TEST(nobody_gets_in_while_it_drains)
{
    static const struct fipc_hello hello = {.flags = 0};
    struct raw_client late = RAW_CLIENT_EMPTY;

    start_with_config(very_patient);
    (void)open_delay("20000");
    connect_only(&late);
    stop(SIGTERM);
    TEST_WAIT_FOR(has_stopped_listening());
    ck_assert(!exists(broker.socket));

    ck_assert_int_eq(raw_send_hello(&late, &hello), 0);
    ck_assert_int_eq(raw_receive_welcome(&late), -ECONNREFUSED);
    ck_assert_uint_eq(late.packet.refused.reason, FIPC_REASON_STOPPING);
    raw_close(&late);
    stop(SIGTERM);
    check_ended();
}

TEST(no_oneshot_begins_while_it_drains)
{
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello = {.flags = FIPC_HELLO_ONESHOT, .name_bytes = 9},
        .name = "fipc.ping",
    };
    struct raw_client late = RAW_CLIENT_EMPTY;

    start_with_config(very_patient);
    (void)open_delay("20000");
    connect_only(&late);
    stop(SIGTERM);
    TEST_WAIT_FOR(has_stopped_listening());

    ck_assert_int_eq(raw_send_packet(&late, &hello), 0);
    ck_assert_int_eq(raw_receive_packet(&late), 0);
    ck_assert_int_eq(late.packet.type, FIPC_CONTROL_REFUSED);
    ck_assert_uint_eq(late.packet.refused.reason, FIPC_REASON_STOPPING);
    raw_close(&late);
    stop(SIGTERM);
    check_ended();
}

/* The head tells what was delivered: who sent it sends it again, elsewhere. */
TEST(request_sent_while_it_drains_is_not_taken)
{
    uint64_t id, head;
    uint32_t ping;

    start_with_config(very_patient);
    (void)open_delay("20000");
    ck_assert_int_eq(raw_open_name(&client, "fipc.ping", &ping), 0);
    stop(SIGTERM);
    TEST_WAIT_FOR(has_stopped_listening());
    head = client.channel.out.tail;
    ck_assert_int_eq(raw_send_request(&client, ping, NULL, 0, &id), 0);
    /* it looked, and sleeps again */
    TEST_WAIT_FOR(atomic_load(&client.channel.peer->word) == FIPC_END_ASLEEP_FD);
    stop(SIGTERM);

    ck_assert_int_eq(raw_receive_record(&client), 0);
    ck_assert_int_eq(client.header.kind, FIPC_KIND_CONTROL); /* GOODBYE, and no reply before it */
    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    ck_assert_uint_eq(atomic_load(&client.channel.out.shared->head), head);
    check_ended();
}

/* ---- the socket ---- */

/* Runs another broker on the same socket. Return: its exit status */
static int run_second(void)
{
    const char *const arguments[] = {"--socket", broker.socket, NULL};
    struct test_broker second = broker;
    int status;

    second.pid = 0;
    (void)snprintf(second.log, sizeof(second.log), "%s/log2", broker.folder);
    test_broker_spawn(&second, arguments);
    status = test_broker_wait(&second);
    ck_assert_int_eq(test_broker_log_lines(&second, ""), 1);
    ck_assert_int_eq(test_broker_log_lines(&second, broker.socket), 1);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

GROUP(socket, .timeout = 30, .fixtures = {{make_folder, remove_folder}});

TEST(second_broker_gives_way)
{
    struct stat before, after;

    start();
    ck_assert_int_eq(lstat(broker.socket, &before), 0);
    open_session();

    ck_assert_int_eq(run_second(), 1);

    ck_assert_int_eq(lstat(broker.socket, &after), 0);
    ck_assert_uint_eq(after.st_ino, before.st_ino);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
    raw_close(&client);
    check_served();
    ck_assert(exists(in_folder("control.sock.lock")));
}

TEST(second_broker_gives_way_even_when_the_lock_is_lost)
{
    start();
    ck_assert_int_eq(unlink(in_folder("control.sock.lock")), 0);
    ck_assert_int_eq(run_second(), 1);
    check_served();
}

/* Somebody cleaned up, and a second broker took the place: it is reachable when the first one ends.
 */
TEST(successor_keeps_its_socket_and_lock)
{
    struct test_broker first;

    start();
    first = broker;
    ck_assert_int_eq(unlink(broker.socket), 0);
    ck_assert_int_eq(unlink(in_folder("control.sock.lock")), 0);
    broker.pid = 0;
    start();

    ck_assert_int_eq(kill(first.pid, SIGTERM), 0);
    ck_assert_int_eq(test_broker_wait(&first), 0);
    check_served();
    ck_assert(exists(in_folder("control.sock.lock")));
    ck_assert_int_eq(run_second(), 1);
}

TEST(socket_of_a_killed_broker_is_taken_over)
{
    start();
    open_session();
    test_broker_kill(&broker);
    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    raw_close(&client);
    ck_assert(exists(broker.socket));

    start();
    check_served();
    stop(SIGTERM);
    check_ended();
}

TEST(stale_socket_without_a_lock_is_taken_over)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", broker.socket);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);

    start();
    check_served();
}

TEST(lock_without_a_socket_is_no_obstacle)
{
    (void)write_file("control.sock.lock", "");
    start();
    check_served();
}

static int run(const char *const *arguments)
{
    int status;

    test_broker_spawn(&broker, arguments);
    status = test_broker_wait(&broker);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int run_on(const char *socket_path)
{
    const char *const arguments[] = {"--socket", socket_path, NULL};

    return run(arguments);
}

/* It could not start, and said why in one line that names the socket. */
static void check_failed_on(const char *socket_path)
{
    ck_assert_int_eq(run_on(socket_path), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ""), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, socket_path), 1);
}

TEST(file_in_the_way_is_left_alone)
{
    const char *path = write_file("precious", "data");
    struct stat status;

    check_failed_on(path);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert(S_ISREG(status.st_mode));
    ck_assert_int_eq(status.st_size, 4);
}

TEST(folder_that_cannot_be_made_is_told)
{
    check_failed_on(in_folder("no/such/control.sock"));
    ck_assert(!exists(in_folder("no")));
}

TEST(last_folder_is_made)
{
    (void)snprintf(broker.socket, sizeof(broker.socket), "%s", in_folder("fipc/control.sock"));
    start();
    check_served();
}

TEST(path_that_is_too_long_is_refused_whole)
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1] = "";

    (void)snprintf(path, sizeof(path), "%s/", broker.folder);
    for (size_t i = strlen(path); i < sizeof(path) - 1; i++)
        path[i] = 'x';

    check_failed_on(path);

    /* nothing was made under a shorter name */
    path[sizeof(path) - 2] = '\0';
    ck_assert(!exists(path));
}

static const struct {
    const char *config;
    mode_t mode;
} modes[] = {
    {"{}", 0660},
    {"{\"control\": {\"mode\": \"0600\"}}", 0600},
    {"{\"control\": {\"mode\": \"0666\"}}", 0666},
    {"{\"control\": {\"mode\": \"0777\"}}", 0777},
};

/* Whatever the umask says, which forbids much in odd turns. */
LOOP_TEST(socket_has_the_mode_of_the_config, 2 * COUNT_OF(modes))
{
    const char *const arguments[] = {"--config", write_file("fipcd.json", modes[_i / 2].config),
                                     NULL};
    mode_t before = umask(_i % 2 == 0 ? 0 : 0077);
    struct stat status;

    test_broker_start(&broker, arguments);
    (void)umask(before);

    ck_assert_int_eq(stat(broker.socket, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, modes[_i / 2].mode);
}

TEST(socket_has_the_group_of_the_config)
{
    const struct group *group;
    char config[256];
    struct stat status;

    if (geteuid() != 0)
        return; /* who is not root cannot give files away */
    while ((group = getgrent()) != NULL && group->gr_gid == getegid())
        ;
    ck_assert_ptr_nonnull(group);
    (void)snprintf(config, sizeof(config), "{\"control\": {\"group\": \"%s\"}}", group->gr_name);

    start_with_config(config);

    ck_assert_int_eq(stat(broker.socket, &status), 0);
    ck_assert_uint_eq(status.st_gid, group->gr_gid);
    ck_assert_uint_eq(status.st_mode & 07777, 0660);
    check_served();
}

TEST(group_that_does_not_exist_is_told)
{
    const char *const arguments[] = {
        "--config", write_file("fipcd.json", "{\"control\": {\"group\": \"no.such.group\"}}"),
        "--socket", broker.socket, NULL};

    ck_assert_int_eq(run(arguments), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ""), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "no.such.group"), 1);
    ck_assert(!exists(broker.socket));
    ck_assert(!exists(in_folder("control.sock.lock")));
}

TEST(config_names_the_socket)
{
    char config[256];

    (void)snprintf(config, sizeof(config), "{\"control\": {\"socket\": \"%s\"}}", broker.socket);
    {
        const char *const arguments[] = {"--config", write_file("fipcd.json", config), NULL};

        test_broker_spawn(&broker, arguments);
    }
    test_broker_wait_ready(&broker);
    check_served();
}

/* ---- a user's own broker ---- */

static const char *const user_arguments[] = {"--user", NULL};

TEST(users_broker_listens_in_the_runtime_folder)
{
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", broker.folder, 1), 0);
    (void)snprintf(broker.socket, sizeof(broker.socket), "%s", in_folder("fipc/control.sock"));

    test_broker_spawn(&broker, user_arguments);
    test_broker_wait_ready(&broker);
    check_served();

    stop(SIGTERM);
    check_exit_status(test_broker_wait(&broker), 0);
    ck_assert(!exists(in_folder("fipc/control.sock")));
    ck_assert(!exists(in_folder("fipc/control.sock.lock")));
}

TEST(socket_option_beats_user)
{
    const char *const arguments[] = {"--user", "--socket", broker.socket, NULL};

    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", in_folder("run"), 1), 0);
    test_broker_spawn(&broker, arguments);
    test_broker_wait_ready(&broker);
    ck_assert(!exists(in_folder("run")));
}

static const char *const bad_runtime_folders[] = {NULL, "", "relative/folder"};

LOOP_TEST(users_broker_needs_a_runtime_folder, COUNT_OF(bad_runtime_folders))
{
    const char *folder = bad_runtime_folders[_i];

    if (folder == NULL)
        ck_assert_int_eq(unsetenv("XDG_RUNTIME_DIR"), 0);
    else
        ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", folder, 1), 0);

    ck_assert_int_eq(run(user_arguments), EXIT_USAGE);
    ck_assert_int_eq(test_broker_log_lines(&broker, ""), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "XDG_RUNTIME_DIR"), 1);
}

/* ---- the command line ---- */

static const char *const bad_usages[][3] = {
    {"--no-such-option"},
    {"argument"},
    {"--socket"},
    {"--config"},
    {"--log-level"},
    {"--log-level", ""},
    {"--log-level", "loud"},
    {"-x"},
};

GROUP(command_line, .timeout = 30, .fixtures = {{make_folder, remove_folder}});

LOOP_TEST(wrong_usage_is_status_two, COUNT_OF(bad_usages))
{
    ck_assert_int_eq(run(bad_usages[_i]), EXIT_USAGE);
    ck_assert_int_ge(test_broker_log_lines(&broker, "fipcd"), 1);
}

/* What a run writes to stdout, which must end with status 0. */
static const char *output_of(const char *option)
{
    static char output[8192];
    const char *const arguments[] = {option, NULL};
    int fd = open(in_folder("output"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int saved_stdout = dup(STDOUT_FILENO);
    ssize_t size;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(dup2(fd, STDOUT_FILENO), 0);
    test_broker_spawn(&broker, arguments);
    ck_assert_int_ge(dup2(saved_stdout, STDOUT_FILENO), 0);
    (void)close(saved_stdout);
    check_exit_status(test_broker_wait(&broker), 0);
    size = pread(fd, output, sizeof(output) - 1, 0);
    ck_assert_int_ge(size, 0);
    output[size] = '\0';
    (void)close(fd);
    ck_assert_int_eq(test_broker_log_lines(&broker, ""), 0);
    return output;
}

TEST(version_is_told)
{
    unsigned major, minor, patch;

    ck_assert_int_eq(sscanf(output_of("--version"), "fipcd %u.%u.%u\n", &major, &minor, &patch), 3);
}

TEST(help_names_every_option)
{
    static const char *const options[] = {
        "--config", "--socket", "--user", "--check-config", "--log-level", "--version", "--help",
    };
    const char *help = output_of("--help");

    for (int i = 0; i < COUNT_OF(options); i++)
        ck_assert_msg(strstr(help, options[i]) != NULL, "%s", options[i]);
}

TEST(bad_config_is_status_seventy_eight)
{
    const char *const arguments[] = {"--config",
                                     write_file("fipcd.json", "{\"slots\": {\"count\": 0}}"),
                                     "--socket", broker.socket, NULL};

    ck_assert_int_eq(run(arguments), EXIT_CONFIG);
    ck_assert_int_eq(test_broker_log_lines(&broker, "fipcd.json"), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "slots.count"), 1);
    ck_assert(!exists(broker.socket));
}

TEST(config_that_is_not_there_is_status_seventy_eight)
{
    const char *const arguments[] = {"--config", in_folder("missing.json"), "--socket",
                                     broker.socket, NULL};

    ck_assert_int_eq(run(arguments), EXIT_CONFIG);
    ck_assert_int_eq(test_broker_log_lines(&broker, "missing.json"), 1);
}

/* ---- its log ---- */

GROUP(log, .timeout = 30, .fixtures = {{make_folder, remove_folder}});

TEST(life_is_logged_in_few_lines)
{
    start();
    check_served();
    stop(SIGTERM);
    check_ended();

    ck_assert_int_eq(test_broker_log_lines(&broker, "listens on"), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, broker.socket), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "stopping"), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "stopped"), 1);
    ck_assert_int_le(test_broker_log_lines(&broker, ""), 4);
}

TEST(level_of_the_command_line_beats_the_config)
{
    const char *const arguments[] = {"--config",
                                     write_file("fipcd.json", "{\"log\": {\"level\": \"debug\"}}"),
                                     "--log-level", "error", NULL};

    test_broker_start(&broker, arguments);
    check_served();
    stop(SIGTERM);
    check_ended();
    ck_assert_int_eq(test_broker_log_lines(&broker, ""), 0);
}

TEST(debugging_shows_every_state_of_a_message)
{
    static const char *const moves[] = {
        "free -> taken",       "taken -> routed",  "routed -> running",
        "running -> replying", "replying -> done", "done -> free",
    };

    start_with_config("{\"log\": {\"level\": \"debug\"}}");
    check_served();
    stop(SIGTERM);
    check_ended();
    for (int i = 0; i < COUNT_OF(moves); i++)
        ck_assert_int_eq(test_broker_log_lines(&broker, moves[i]), 1);
}

TEST(log_that_nobody_reads_any_more_does_no_harm)
{
    int reader;

    ck_assert_int_eq(mkfifo(broker.log, 0600), 0);
    reader = open(broker.log, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(reader, 0);
    start();
    (void)close(reader);

    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_bytes(&client, "garbage", 7, NULL, 0), 0);
    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    raw_close(&client);
    check_served();
    stop(SIGTERM);
    check_ended();
}

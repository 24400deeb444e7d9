/* SPDX-License-Identifier: MIT */
/* The socket of the broker: where it lies, its mode and group, and what a second broker does. */
#include "tests/integration/life_fixture.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

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
        return; /* only root can give files away */
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

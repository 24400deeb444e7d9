/* SPDX-License-Identifier: MIT */
#include "tests/integration/broker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 16
#define LISTEN_FDS_START 3

int test_scaled(int count)
{
    const char *text = getenv("FIPC_TEST_SCALE");
    int scale = text != NULL ? (int)strtol(text, NULL, 10) : 1;

    return scale > 0 && count / scale > 0 ? count / scale : 1;
}

void test_raise_fds_limit(void)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* ---- starting ---- */

void test_broker_init(struct test_broker *broker)
{
    const char *parent = getenv("TMPDIR");

    *broker = (struct test_broker){.pid = 0};
    (void)snprintf(broker->folder, sizeof(broker->folder), "%s/fipc-test.XXXXXX",
                   parent != NULL && strlen(parent) < 40 ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(broker->folder));
    (void)snprintf(broker->socket, sizeof(broker->socket), "%s/control.sock", broker->folder);
    (void)snprintf(broker->log, sizeof(broker->log), "%s/log", broker->folder);
    (void)snprintf(broker->config, sizeof(broker->config), "%s/fipcd.json", broker->folder);
}

/* By the protocol of sd_listen_fds(3). */
static void give_socket(int fd)
{
    char pid[16];

    (void)snprintf(pid, sizeof(pid), "%d", getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", "1", 1);
    if (fd == LISTEN_FDS_START)
        (void)fcntl(fd, F_SETFD, 0);
    else
        (void)dup2(fd, LISTEN_FDS_START);
}

static void __attribute__((noreturn))
run_fipcd(const struct test_broker *broker, const char *program, char **arguments)
{
    int log_fd = open(broker->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    /* it dies with the test, however that ends */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (broker->given_fd > 0)
        give_socket(broker->given_fd);
    if (log_fd >= 0 && dup2(log_fd, STDERR_FILENO) >= 0)
        (void)execv(program, arguments);
    _exit(127);
}

void test_broker_spawn(struct test_broker *broker, const char *const *arguments)
{
    const char *program = getenv("FIPCD");
    const char *all[ARGUMENTS_MAX + 2] = {"fipcd"};

    ck_assert_msg(program != NULL, "FIPCD is not set: run this test by ctest");
    ck_assert_int_eq(broker->pid, 0);
    for (size_t i = 0; arguments[i] != NULL; i++) {
        ck_assert_uint_lt(i, ARGUMENTS_MAX);
        all[i + 1] = arguments[i];
    }
    broker->pid = fork();
    ck_assert_int_ge(broker->pid, 0);
    if (broker->pid == 0)
        run_fipcd(broker, program, (char **)(uintptr_t)all);
}

static bool is_ready(const struct test_broker *broker)
{
    struct raw_client probe = RAW_CLIENT_EMPTY;
    bool ready = raw_connect(&probe, broker->socket) == 0;

    if (ready) {
        (void)shutdown(probe.lane_fd, SHUT_WR);
        ck_assert_int_eq(raw_wait_hang_up(&probe), 0);
    }
    raw_close(&probe);
    return ready;
}

void test_broker_wait_ready(const struct test_broker *broker)
{
    TEST_WAIT_FOR(is_ready(broker) || !test_broker_is_alive(broker));
    ck_assert(test_broker_is_alive(broker));
}

void test_broker_start(struct test_broker *broker, const char *const *arguments)
{
    const char *all[ARGUMENTS_MAX + 1] = {"--socket", broker->socket};

    for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++) {
        ck_assert_uint_lt(i + 2, ARGUMENTS_MAX);
        all[i + 2] = arguments[i];
    }
    test_broker_spawn(broker, all);
    test_broker_wait_ready(broker);
}

void test_broker_write_config(const struct test_broker *broker, const char *json)
{
    FILE *file = fopen(broker->config, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(json, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

void test_broker_start_with(struct test_broker *broker, const char *json)
{
    const char *const arguments[] = {"--config", broker->config, NULL};

    ck_assert_ptr_nonnull(broker); /* clang's analyzer takes it for possible otherwise */
    test_broker_write_config(broker, json);
    test_broker_start(broker, arguments);
}

/* ---- ending ---- */

int test_broker_wait(struct test_broker *broker)
{
    int status = 0;
    pid_t pid = 0;

    TEST_WAIT_FOR((pid = waitpid(broker->pid, &status, WNOHANG)) != 0);
    ck_assert_int_eq(pid, broker->pid);
    broker->pid = 0;
    return status;
}

static int count_names(const char *folder, const char *beginning)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL)
        count +=
            entry->d_name[0] != '.' && strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
    (void)closedir(dir);
    return count;
}

static void print_log(const struct test_broker *broker)
{
    char line[1024];
    FILE *file = fopen(broker->log, "re");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        (void)fputs(line, stderr);
    if (file != NULL)
        (void)fclose(file);
}

void test_broker_stop(struct test_broker *broker)
{
    int status;

    ck_assert_int_eq(kill(broker->pid, SIGTERM), 0);
    status = test_broker_wait(broker);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        print_log(broker); /* of a sanitizer, maybe */
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_int_eq(count_names(broker->folder, "control.sock"), broker->given_fd > 0);
}

void test_broker_kill(struct test_broker *broker)
{
    ck_assert_int_eq(kill(broker->pid, SIGKILL), 0);
    ck_assert(WIFSIGNALED(test_broker_wait(broker)));
}

void test_broker_freeze(const struct test_broker *broker)
{
    int status;

    ck_assert_int_eq(kill(broker->pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(broker->pid, &status, WUNTRACED), broker->pid);
    ck_assert(WIFSTOPPED(status));
}

void test_broker_thaw(const struct test_broker *broker)
{
    ck_assert_int_eq(kill(broker->pid, SIGCONT), 0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void test_broker_open_to_all(const struct test_broker *broker)
{
    ck_assert_int_eq(chmod(broker->folder, 0755), 0);
    ck_assert_int_eq(chmod(broker->socket, 0666), 0);
}

void test_broker_deinit(struct test_broker *broker)
{
    if (broker->pid != 0)
        test_broker_stop(broker);
    ck_assert_int_eq(nftw(broker->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- looking ---- */

bool test_broker_is_alive(const struct test_broker *broker)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)broker->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

/* How many lines of a file hold a text. */
static int count_lines(const char *path, const char *part)
{
    char line[4096];
    FILE *file = fopen(path, "re");
    int count = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file) != NULL)
        count += strstr(line, part) != NULL;
    (void)fclose(file);
    return count;
}

int test_broker_log_lines(const struct test_broker *broker, const char *part)
{
    return count_lines(broker->log, part);
}

int test_broker_count_fds(const struct test_broker *broker)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", broker->pid);
    return count_names(path, "");
}

int test_broker_count_regions(const struct test_broker *broker)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/maps", broker->pid);
    return count_lines(path, "memfd:fipcd_");
}

long long test_report_number(const void *report, size_t size, const char *path)
{
    json_t *root = json_loadb(report, size, 0, NULL);
    const json_t *at = root;
    long long number;
    char key[64];

    ck_assert_msg(root != NULL, "not JSON: %.*s", (int)size, (const char *)report);
    for (const char *end; at != NULL; path = end + 1) {
        end = strchrnul(path, '.');
        (void)snprintf(key, sizeof(key), "%.*s", (int)(end - path), path);
        at = json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10))
                               : json_object_get(at, key);
        if (*end == '\0')
            break;
    }
    ck_assert(at == NULL || json_is_integer(at) || json_is_null(at));
    number = json_integer_value(at);
    json_decref(root);
    return number;
}

/* ---- the witness ---- */

void test_witness_open(struct test_witness *witness, const struct test_broker *broker)
{
    struct raw_client *client = &witness->client;

    *client = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_session(client, broker->socket, 0, 0), 0);
    ck_assert_int_eq(raw_open_name(client, "fipc.echo", &witness->echo), 0);
    ck_assert_int_eq(raw_open_name(client, "fipc.stats", &witness->stats), 0);
}

void test_witness_close(struct test_witness *witness) { raw_close(&witness->client); }

void test_witness_check(struct test_witness *witness)
{
    static const char text[] = "still here?";
    struct raw_client *client = &witness->client;

    ck_assert_int_eq(raw_call(client, witness->echo, text, sizeof(text)), 0);
    ck_assert_uint_eq(client->payload_bytes, sizeof(text));
    ck_assert_mem_eq(client->payload, text, sizeof(text));
}

static void ask(struct test_witness *witness, const char *question)
{
    ck_assert_int_eq(raw_call(&witness->client, witness->stats, question, strlen(question)), 0);
}

static long long answer(const struct test_witness *witness, const char *path)
{
    return test_report_number(witness->client.payload, witness->client.payload_bytes, path);
}

long long test_witness_number(struct test_witness *witness, const char *path)
{
    ask(witness, "");
    return answer(witness, path);
}

long long test_witness_slot_number(struct test_witness *witness, uint32_t slot, const char *path)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "slots %u", slot);
    ask(witness, text);
    ck_assert_int_eq(answer(witness, "slots.0.slot"), slot);
    (void)snprintf(text, sizeof(text), "slots.0.%s", path);
    return answer(witness, text);
}

void test_witness_check_sum(struct test_witness *witness)
{
    ask(witness, "");
    ck_assert_int_eq(answer(witness, "handlers.started"),
                     answer(witness, "handlers.replied") + answer(witness, "handlers.failed") +
                         answer(witness, "handlers.dropped") + answer(witness, "handlers.live"));
}

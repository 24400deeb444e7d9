/* SPDX-License-Identifier: MIT */
/* A client that waits for ever does not run meanwhile. */
#include "tests/integration/client_fixture.h"
#include "tests/suite.h"

#include <dirent.h>
#include <fipc/service.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 6
#define ROUNDS_MAX 20
#define N_CHILDREN 8 /* those of the waits below, and fipctl */
#define N_LIVE 8     /* calls and waits that they have the broker hold */

static pid_t children[N_CHILDREN];

static void set_up(void)
{
    set_up_broker();
    for (int i = 0; i < N_CHILDREN; i++)
        children[i] = -1;
}

static void tear_down(void)
{
    for (int i = 0; i < N_CHILDREN; i++) {
        if (children[i] > 0) {
            (void)kill(children[i], SIGKILL);
            (void)waitpid(children[i], NULL, 0);
        }
    }
    tear_down_folder();
}

/* ---- waits, each in a process of its own ---- */

static void never(fipc_request *request, void *userdata) { (void)request, (void)userdata; }

static void *wait_in_call(void *arg)
{
    (void)arg;
    (void)delay(client, 60000, 60000);
    return NULL;
}

static void *wait_in_send(void *arg)
{
    fipc_message *loan;

    (void)arg;
    if (fipc_loan(client, "fipc.delay", 5, &loan) == 0) {
        memcpy(fipc_loan_data(loan), "60000", 5);
        (void)fipc_send(loan, FIPC_IDEMPOTENT, 60000, NULL);
    }
    return NULL;
}

static void *wait_for_service(void *arg)
{
    (void)arg;
    (void)fipc_wait(client, "com.example.nobody", -1);
    return NULL;
}

static void *wait_for_work(void *arg)
{
    (void)arg;
    (void)fipc_dispatch(client, -1);
    return NULL;
}

static void *wait_for_requests(void *arg)
{
    (void)arg;
    (void)fipc_serve(client, "com.example.test", 1, never, NULL);
    (void)fipc_dispatch(client, -1);
    return NULL;
}

/* Threads that share a handle: one of them reads for all. */
static void *wait_in_threads(void *arg)
{
    static void *(*const waits[THREADS])(void *) = {
        wait_in_call, wait_in_call, wait_for_service, wait_in_send, wait_for_work, wait_for_work,
    };
    pthread_t thread;

    (void)arg;
    for (int i = 0; i < THREADS; i++)
        (void)pthread_create(&thread, NULL, waits[i], NULL);
    (void)pause();
    return NULL;
}

/* While a poll loop has the fd as well. */
static void *wait_beside_poll_loop(void *arg)
{
    (void)fipc_fd(client);
    return wait_in_call(arg);
}

/* ---- how often a process ran ---- */

static long switches_of_task(pid_t pid, const char *task)
{
    char path[300], line[256];
    long n = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, task);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
            n = strtol(line + 24, NULL, 10);
    }
    if (file != NULL)
        (void)fclose(file);
    return n;
}

/* Of all its threads. */
static long switches(pid_t pid)
{
    char path[64];
    const struct dirent *entry;
    long sum = 0;
    DIR *folder;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.')
            sum += switches_of_task(pid, entry->d_name);
    }
    (void)closedir(folder);
    return sum;
}

/* ---- all at once ---- */

static void *(*const waits[])(void *arg) = {
    wait_in_call,      wait_in_send,    wait_for_service,      wait_for_work,
    wait_for_requests, wait_in_threads, wait_beside_poll_loop,
};

static pid_t start(void *(*wait)(void *arg))
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid != 0)
        return pid;
    open_client();
    (void)wait(NULL);
    _exit(0);
}

static pid_t start_fipctl(void)
{
    const char *fipctl = getenv("FIPCTL");
    pid_t pid = fork();

    ck_assert_ptr_nonnull(fipctl);
    ck_assert_int_ge(pid, 0);
    if (pid != 0)
        return pid;
    (void)execl(fipctl, fipctl, "--socket", broker.socket, "serve", "com.example.fipctl", "--",
                "cat", (char *)NULL);
    _exit(127);
}

static void wait_until_all_are_connected(void)
{
    struct test_witness witness;

    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.open") == N_CHILDREN + 1 &&
                  test_witness_number(&witness, "handlers.live") == N_LIVE + 1);
    test_witness_close(&witness);
}

static void count(long switches_of[])
{
    for (int i = 0; i < N_CHILDREN; i++)
        switches_of[i] = switches(children[i]);
}

GROUP(idle, .timeout = 60, .fixtures = {{set_up, tear_down}});

/* Each has a second in which it does not run, sooner or later: one that looks now and then has
 * none. */
TEST(client_that_waits_does_not_run)
{
    const struct timespec second = {.tv_sec = 1};
    long before[N_CHILDREN], after[N_CHILDREN];
    bool was_idle[N_CHILDREN] = {false};
    int n_idle = 0;

    for (int i = 0; i < COUNT_OF(waits); i++)
        children[i] = start(waits[i]);
    children[COUNT_OF(waits)] = start_fipctl();
    wait_until_all_are_connected();
    for (int round = 0; round < ROUNDS_MAX && n_idle < N_CHILDREN; round++) {
        count(before);
        (void)nanosleep(&second, NULL);
        count(after);
        for (int i = 0; i < N_CHILDREN; i++) {
            n_idle += !was_idle[i] && after[i] == before[i];
            was_idle[i] = was_idle[i] || after[i] == before[i];
        }
    }
    for (int i = 0; i < N_CHILDREN; i++)
        ck_assert_msg(was_idle[i], "%d: ran %ld times in the last second", i, after[i] - before[i]);
}

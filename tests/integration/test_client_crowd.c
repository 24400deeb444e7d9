/* SPDX-License-Identifier: MIT */
/* Workers by the hundred wait for a broker: they hardly run meanwhile, and all come back when it
 * does. More than 128 cannot all watch for the socket: fs.inotify.max_user_instances. The others
 * try again after pauses of up to a second. */
#include "tests/integration/client_fixture.h"
#include "tests/suite.h"

#include <fipc/service.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 200
#define NAMES 50
#define ROUNDS_MAX 20
#define TRIES_A_SECOND 4 /* of a worker without a broker, each of which sleeps once or twice */
#define SWITCHES_BACK 60 /* of a worker that comes back */

static pid_t workers[WORKERS];

static void never(fipc_request *request, void *userdata) { (void)request, (void)userdata; }

static pid_t start_worker(int number)
{
    pid_t pid = fork();
    char name[64];

    ck_assert_int_ge(pid, 0);
    if (pid != 0)
        return pid;
    open_client();
    (void)snprintf(name, sizeof(name), "com.example.worker%d", number % NAMES);
    ck_assert_int_eq(fipc_serve(client, name, 1, never, NULL), 0);
    for (;;)
        (void)fipc_dispatch(client, -1);
}

static void set_up(void)
{
    test_raise_fds_limit();
    set_up_broker();
    for (int i = 0; i < WORKERS; i++)
        workers[i] = start_worker(i);
}

static void tear_down(void)
{
    for (int i = 0; i < WORKERS; i++) {
        (void)kill(workers[i], SIGKILL);
        (void)waitpid(workers[i], NULL, 0);
    }
    tear_down_folder();
}

/* How often a process went to sleep. */
static long switches(pid_t pid)
{
    char path[64], line[256];
    long n = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
            n = strtol(line + 24, NULL, 10);
    }
    (void)fclose(file);
    return n;
}

static long switches_of_all(void)
{
    long sum = 0;

    for (int i = 0; i < WORKERS; i++)
        sum += switches(workers[i]);
    return sum;
}

static void wait_until_all_serve(void)
{
    struct test_witness witness;

    test_witness_open(&witness, &broker);
    TEST_WAIT_FOR(test_witness_number(&witness, "slots.open") == WORKERS + 1);
    test_witness_close(&witness);
}

/* Return: how often they went to sleep in a second */
static long a_second(void)
{
    const struct timespec second = {.tv_sec = 1};
    long before = switches_of_all();

    (void)nanosleep(&second, NULL);
    return switches_of_all() - before;
}

GROUP(crowd, .timeout = 60, .fixtures = {{set_up, tear_down}});

TEST(workers_without_a_broker_hardly_run_and_all_come_back)
{
    long asleep;
    int round = 0;

    wait_until_all_serve();
    test_broker_kill(&broker);
    while (a_second() > (long)WORKERS * TRIES_A_SECOND)
        ck_assert_int_lt(round++, ROUNDS_MAX);
    asleep = switches_of_all();
    test_broker_start_with(&broker, "{}");
    wait_until_all_serve();
    ck_assert_int_le(switches_of_all() - asleep, (long)WORKERS * SWITCHES_BACK);
}

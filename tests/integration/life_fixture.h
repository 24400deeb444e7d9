/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_LIFE_FIXTURE_H
#define FIPC_TESTS_LIFE_FIXTURE_H

/* A folder for a broker that the test itself starts, and a client. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define EXIT_USAGE 2
#define EXIT_CONFIG 78

static struct test_broker broker;
static struct raw_client client;

static inline void make_folder(void)
{
    test_broker_init(&broker);
    client = RAW_CLIENT_EMPTY;
}

static inline void remove_folder(void)
{
    raw_close(&client);
    test_broker_deinit(&broker);
}

/* The path of a file in the broker's folder. */
static inline const char *in_folder(const char *name)
{
    static char paths[4][160];
    static int turn;
    char *path = paths[turn++ % COUNT_OF(paths)];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", broker.folder, name);
    return path;
}

static inline const char *write_file(const char *name, const char *text)
{
    const char *path = in_folder(name);
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

static inline void start(void) { test_broker_start(&broker, NULL); }

static inline void start_with_config(const char *config)
{
    test_broker_start_with(&broker, config);
}

static inline void open_session(void)
{
    ck_assert_int_eq(raw_open_session(&client, broker.socket, 0, 0), 0);
}

static inline void check_served(void)
{
    uint32_t ping;

    open_session();
    ck_assert_int_eq(raw_open_name(&client, "fipc.ping", &ping), 0);
    ck_assert_int_eq(raw_call(&client, ping, NULL, 0), 0);
    raw_close(&client);
}

static inline void check_exit_status(int status, int expected)
{
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), expected);
}

static inline bool exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

/* It exits with status 0 and has removed its files. */
static inline void check_ended(void)
{
    check_exit_status(test_broker_wait(&broker), 0);
    ck_assert(!exists(broker.socket));
    ck_assert(!exists(in_folder("control.sock.lock")));
}

static inline void stop(int signal_number) { ck_assert_int_eq(kill(broker.pid, signal_number), 0); }

static inline int run(const char *const *arguments)
{
    int status;

    test_broker_spawn(&broker, arguments);
    status = test_broker_wait(&broker);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_SHORT_LIFE_FIXTURE_H
#define FIPC_TESTS_SHORT_LIFE_FIXTURE_H

/* A life of a broker, one of whose calls fails: what it finds, and whether it starts. */
#include "tests/integration/fail_broker.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_CONFIG 78

/* One life of a broker, in which one call fails. */
struct life {
    struct test_broker broker;
    struct fail_calls *calls;
    enum fail_kind kind;
    int n_refused; /* things that the broker could not do, and said so */
    struct test_witness witness;
};

/* One thing was refused: that is all right once, when a call failed. */
static inline void allow_refusal(struct life *life)
{
    life->n_refused++;
    ck_assert_int_eq(life->n_refused, 1);
    ck_assert_uint_eq(life->calls->kinds[life->kind].failed, 1);
}

static inline void write_file(const struct life *life, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", life->broker.folder, name);
    file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void write_config(const struct life *life)
{
    char folder[96];

    /* without a group: glibc's getgrnam(3) does not survive that memory runs out */
    test_broker_write_config(&life->broker, "{\"slots\": {\"count\": 5, \"per_uid\": 5}}");
    (void)snprintf(folder, sizeof(folder), "%s/fipcd.d", life->broker.folder);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    write_file(life, "fipcd.d/1.json", "{\"timeouts\": {\"drain_ms\": 60000}}");
}

/* A socket that a dead broker left behind. */
static inline void leave_stale_socket(const struct life *life)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", life->broker.socket);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
}

static inline bool exists(const struct life *life, const char *name)
{
    struct stat status;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", life->broker.folder, name);
    return lstat(path, &status) == 0;
}

static inline bool accepts(const struct life *life)
{
    struct raw_client probe = RAW_CLIENT_EMPTY;
    int r = raw_connect(&probe, life->broker.socket);

    raw_close(&probe);
    return r == 0;
}

/* Return: whether it serves; if not it has said why */
static inline bool has_started(struct life *life)
{
    int status;

    TEST_WAIT_FOR(accepts(life) || !test_broker_is_alive(&life->broker));
    if (test_broker_is_alive(&life->broker))
        return true;
    status = test_broker_wait(&life->broker);
    ck_assert_msg(WIFEXITED(status), "a signal ended it: %d", WTERMSIG(status));
    if (life->kind == FAIL_OPEN || life->kind == FAIL_SCANDIR) /* the config cannot be read */
        ck_assert(WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == EXIT_CONFIG);
    else
        ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_int_eq(test_broker_log_lines(&life->broker, ""), 1);
    ck_assert(!exists(life, "control.sock.lock"));
    allow_refusal(life);
    return false;
}

#endif

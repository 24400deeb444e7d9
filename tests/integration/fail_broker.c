/* SPDX-License-Identifier: MIT */
#include "tests/integration/fail_broker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void calls_path(const struct test_broker *broker, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/calls", broker->folder);
}

struct fail_calls *fail_calls_open(const struct test_broker *broker)
{
    struct fail_calls *calls;
    char path[96];
    int fd;

    calls_path(broker, path, sizeof(path));
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof(*calls)), 0);
    calls = mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(calls, MAP_FAILED);
    (void)close(fd);
    return calls;
}

struct fail_calls *fail_calls_close(struct fail_calls *calls)
{
    if (calls != NULL)
        (void)munmap(calls, sizeof(*calls));
    return NULL;
}

void fail_always(struct fail_calls *calls, enum fail_kind kind)
{
    atomic_store(&calls->kinds[kind].first, 1);
    atomic_store(&calls->kinds[kind].last, UINT64_MAX);
}

void fail_never(struct fail_calls *calls, enum fail_kind kind)
{
    atomic_store(&calls->kinds[kind].last, 0);
}

/* Programs started from now on fail. */
static void preload(const struct test_broker *broker)
{
    const char *library = getenv("FAIL_CALLS");
    char path[96];

    ck_assert_msg(library != NULL, "FAIL_CALLS is not set: run this test by ctest");
    calls_path(broker, path, sizeof(path));
    ck_assert_int_eq(setenv("LD_PRELOAD", library, 1), 0);
    ck_assert_int_eq(setenv(FAIL_PATH_VARIABLE, path, 1), 0);
}

static void preload_no_more(void)
{
    ck_assert_int_eq(unsetenv("LD_PRELOAD"), 0);
    ck_assert_int_eq(unsetenv(FAIL_PATH_VARIABLE), 0);
}

void fail_broker_spawn(struct test_broker *broker, const char *const *arguments)
{
    preload(broker);
    test_broker_spawn(broker, arguments);
    preload_no_more();
}

void fail_broker_start(struct test_broker *broker, const char *const *arguments)
{
    preload(broker);
    test_broker_start(broker, arguments);
    preload_no_more();
}

void fail_broker_start_with(struct test_broker *broker, const char *config)
{
    preload(broker);
    test_broker_start_with(broker, config);
    preload_no_more();
}

void fail_limit_fds(const struct test_broker *broker, int soft, int hard)
{
    const char *program = getenv("FIPCD");
    char path[96];
    FILE *script;

    ck_assert_msg(program != NULL, "FIPCD is not set: run this test by ctest");
    (void)snprintf(path, sizeof(path), "%s/limited", broker->folder);
    script = fopen(path, "we");
    ck_assert_ptr_nonnull(script);
    (void)fprintf(script, "#!/bin/sh\nulimit -S -n %d && ulimit -H -n %d && exec '%s' \"$@\"\n",
                  soft, hard, program);
    ck_assert_int_eq(fclose(script), 0);
    ck_assert_int_eq(chmod(path, 0700), 0);
    ck_assert_int_eq(setenv("FIPCD", path, 1), 0);
}

/* In ticks of sysconf(_SC_CLK_TCK). */
static unsigned long cpu_time(const struct test_broker *broker)
{
    unsigned long user, system;
    char path[64], line[1024];
    const char *name_end;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", broker->pid);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
    (void)fclose(file);
    name_end = strrchr(line, ')');
    ck_assert_ptr_nonnull(name_end);
    ck_assert_int_eq(
        sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
        2);
    return user + system;
}

int fail_busy_percent(const struct test_broker *broker)
{
    unsigned long before = cpu_time(broker);

    for (uint64_t end_ns = fipc_now_ns() + FIPC_NS_PER_S; fipc_now_ns() < end_ns;)
        test_pause();
    return (int)((cpu_time(broker) - before) * 100 / (unsigned long)sysconf(_SC_CLK_TCK));
}

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_UNIT_FIXTURE_H
#define FIPC_TESTS_UNIT_FIXTURE_H

/* What the tests of common/ share: a look at leaks, memory between guards, contents that show whose
 * they are. */
#include "tests/suite.h"

#include <check.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* As ck_assert(), for loops: Check makes a system call of each of its own, passed or not. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s", #condition);                                                        \
    } while (0)

/* ---- leaks ---- */

/* What this process holds: a line for each open fd and each shared mapping. */
static inline void list_holdings(char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w"), *maps;
    DIR *fds = opendir("/proc/self/fd");
    struct dirent *entry;
    char line[512];

    while ((entry = readdir(fds)) != NULL)
        if (entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) != dirfd(fds))
            (void)fprintf(out, "fd %s\n", entry->d_name);
    (void)closedir(fds);

    maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof(line), maps) != NULL)
        if (line[strcspn(line, " ") + strlen(" rw-")] == 's')
            (void)fputs(line, out);
    (void)fclose(maps);
    (void)fclose(out);
}

static inline char *holdings_before(void)
{
    static char text[16384];

    return text;
}

static inline void note_holdings(void) { list_holdings(holdings_before(), 16384); }

static inline void expect_same_holdings(void)
{
    char now[16384];

    list_holdings(now, sizeof(now));
    ck_assert_str_eq(now, holdings_before());
}

/* A fixture: a case leaves no fd open and nothing mapped. */
#define HOLDINGS_KEPT                                                                              \
    {                                                                                              \
        note_holdings, expect_same_holdings                                                        \
    }

/* ---- memory ---- */

#define GUARD_BYTES 4096u

/* Whole pages between two that cannot be touched: one byte too far is a SIGSEGV in every build. */
static inline void *guarded_new(size_t size)
{
    unsigned char *base =
        mmap(NULL, size + 2 * (size_t)GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(base, MAP_FAILED);
    ck_assert_int_eq(mprotect(base + GUARD_BYTES, size, PROT_READ | PROT_WRITE), 0);
    return base + GUARD_BYTES;
}

static inline void guarded_free(void *memory, size_t size)
{
    (void)munmap((unsigned char *)memory - GUARD_BYTES, size + 2 * (size_t)GUARD_BYTES);
}

/* ---- contents ---- */

/* splitmix64: the next of a repeatable row of random numbers. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
    return limit > 0 ? random_next(state) % limit : 0;
}

static inline uint64_t pattern_word(uint64_t id, size_t at)
{
    return (id + 1) * UINT64_C(0x9e3779b97f4a7c15) + at;
}

/* Bytes that depend on the id and on their place, so that a shifted or foreign byte is seen. */
static inline void pattern_fill(void *data, size_t size, uint64_t id)
{
    unsigned char *bytes = data;

    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = pattern_word(id, at);

        memcpy(bytes + at, &word, size - at < sizeof(word) ? size - at : sizeof(word));
    }
}

static inline bool pattern_matches(const void *data, size_t size, uint64_t id)
{
    const unsigned char *bytes = data;

    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = pattern_word(id, at);

        if (memcmp(bytes + at, &word, size - at < sizeof(word) ? size - at : sizeof(word)) != 0)
            return false;
    }
    return true;
}

/* ---- processes ---- */

/* Waits for a child. Return: its exit status, or -1 if it did not exit by itself. */
static inline int wait_for_exit(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Waits until thread @tid of process @pid sleeps in a system call with this first argument. */
static inline void wait_until_blocked(pid_t pid, pid_t tid, long number, unsigned long argument)
{
    char path[64], line[256] = "";
    long seen_number = -1;
    unsigned long seen_argument = 0;
    char *end;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    do {
        FILE *file = fopen(path, "re");

        ck_assert_ptr_nonnull(file);
        if (fgets(line, sizeof(line), file) == NULL)
            line[0] = '\0';
        seen_number = strtol(line, &end, 10); /* of "running": 0, at the line's beginning */
        seen_argument = strtoul(end, NULL, 16);
        (void)fclose(file);
    } while (seen_number != number || seen_argument != argument);
}

/* ---- running ---- */

/* A stress test's count, divided by $FIPC_TEST_SCALE; at least 1. */
static inline uint64_t scaled(uint64_t count)
{
    const char *text = getenv("FIPC_TEST_SCALE");
    uint64_t scale = text == NULL ? 1 : strtoul(text, NULL, 10);

    return scale < 2 ? count : count / scale + (count < scale);
}

#endif

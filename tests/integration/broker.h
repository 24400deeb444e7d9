/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_BROKER_H
#define FIPC_TESTS_BROKER_H

/*
 * A broker of a test's own: the fipcd of $FIPCD, in a temporary folder that holds its socket and
 * what it logs. All functions fail the test that calls them when something is not as it should be.
 */
#include "common/clock.h"
#include "common/os/os.h"
#include "tests/integration/raw_client.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

struct test_broker {
    char folder[64];
    char socket[96];
    char log[96];    /* what it wrote to stderr */
    char config[96]; /* where test_broker_write_config() writes */
    pid_t pid;       /* 0: it does not run */
    int given_fd;    /* a socket that it gets as systemd gives one; 0: none */
};

/* Waits for a condition that comes true without our doing, and fails the test if it does not. */
#define TEST_WAIT_FOR(condition)                                                                   \
    do {                                                                                           \
        uint64_t test_deadline_ns = fipc_now_ns() + 20 * FIPC_NS_PER_S;                            \
                                                                                                   \
        while (!(condition)) {                                                                     \
            ck_assert_msg(fipc_now_ns() < test_deadline_ns, "never came true: %s", #condition);    \
            test_pause();                                                                          \
        }                                                                                          \
    } while (0)

/* Between two looks at a condition. */
static inline void test_pause(void)
{
    static const struct timespec moment = {.tv_nsec = 1000000};

    (void)nanosleep(&moment, NULL);
}

/* @count, divided by $FIPC_TEST_SCALE. At least 1. */
int test_scaled(int count);

/* As many fds as this process may have. */
void test_raise_fds_limit(void);

/* Makes the folder. */
void test_broker_init(struct test_broker *broker);

/**
 * test_broker_start() - start `fipcd --socket SOCKET ARGUMENTS...` and wait until it serves
 * @arguments:  ended by NULL; NULL: none
 */
void test_broker_start(struct test_broker *broker, const char *const *arguments);

/* Writes a config, and starts fipcd with this config alone, whatever this host is configured to:
 * "{}" for the defaults. */
void test_broker_write_config(const struct test_broker *broker, const char *json);
void test_broker_start_with(struct test_broker *broker, const char *json);

/* Starts fipcd with these arguments alone, and waits for nothing. */
void test_broker_spawn(struct test_broker *broker, const char *const *arguments);

/* Waits until it accepts connections, and until it has forgotten the one that was tried. */
void test_broker_wait_ready(const struct test_broker *broker);

/* Waits for its end. Return: as from waitpid(2) */
int test_broker_wait(struct test_broker *broker);

/* SIGTERM; it must exit with status 0 and leave neither lock nor socket, but one that it was given.
 */
void test_broker_stop(struct test_broker *broker);

/* SIGKILL; the socket is left behind. */
void test_broker_kill(struct test_broker *broker);

/* SIGSTOP, which has taken effect when the function returns; SIGCONT. */
void test_broker_freeze(const struct test_broker *broker);
void test_broker_thaw(const struct test_broker *broker);

/* Lets all users of the host connect. */
void test_broker_open_to_all(const struct test_broker *broker);

/* Stops the broker if it runs, and removes the folder. */
void test_broker_deinit(struct test_broker *broker);

/* Whether it still runs: a zombie does not. */
bool test_broker_is_alive(const struct test_broker *broker);

/* How many lines of its log hold @part. */
int test_broker_log_lines(const struct test_broker *broker, const char *part);

/* How many fds it has open, and how many regions of slots it maps. */
int test_broker_count_fds(const struct test_broker *broker);
int test_broker_count_regions(const struct test_broker *broker);

/* The number at a path such as "slots.closed.corrupt ring" in a report of fipc.stats; 0: there is
 * no such key, or it is null. */
long long test_report_number(const void *report, size_t size, const char *path);

/*
 * An honest session beside those that a test is about: it is served whatever they do, and tells
 * what the broker reports.
 */
struct test_witness {
    struct raw_client client;
    uint32_t echo, stats; /* its targets */
};

void test_witness_open(struct test_witness *witness, const struct test_broker *broker);
void test_witness_close(struct test_witness *witness);

/* It is served as ever. */
void test_witness_check(struct test_witness *witness);

/* A number of a report that it asks for; with a slot's number, of the report about this slot. */
long long test_witness_number(struct test_witness *witness, const char *path);
long long test_witness_slot_number(struct test_witness *witness, uint32_t slot, const char *path);

/* Every handler that was started has ended, in one way, or lives: compared in one report. */
void test_witness_check_sum(struct test_witness *witness);

#endif

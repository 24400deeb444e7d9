/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_FAIL_BROKER_H
#define FIPC_TESTS_FAIL_BROKER_H

/* A broker whose calls fail when a test wants it: the library of $FAIL_CALLS is preloaded. */
#include "tests/integration/broker.h"
#include "tests/integration/fail_calls.h"

/* The memory shared with the broker that starts next in this folder: nothing was called yet,
 * nothing fails. Unmapped by fail_calls_close(). */
struct fail_calls *fail_calls_open(const struct test_broker *broker);
struct fail_calls *fail_calls_close(struct fail_calls *calls);

/* From now on all calls of a kind fail; from now on none does. */
void fail_always(struct fail_calls *calls, enum fail_kind kind);
void fail_never(struct fail_calls *calls, enum fail_kind kind);

/* As test_broker_spawn() and test_broker_start(). */
void fail_broker_spawn(struct test_broker *broker, const char *const *arguments);
void fail_broker_start(struct test_broker *broker, const char *const *arguments);

/* Starts it with a config, given as text. */
void fail_broker_start_with(struct test_broker *broker, const char *config);

/* Brokers of this test that start from now on get these limits of RLIMIT_NOFILE. */
void fail_limit_fds(const struct test_broker *broker, int soft, int hard);

/* How much CPU time it takes in a second without our doing, in percent. */
int fail_busy_percent(const struct test_broker *broker);

#endif

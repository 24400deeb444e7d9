/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_RELAY_FIXTURE_H
#define FIPC_TESTS_RELAY_FIXTURE_H

/* A broker with a worker that serves NAME, one request at a time, and a caller that has opened it:
 * both speak the wire themselves. All functions fail the test that calls them. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <stddef.h>
#include <stdint.h>

#define NAME "com.example.relay"

extern struct test_broker broker;
extern struct test_witness witness;
extern struct raw_client caller, worker, other; /* other: empty at first */
extern uint32_t target;                         /* of NAME, as the caller knows it */

/* Limits, by default. */
#define CALLS_MAX 1024 /* of a session, and of a uid in queues */
#define WISHES_MAX 64  /* of a session, for room */
#define UNSENT_MAX (64 << 20)

#define FIRST_UID 60010 /* of users that are nobody else */

/* What a worker took last. */
extern struct fipc_delivery delivery;
extern uint64_t taken_id;
extern size_t data_at;

/* A fixture: this broker for each case; afterwards nothing is left in it. */
void relay_set_up(void);
void relay_tear_down(void);

void open_session(struct raw_client *client);

/* Opens a session and serves a name. */
void serve_with(struct raw_client *client, const char *name, uint32_t concurrency);

/* A number of fipc.stats. */
long long number(const char *path);

/* Sends a request of the caller to the target. Return: its id */
uint64_t send_flagged(uint16_t flags, const void *data, size_t size, uint64_t remaining_ns);
uint64_t send_request(void);

/* Waits until a worker has the next request. */
void take(struct raw_client *by);

/* Answers what was taken last. */
void reply(struct raw_client *by, int32_t status, const char *text);

/* The next record of the caller is the answer to this one. */
void expect_answer(uint64_t id, int32_t status, uint16_t flags);

/* No record is there, nor will be. */
void expect_nothing(struct raw_client *client);

/* Connects, and sends "data" to NAME; the answer comes on the lane. */
void send_oneshot(struct raw_client *oneshot);

#endif

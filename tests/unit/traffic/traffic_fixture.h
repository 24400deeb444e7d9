/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_TRAFFIC_FIXTURE_H
#define FIPC_TESTS_TRAFFIC_FIXTURE_H

/*
 * A broker's core without a broker: no loop, no socket, no other process. The test owns the clock
 * and plays the clients: it holds their ends of real rings. It calls the functions of traffic/ as
 * the turn does.
 */
#include "common/channel.h"
#include "daemon/model/core.h"
#include "tests/suite.h"

#include <stddef.h>
#include <stdint.h>

#define TEST_UID 1000 /* the broker's, which is trusted */
#define TEST_STRANGER 2000
#define TEST_RING_BYTES 4096
#define TEST_HANDLE UINT64_C(0x1122334455667788) /* of each worker */

extern struct core core;
extern uint64_t test_now_ns;
extern uint64_t test_ring_ns;
/* CPU time of what is between two looks at core.cpu_clock() */ /* what core.clock says */

struct test_client {
    struct slot *slot;
    struct fipc_channel channel; /* the client's end */
    int lane_fd;                 /* likewise */
    uint64_t last_id;
    /* the record that was taken last */
    struct fipc_header header;
    unsigned char payload[TEST_RING_BYTES];
    size_t size;
    struct fipc_delivery delivery; /* of a request, which is before its payload */
};

/* For GROUP(..., .fixtures = {{core_set_up, core_tear_down}}). */
void core_set_up(void);
void core_tear_down(void);

/* Moves the clock, and calls each deadline that is over by then. */
void test_advance(uint64_t ns);

/* An open session. */
void client_open(struct test_client *client, uid_t uid);

/* A client without a channel, whose one request is being answered on the lane. */
void client_open_oneshot(struct test_client *client, uid_t uid);

/* As life/ closes its slot, without a word. Does nothing if it is closed. */
void client_close(struct test_client *client);

/* Publishes a record; fails the test if there is no room. */
void client_send(struct test_client *client, const struct fipc_header *header, const void *payload,
                 size_t size);

/* Sends a request to a target. Return: its id */
uint64_t client_request(struct test_client *client, uint32_t target, unsigned flags,
                        const void *payload, size_t size);

/* As client_request(), past the ring: the handler is there at once, and routed to the service. */
struct handler *client_call(struct test_client *client, struct service *service, unsigned flags,
                            const char *text);

/* Serves a name from now on. */
struct service *client_serve(struct test_client *client, const char *name, uint32_t concurrency);

/* The service of a name that nobody serves, made at the expense of the client. */
struct service *client_wish_for(struct test_client *client, const char *name);

/* Takes the next record that is no skip record into header, payload, size. Return: whether there
 * was one */
bool client_take(struct test_client *client);

/* The next record is the reply to this request. */
void client_expect_reply(struct test_client *client, uint64_t id, int status);

/* The next record is a control record of this type. Its id and status are in header. */
void client_expect_control(struct test_client *client, enum fipc_control_type type,
                           uint32_t target);

/* The next record is a request with this text. Return: the number of its delivery */
uint32_t client_expect_request(struct test_client *client, const char *text);

/* A worker answers past the ring. */
void client_answer(struct test_client *client, uint32_t number, uint64_t id, int status,
                   const char *text);

/* Puts records into the ring of a slot until nothing fits any more, behind the back of traffic/. */
void client_fill(struct test_client *client);

/* Takes what client_fill() put in. */
void client_drain(struct test_client *client);

#endif

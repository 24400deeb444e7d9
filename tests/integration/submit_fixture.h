/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_SUBMIT_FIXTURE_H
#define FIPC_TESTS_SUBMIT_FIXTURE_H

/* Submitted calls, by number, and what became of each. */
#include "tests/integration/service_fixture.h"

#include <poll.h>

#define CALLS 3000

static struct server server;
static struct keeper keeper;

/* What became of each call, by its number. */
static int ends[CALLS + 1], errors[CALLS + 1];
static int n_ended, order[CALLS + 1];

static inline void set_up_calls(void)
{
    set_up_client();
    keeper = KEEPER_EMPTY;
    server.client = NULL;
    n_ended = 0;
    memset(ends, 0, sizeof(ends));
}

static inline void tear_down_calls(void)
{
    server_stop(&server);
    tear_down_client();
}

static inline void note_end(int error, const fipc_message *reply, void *userdata)
{
    int *number = userdata;
    ptrdiff_t i = number - errors;

    EXPECT((error == 0) == (reply != NULL));
    *number = error;
    ends[i]++;
    order[n_ended++] = (int)i;
}

static inline int submit(int i, const char *service, const void *data, size_t size, unsigned flags,
                         int timeout_ms)
{
    return fipc_submit(client, service, data, size, flags, timeout_ms, note_end, &errors[i], NULL);
}

static inline void dispatch_until(int count)
{
    while (n_ended < count)
        ck_assert_int_gt(fipc_dispatch(client, PATIENT_MS), 0);
}

static inline void expect_each_ended_once(int count, int error)
{
    ck_assert_int_eq(n_ended, count);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(ends[i], 1);
        ck_assert_int_eq(errors[i], error);
    }
}

static inline bool is_readable(int timeout_ms)
{
    struct pollfd fd = {.fd = fipc_fd(client), .events = POLLIN};

    return poll(&fd, 1, timeout_ms) == 1;
}

#endif

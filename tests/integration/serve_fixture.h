/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_SERVE_FIXTURE_H
#define FIPC_TESTS_SERVE_FIXTURE_H

/* A client that calls, and two that serve. */
#include "tests/integration/service_fixture.h"

static struct server server, other;
static struct keeper keeper;

static inline void set_up_services(void)
{
    set_up_client();
    keeper = KEEPER_EMPTY;
    server.client = other.client = NULL;
}

static inline void tear_down_services(void)
{
    server_stop(&server);
    server_stop(&other);
    tear_down_client();
}

static inline int call(unsigned flags, int timeout_ms)
{
    return fipc_call(client, SERVICE, "data", 4, flags, timeout_ms, NULL);
}

#endif

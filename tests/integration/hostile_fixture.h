/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_HOSTILE_FIXTURE_H
#define FIPC_TESTS_HOSTILE_FIXTURE_H

/* A fake broker, which a client trusts as little as any. */
#include "tests/integration/client_fixture.h"
#include "tests/integration/fake_broker.h"

#include <sys/socket.h>

static struct fake_broker fake;

static inline void set_up(void)
{
    note_holdings();
    fake_init(&fake, 16);
}

static inline void tear_down(void)
{
    close_client();
    fake_deinit(&fake);
    expect_same_holdings();
}

static inline int connect_to_fake(int timeout_ms)
{
    const fipc_options options = {
        .size = sizeof(options),
        .socket = fake.address.sun_path,
        .connect_timeout_ms = timeout_ms,
    };

    return fipc_connect(&client, &options);
}

#endif

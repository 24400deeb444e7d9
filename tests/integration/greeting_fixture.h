/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_GREETING_FIXTURE_H
#define FIPC_TESTS_GREETING_FIXTURE_H

/* A broker and a victim, whose session no greeting of another client may disturb; packets to
 * greet with. */
#include "tests/integration/broker.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define KIB 1024u
#define MIB (1024u * KIB)

#define DEFAULT_RING_BYTES (64 * KIB)
#define RING_BYTES_MAX (16 * MIB)

static struct test_broker broker;
static struct test_witness victim;

static inline void start(void)
{
    test_broker_init(&broker);
    test_broker_start(&broker, NULL);
    test_witness_open(&victim, &broker);
}

/* The victim is served as ever, by the very same broker. */
static inline void check_victim(void)
{
    ck_assert(test_broker_is_alive(&broker));
    test_witness_check(&victim);
}

static inline void stop(void)
{
    check_victim();
    test_witness_close(&victim);
    test_broker_deinit(&broker);
}

static inline long long number(const char *path) { return test_witness_number(&victim, path); }

/* Everything that the broker held for the dead is given back. */
static inline void check_nothing_held(int fds, int regions)
{
    struct test_witness last;

    /* the last client finds that all before it were accepted */
    test_witness_open(&last, &broker);
    test_witness_close(&last);
    TEST_WAIT_FOR(number("slots.taken") == 1);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == fds);
    TEST_WAIT_FOR(test_broker_count_regions(&broker) == regions);
    ck_assert_int_eq(number("handlers.live"), 1);
    test_witness_check_sum(&victim);
}

/* A packet in its wire form, to be spoiled. */
struct wire {
    union {
        unsigned char bytes[128 * KIB];
        struct {
            struct fipc_control_header header;
            union {
                struct fipc_hello hello;
                struct fipc_welcome welcome;
                struct fipc_farewell farewell;
                struct fipc_named named;
            };
        };
    };
    size_t size;
};

static struct wire wire;

/* Makes the packet of this type, the rest of which is zero, as large as its body. */
static inline void make(enum fipc_control_type type, size_t body_bytes)
{
    memset(&wire, 0, sizeof(wire));
    wire.size = sizeof(wire.header) + body_bytes;
    wire.header.magic = FIPC_CONTROL_MAGIC;
    wire.header.version = FIPC_CONTROL_VERSION;
    wire.header.type = (uint16_t)type;
    wire.header.size = (uint32_t)wire.size;
}

static inline void make_hello(void) { make(FIPC_CONTROL_HELLO, sizeof(struct fipc_hello)); }

/* HELLO of a one-shot that claims these counts, and is as large as they say where that is possible.
 */
static inline void make_oneshot(uint32_t name_bytes, uint32_t data_bytes)
{
    make_hello();
    wire.hello.flags = FIPC_HELLO_ONESHOT;
    wire.hello.name_bytes = name_bytes;
    wire.hello.data_bytes = data_bytes;
    if ((uint64_t)name_bytes + data_bytes <= 64 * KIB)
        wire.size += name_bytes + data_bytes;
    wire.header.size = (uint32_t)wire.size;
}

static inline void half_hello(void)
{
    make_hello();
    wire.size -= sizeof(wire.hello) / 2;
}

#endif

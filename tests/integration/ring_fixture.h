/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_RING_FIXTURE_H
#define FIPC_TESTS_RING_FIXTURE_H

/* A villain and a victim, each with a session; crimes of the villain. */
#include "tests/integration/broker.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RING_BYTES 4096u

static struct test_broker broker;
static struct test_witness victim;
static struct raw_client villain; /* a session with small rings */
static uint32_t villains_echo;

static inline void enter(void)
{
    villain = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_session(&villain, broker.socket, RING_BYTES, RING_BYTES), 0);
    ck_assert_int_eq(raw_open_name(&villain, "fipc.echo", &villains_echo), 0);
}

static inline void start(void)
{
    test_broker_init(&broker);
    test_broker_start(&broker, NULL);
    test_witness_open(&victim, &broker);
    enter();
}

static inline void check_victim(void)
{
    ck_assert(test_broker_is_alive(&broker));
    test_witness_check(&victim);
}

static inline void stop(void)
{
    check_victim();
    test_witness_check_sum(&victim);
    raw_close(&villain);
    test_witness_close(&victim);
    test_broker_deinit(&broker);
}

/* All that comes of it: the slot is closed with a reason, which is counted and logged in one line.
 * Waits for the hang-up first: a client that sleeps or reads repairs a corrupt word. Return:
 * whether the client got a GOODBYE in the ring. */
static inline bool check_thrown_out(enum fipc_reason reason)
{
    enum fipc_reason told = FIPC_REASON_NONE;
    bool is_told;
    char text[128];

    ck_assert_int_eq(raw_wait_hang_up(&villain), 0);
    ck_assert(fipc_end_is_closing(villain.channel.peer));
    is_told = raw_receive_goodbye(&villain, &told) == 0;
    ck_assert_str_eq(fipc_reason_name(told), fipc_reason_name(is_told ? reason : FIPC_REASON_NONE));

    (void)snprintf(text, sizeof(text), "slots.closed.%s", fipc_reason_name(reason));
    ck_assert_int_eq(test_witness_number(&victim, text), 1);
    (void)snprintf(text, sizeof(text), "slot %u (uid %u, pid %d): closed: %s", villain.welcome.slot,
                   getuid(), getpid(), fipc_reason_name(reason));
    ck_assert_int_eq(test_broker_log_lines(&broker, text), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": error: "), 0);
    check_victim();
    return is_told;
}

static inline _Atomic uint64_t *request_tail(void) { return &villain.channel.out.shared->tail; }

static inline void move_tail(uint64_t by)
{
    atomic_fetch_add(request_tail(), by);
    ck_assert_int_eq(raw_ring_bell(&villain), 0);
}

static inline void tail_is_misaligned(void) { move_tail(FIPC_RECORD_ALIGN / 2); }

/* Publishes @bytes bytes, at the beginning of which this header lies. */
static inline void publish(const struct fipc_header *header, uint64_t bytes)
{
    uint64_t tail = atomic_load(request_tail());
    unsigned char *ring = fipc_region_request_ring(&villain.channel.region);

    memcpy(ring + tail % RING_BYTES, header, sizeof(*header));
    move_tail(bytes);
}

static inline void publish_size(uint32_t size, uint64_t bytes)
{
    const struct fipc_header header = {
        .size = size, .kind = FIPC_KIND_REQUEST, .target = villains_echo};

    publish(&header, bytes);
}

static inline void record_larger_than_published(void) { publish_size(33, 32); }

static inline void record_larger_than_half_the_ring(void)
{
    publish_size(RING_BYTES / 2 + 1, RING_BYTES);
}

static inline void publish_kind(uint16_t kind)
{
    const struct fipc_header header = {.size = sizeof(header), .kind = kind};

    publish(&header, sizeof(header));
}

static inline void record_of_kind_zero(void) { publish_kind(FIPC_KIND_CORRUPT); }

static inline void record_that_is_a_reply(void) { publish_kind(FIPC_KIND_REPLY); }

/* Sends honest requests until the next record would start @left bytes before the end of the ring.
 */
static inline void go_to(uint64_t left)
{
    while (RING_BYTES - atomic_load(request_tail()) % RING_BYTES != left)
        ck_assert_int_eq(raw_call(&villain, villains_echo, NULL, 0), 0);
}

static inline void record_runs_past_the_end(void)
{
    go_to(64);
    publish_size(65, 96);
}

/* Every record in the ring is good, but there is one more of them than the ring holds. */
static inline void tail_moves_beyond_a_ring_of_good_records(void)
{
    const struct fipc_header good = {
        .size = sizeof(good), .kind = FIPC_KIND_REQUEST, .target = villains_echo};
    unsigned char *ring = fipc_region_request_ring(&villain.channel.region);

    for (size_t i = 0; i < RING_BYTES; i += sizeof(good))
        memcpy(ring + i, &good, sizeof(good));
    move_tail(RING_BYTES + sizeof(good));
}

static inline void send_while_frozen(void)
{
    uint64_t id;

    test_broker_freeze(&broker);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(raw_send_request(&villain, villains_echo, "hole", 4, &id), 0);
}

static inline void waiting_request_is_zeroed(void)
{
    send_while_frozen();
    memset(fipc_region_request_ring(&villain.channel.region), 0, RING_BYTES);
    test_broker_thaw(&broker);
}

static inline void send_control(const void *packet, size_t size)
{
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL, .id = 1};

    ck_assert_int_eq(raw_send_record(&villain, &header, packet, size), 0);
}

/* The wire form of a packet whose body is all zero. */
struct wire {
    struct fipc_control_header header;
    unsigned char body[512];
};

static struct wire wire;

static inline void make(unsigned type, size_t body_bytes)
{
    memset(&wire, 0, sizeof(wire));
    wire.header.magic = FIPC_CONTROL_MAGIC;
    wire.header.version = FIPC_CONTROL_VERSION;
    wire.header.type = (uint16_t)type;
    wire.header.size = (uint32_t)(sizeof(wire.header) + body_bytes);
}

static inline void send_made(void) { send_control(&wire, wire.header.size); }

static inline void control_of_an_unknown_type(void)
{
    make(FIPC_CONTROL_PIDFD + 1, 8);
    send_made();
}

static inline void goodbye_from_the_client(void)
{
    make(FIPC_CONTROL_GOODBYE, sizeof(struct fipc_farewell));
    send_made();
}

static inline void send_on_lane(const void *bytes, size_t size)
{
    ck_assert_int_eq(raw_send_bytes(&villain, bytes, size, NULL, 0), 0);
}

static inline void byte_on_the_lane(void) { send_on_lane("x", 1); }

#endif

/* SPDX-License-Identifier: MIT */
/* A client that waits for room is woken as soon as there is some, whichever thread reads for it; a
 * broker under the test's control makes the room. */
#include "tests/integration/client_fixture.h"
#include "tests/integration/fake_broker.h"

#include <stdatomic.h>
#include <sys/socket.h>

#define ROUNDS 15
#define TRIES 50

/*
 * A reader that was not woken looks by itself after 5 ms, or sleeps on, so that waking it cannot be
 * told from one round. Half of the rounds are this fast only if it is woken; a busy machine has
 * some tries.
 */
#define FAST_NS (4 * FIPC_NS_PER_MS)

/* The records that fill the ring, and the ones that have to wait then. */
static const unsigned char data[2000];
static const unsigned char last[sizeof(data) + 1];

static struct fake_broker fake;
static pthread_t answering;

static void *answer_first(void *arg)
{
    fake_accept(&fake);
    fake_welcome(&fake);
    fake_receive_request(&fake);
    fake_answer(&fake);
    return arg;
}

/* A session on which one call was made: from here on the test is the broker. */
static void set_up(void)
{
    fipc_options options = {.size = sizeof(options), .socket = fake.address.sun_path};

    note_holdings();
    fake_init(&fake, 1);
    answering = thread_start(answer_first, NULL);
    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    ck_assert_int_eq(echo(client, 10, 1), 0);
    thread_join(answering);
}

static void tear_down(void)
{
    close_client();
    fake_deinit(&fake);
    expect_same_holdings();
}

static int send_and_leave(unsigned flags)
{
    return fipc_call(client, "fipc.echo", data, sizeof(data), flags, 0, NULL);
}

static void fill_ring(void)
{
    int r;

    do
        r = send_and_leave(FIPC_NO_WAIT);
    while (r == -ETIMEDOUT);
    ck_assert_int_eq(r, -EAGAIN);
}

static void *call_without_room(void *arg)
{
    EXPECT(fipc_call(client, "fipc.echo", last, sizeof(last), 0, PATIENT_MS, NULL) == 0);
    return arg;
}

static uint32_t end_word(void)
{
    return atomic_load(&fipc_region_control(&fake.channel.region)->client.word);
}

static bool sleeps(void) { return end_word() != FIPC_END_AWAKE; }

static bool sleeps_for_room(void) { return (end_word() & FIPC_END_ROOM) != 0; }

static bool is_last(void) { return fake.payload_bytes == sizeof(last); }

/* Takes all that fills the ring, and answers the call that had to wait. */
static void make_room(void)
{
    do
        ck_assert(fake_receive(&fake));
    while (!is_last());
    fake_answer(&fake);
}

/* Return: how long it took from when a call slept for room until it was served */
static uint64_t one_round(void)
{
    pthread_t thread;
    uint64_t start_ns;

    fill_ring();
    thread = thread_start(call_without_room, NULL);
    TEST_WAIT_FOR(sleeps_for_room());
    start_ns = fipc_now_ns();
    make_room();
    thread_join(thread);
    return fipc_now_ns() - start_ns;
}

static bool most_rounds_are_fast(void)
{
    int n_fast = 0;

    for (int i = 0; i < ROUNDS; i++)
        n_fast += one_round() < FAST_NS;
    return n_fast > ROUNDS / 2;
}

GROUP(room, .timeout = 60, .fixtures = {{set_up, tear_down}});

TEST(who_waits_for_room_is_woken)
{
    int tries = 1;

    while (!most_rounds_are_fast())
        ck_assert_int_lt(tries++, TRIES);
}

static void *read_for_all(void *arg)
{
    EXPECT(fipc_call(client, "fipc.echo", "read", 4, 0, PATIENT_MS, NULL) == 0);
    return arg;
}

TEST(who_waits_for_room_is_woken_by_who_reads)
{
    pthread_t reader = thread_start(read_for_all, NULL);
    struct fipc_header question;
    int tries = 1;

    fake_receive_request(&fake);
    question = fake.header;
    TEST_WAIT_FOR(sleeps());
    while (!most_rounds_are_fast())
        ck_assert_int_lt(tries++, TRIES);
    fake.header = question;
    fake_answer(&fake);
    thread_join(reader);
}

TEST(reply_that_nobody_rang_for_counts_after_death)
{
    pthread_t thread = thread_start(call_without_room, NULL);
    struct fipc_header reply = {.kind = FIPC_KIND_REPLY};

    fake_receive_request(&fake);
    reply.id = fake.header.id;
    TEST_WAIT_FOR(sleeps());
    ck_assert_int_eq(fipc_producer_send(&fake.channel.out, &reply, NULL, 0), 0);
    ck_assert_int_eq(shutdown(fake.lane_fd, SHUT_RDWR), 0);
    thread_join(thread);
}

/* ---- a service without room ---- */

static void *send_loan(void *loan)
{
    EXPECT(fipc_send(loan, 0, PATIENT_MS, NULL) == 0);
    return NULL;
}

/* Each leaves a cancel behind. They are so short that next to nothing of the ring is skipped. */
#define OTHER_BYTES 400

static void send_other(void)
{
    int r = fipc_call(client, "fipc.echo", data, OTHER_BYTES, FIPC_NO_WAIT, 0, NULL);

    ck_assert_int_eq(r, -ETIMEDOUT);
}

static void take_other(void)
{
    do
        ck_assert(fake_receive(&fake));
    while (fake.payload_bytes != OTHER_BYTES);
}

/* Other calls use the room that the loan had, and the broker takes them. The ring is never empty:
 * its client would begin at its start again. */
static void go_round(void)
{
    send_other();
    for (size_t bytes = 0; bytes < 2 * FAKE_RING_BYTES; bytes += OTHER_BYTES) {
        send_other();
        take_other();
    }
    take_other();
}

static void expect_loan(void)
{
    do
        ck_assert(fake_receive(&fake));
    while (fake.payload_bytes != 512);
    ck_assert(pattern_matches(fake.payload, 512, 5));
}

static void give_back(const struct fipc_header *full)
{
    fake_send(&fake, full, NULL, 0);
    TEST_WAIT_FOR(fipc_producer_was_taken(&fake.channel.out, fake.channel.out.tail));
}

/* Others use the room before its caller learns that it was given back, or after. */
LOOP_TEST(loan_that_a_full_service_gave_back_is_sent_as_it_was, 2)
{
    static const struct fipc_control room = {.type = FIPC_CONTROL_ROOM};
    struct fipc_header full = {
        .kind = FIPC_KIND_REPLY, .status = -EAGAIN, .flags = FIPC_REPLY_NOT_DELIVERED};
    const unsigned char *place;
    fipc_message *loan;
    pthread_t thread;

    ck_assert_int_eq(fipc_loan(client, "fipc.echo", 512, &loan), 0);
    place = fipc_loan_data(loan);
    pattern_fill(fipc_loan_data(loan), 512, 5);
    thread = thread_start(send_loan, loan);
    expect_loan();
    full.id = fake.header.id;
    if (_i == 1)
        give_back(&full);
    go_round();
    ck_assert(!pattern_matches(place, 512, 5)); /* others wrote there */
    if (_i == 0)
        give_back(&full);
    fake_send_control(
        &fake, &(struct fipc_header){.kind = FIPC_KIND_CONTROL, .target = FAKE_TARGET}, &room);
    expect_loan();
    fake_answer(&fake);
    thread_join(thread);
}

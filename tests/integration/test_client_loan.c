/* SPDX-License-Identifier: MIT */
/* Requests that are filled in place, and the fate of their room. */
#include "tests/integration/serve_fixture.h"

#include <signal.h>

#define PAYLOAD_MAX 32736

static fipc_message *borrow(size_t size, uint64_t id)
{
    fipc_message *loan;

    ck_assert_int_eq(fipc_loan(client, "fipc.echo", size, &loan), 0);
    ck_assert_uint_eq(fipc_size(loan), size);
    ck_assert_ptr_eq(fipc_loan_data(loan), fipc_data(loan));
    ck_assert_uint_eq((uintptr_t)fipc_data(loan) % 16, 0);
    pattern_fill(fipc_loan_data(loan), size, id);
    return loan;
}

static void send_and_check(fipc_message *loan, size_t size, uint64_t id)
{
    fipc_message *reply;

    ck_assert_int_eq(fipc_send(loan, 0, PATIENT_MS, &reply), 0);
    ck_assert_uint_eq(fipc_size(reply), size);
    ck_assert(pattern_matches(fipc_data(reply), size, id));
    fipc_free(reply);
}

static const size_t sizes[] = {0, 1, 32, 100, 4096, 20000, PAYLOAD_MAX};

GROUP(loans, .timeout = 60, .fixtures = {{set_up_client, tear_down_client}});

LOOP_TEST(loan_carries_every_size, COUNT_OF(sizes))
{
    for (uint64_t i = 0; i < 5; i++)
        send_and_check(borrow(sizes[_i], i), sizes[_i], i);
}

TEST(loan_that_is_freed_leaves_its_room)
{
    for (uint64_t i = 0; i < 20; i++)
        fipc_free(borrow(PAYLOAD_MAX, i));
    send_and_check(borrow(PAYLOAD_MAX, 1), PAYLOAD_MAX, 1);
}

#define OPEN 30

TEST(loans_are_sent_in_any_order)
{
    fipc_message *loans[OPEN];

    for (uint64_t i = 0; i < OPEN; i++) /* more than the ring has room for */
        loans[i] = borrow(3000, i);
    for (uint64_t i = 0; i < OPEN; i++) {
        uint64_t at = i * 7 % OPEN;

        send_and_check(loans[at], 3000, at);
    }
}

LOOP_TEST(loan_that_others_overtake_is_sent_whole, COUNT_OF(sizes))
{
    fipc_message *loan = borrow(sizes[_i], 5);

    ck_assert_int_eq(echo(client, 1000, 1), 0);
    ck_assert_int_eq(echo(client, 1000, 2), 0);
    send_and_check(loan, sizes[_i], 5);
    ck_assert_int_eq(echo(client, PAYLOAD_MAX, 3), 0);
}

TEST(open_loan_stops_nobody)
{
    fipc_message *loan = borrow(100, 5);

    for (uint64_t i = 0; i < 300; i++) /* four rings full */
        ck_assert_int_eq(echo(client, 1000, i), 0);
    send_and_check(loan, 100, 5);
}

TEST(open_loan_keeps_the_session)
{
    fipc_message *loan = borrow(100, 1), *second = borrow(100, 2);

    close_client();
    send_and_check(loan, 100, 1);
    fipc_free(second);
}

TEST(loan_to_nobody_is_told_when_it_is_sent)
{
    fipc_message *loan, *untouched = (fipc_message *)&broker;

    ck_assert_int_eq(fipc_loan(client, "com.example.nobody", 10, &loan), 0);
    ck_assert_int_eq(fipc_send(loan, 0, PATIENT_MS, &untouched), -ENOENT);
    ck_assert_ptr_eq(untouched, &broker);
    ck_assert_int_eq(echo(client, PAYLOAD_MAX, 1), 0);
}

TEST(loan_without_room_is_lent_from_the_heap)
{
    fipc_message *loan;
    int r;

    ck_assert_int_eq(echo(client, 1, 1), 0);
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    do
        r = fipc_call(client, "fipc.echo", broker.folder, sizeof(broker.folder), FIPC_NO_WAIT, 0,
                      NULL);
    while (r == -ETIMEDOUT);
    ck_assert_int_eq(r, -EAGAIN);

    loan = borrow(PAYLOAD_MAX, 9);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
    send_and_check(loan, PAYLOAD_MAX, 9);
}

TEST(loan_outlives_its_broker)
{
    fipc_message *sent = borrow(PAYLOAD_MAX, 1), *freed = borrow(100, 2);

    test_broker_kill(&broker);
    test_broker_start(&broker, NULL);
    while (echo(client, 1, 1) < 0) /* a call may be lost with the old one */
        continue;

    ck_assert(pattern_matches(fipc_data(sent), PAYLOAD_MAX, 1));
    send_and_check(sent, PAYLOAD_MAX, 1);
    fipc_free(freed);
}

TEST(loan_of_a_dead_broker_can_be_freed_last)
{
    fipc_message *loan = borrow(100, 1);

    test_broker_kill(&broker);
    (void)delay(client, 1, 100); /* the library takes notice */
    close_client();
    fipc_free(loan);
}

/* ---- sent again ---- */

#define OTHERS 400 /* calls of 512 bytes: three rings full */

static void *send_lent(void *arg)
{
    fipc_message *loan;
    int *error = arg;

    EXPECT(fipc_loan(client, SERVICE, 512, &loan) == 0);
    pattern_fill(fipc_loan_data(loan), 512, 77);
    *error = fipc_send(loan, FIPC_IDEMPOTENT | FIPC_WAIT_SERVICE, PATIENT_MS, NULL);
    return NULL;
}

static void call_others(void)
{
    for (uint64_t i = 0; i < OTHERS; i++)
        ck_assert_int_eq(echo(client, 512, i), 0);
}

/* Answers the request that the worker was given at this place. */
static void answer_lent(int place)
{
    fipc_request *request;

    TEST_WAIT_FOR(keeper_count(&keeper) == place + 1);
    request = keeper.kept[place];
    ck_assert_uint_eq(fipc_request_size(request), 512);
    ck_assert(pattern_matches(fipc_request_data(request), 512, 77));
    ck_assert_int_eq(fipc_reply(request, NULL, 0), 0);
}

GROUP(again, .timeout = 60, .fixtures = {{set_up_services, tear_down_services}});

/* Its worker has it, other threads use its room, then the broker dies. */
TEST(idempotent_loan_is_sent_again_as_it_was)
{
    pthread_t thread;
    int error = 1;

    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS),
                     0); /* nothing else is sent before it */
    thread = thread_start(send_lent, &error);
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
    call_others();
    test_broker_kill(&broker);
    test_broker_start(&broker, NULL);
    answer_lent(1);
    thread_join(thread);
    ck_assert_int_eq(error, 0);
    ck_assert_int_eq(fipc_reply(keeper.kept[0], NULL, 0), -ECONNRESET);
}

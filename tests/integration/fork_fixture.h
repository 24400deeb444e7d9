/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_FORK_FIXTURE_H
#define FIPC_TESTS_FORK_FIXTURE_H

/* A parent with a session, a reply and two loans, which no child may disturb. */
#include "tests/integration/client_fixture.h"

#include <fipc/service.h>
#include <stdatomic.h>

/* What a child inherits beside the session. */
static fipc_message *reply, *loan_in_ring, *loan_on_heap;

/* How often the parent calls; one of its sleeps lasts 5 ms if it is not woken. Most of them are
 * this fast only if it is; a busy machine has some tries. */
#define ROUNDS 9
#define FAST_NS (5 * FIPC_NS_PER_MS)
#define TRIES 50

static inline bool most_calls_are_fast(void)
{
    int n_fast = 0;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start_ns = fipc_now_ns();

        ck_assert_int_eq(delay(client, 2, PATIENT_MS), 0);
        n_fast += fipc_now_ns() - start_ns < FAST_NS;
    }
    return n_fast > ROUNDS / 2;
}

static inline void expect_fast_calls(void)
{
    int tries = 1;

    while (!most_calls_are_fast())
        ck_assert_int_lt(tries++, TRIES);
}

/* A session that was lost would be another one by now, with other fds and another region. */
static char held_before[16384];

static inline void expect_parent_undisturbed(void)
{
    char held[16384];

    expect_fast_calls();
    list_holdings(held, sizeof(held));
    ck_assert_str_eq(held, held_before);
}

static inline void *sleep_on_lane(void *arg)
{
    (void)arg;
    EXPECT(delay(client, 50, PATIENT_MS) == 0);
    return NULL;
}

static inline void set_up(void)
{
    set_up_client();
    thread_join(thread_start(sleep_on_lane, NULL)); /* the session has all its fds from here on */
    ck_assert_int_eq(fipc_call(client, "fipc.echo", "reply", 5, 0, PATIENT_MS, &reply), 0);
    /* one at a time has its room in the ring */
    ck_assert_int_eq(fipc_loan(client, "fipc.echo", 100, &loan_in_ring), 0);
    ck_assert_int_eq(fipc_loan(client, "fipc.echo", 100, &loan_on_heap), 0);
    pattern_fill(fipc_loan_data(loan_in_ring), 100, 1);
    pattern_fill(fipc_loan_data(loan_on_heap), 100, 2);
    list_holdings(held_before, sizeof(held_before));
}

static inline void send_loan(fipc_message *loan, uint64_t id)
{
    fipc_message *echoed;

    ck_assert(pattern_matches(fipc_data(loan), 100, id));
    ck_assert_int_eq(fipc_send(loan, 0, PATIENT_MS, &echoed), 0);
    ck_assert(pattern_matches(fipc_data(echoed), 100, id));
    fipc_free(echoed);
}

/* After all that children did the parent goes on with what it has. */
static inline void tear_down(void)
{
    expect_parent_undisturbed();
    send_loan(loan_in_ring, 1);
    send_loan(loan_on_heap, 2);
    ck_assert_mem_eq(fipc_data(reply), "reply", 5);
    fipc_free(reply);
    tear_down_client();
}

/* A child that waits for a lock for ever ends anyhow, and is seen to. */
static inline pid_t fork_child(void)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        (void)alarm(PATIENT_MS / 1000);
    return pid;
}

static _Atomic int n_ended;

static inline void note_end(int error, const fipc_message *message, void *userdata)
{
    (void)message;
    (void)userdata;
    EXPECT(error == 0);
    atomic_fetch_add(&n_ended, 1);
}

static fipc_request *kept;

static inline void keep(fipc_request *request, void *userdata)
{
    (void)userdata;
    kept = request;
}

static inline void expect_unusable(void)
{
    fipc_message *untouched = NULL;

    EXPECT(fipc_call(client, "fipc.echo", "x", 1, 0, PATIENT_MS, &untouched) == -ECHILD);
    EXPECT(fipc_call(client, "fipc.echo", "x", 1, FIPC_NO_WAIT, 0, NULL) == -ECHILD);
    EXPECT(fipc_loan(client, "fipc.echo", 1, &untouched) == -ECHILD);
    EXPECT(untouched == NULL);
    EXPECT(fipc_wait(client, "fipc.echo", 0) == -ECHILD);
    EXPECT(fipc_submit(client, "fipc.echo", "x", 1, 0, 1, note_end, NULL, NULL) == -ECHILD);
    EXPECT(fipc_cancel(client, 1) == -ECHILD);
    EXPECT(fipc_fd(client) == -ECHILD);
    EXPECT(fipc_dispatch(client, -1) == -ECHILD);
    EXPECT(fipc_serve(client, "com.example.child", 1, keep, NULL) == -ECHILD);
}

static inline void release_all(void)
{
    fipc_free(reply);
    fipc_free(loan_in_ring);
    fipc_free(loan_on_heap);
    fipc_unref(client);
}

static inline void connect_anew(void)
{
    const fipc_options options = options_for_broker();
    fipc_client *own;

    EXPECT(fipc_connect(&own, &options) == 0);
    EXPECT(echo(own, 100, 1) == 0);
    fipc_unref(own);
    EXPECT(fipc_call_once(&options, "fipc.ping", NULL, 0, PATIENT_MS, NULL) == 0);
}

#endif

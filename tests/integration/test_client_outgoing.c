/* SPDX-License-Identifier: MIT */
/* Calls that wait in the client: they keep their order, and hold up no call to another service. */
#include "tests/integration/outgoing_fixture.h"
#include "tests/suite.h"

#include <sys/stat.h>

#define SUBMITTED_MAX 960 /* that are open at once: of 1024, some are left to callers who wait */

static void expect_kept_in_order(int count)
{
    while (keeper_count(&keeper) < count)
        ck_assert_int_ge(fipc_dispatch(client, 1), 0);
    for (int i = 0; i < count; i++)
        ck_assert_mem_eq(fipc_request_data(keeper.kept[i]), &i, sizeof(i));
}

/* ---- order ---- */

GROUP(outgoing, .timeout = 60, .fixtures = {{set_up_calls, tear_down_calls}});

TEST(calls_that_came_back_keep_their_order)
{
    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    ck_assert_int_eq(fipc_call(client, SERVICE, NULL, 0, 0, PATIENT_MS, NULL), 0);
    server_stop(&server);
    TEST_WAIT_FOR(reported("slots.taken") == 1);
    server_start_with(&server, SERVICE, 100, handle_keep, &keeper);
    submit_numbered(0, 50, 0); /* all with a number of the name that is not valid any more */
    expect_kept_in_order(50);
    answer_kept(50);
    dispatch_until(50);
}

TEST(calls_that_a_broker_did_not_take_keep_their_order)
{
    server_start_with(&server, SERVICE, 100, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    test_broker_freeze(&broker);
    submit_numbered(0, 50, FIPC_WAIT_SERVICE);
    test_broker_kill(&broker);
    test_broker_start(&broker, NULL);
    expect_kept_in_order(50);
    answer_kept(50);
    dispatch_until(50);
}

/* ---- room ---- */

TEST(largest_call_waits_without_a_look)
{
    static const char data[32768];
    size_t largest = sizeof(data);
    int n;

    while (submit(0, "fipc.echo", data, largest, 0, PATIENT_MS) == -EMSGSIZE)
        largest--;
    dispatch_until(1);
    n_ended = 0;
    test_broker_freeze(&broker);
    n = fill_ring("fipc.echo");
    ck_assert_int_eq(submit(n, "fipc.echo", data, largest, 0, PATIENT_MS), 0);
    ck_assert_int_eq(fipc_dispatch(client, 0), 0);
    ck_assert(!is_readable(20));
    test_broker_thaw(&broker);
    dispatch_until(n + 1);
    ck_assert_int_eq(errors[n], 0);
}

TEST(wish_for_room_ends_with_its_call)
{
    uint64_t id;
    int n;

    ck_assert_int_eq(fipc_wait(client, "fipc.echo", PATIENT_MS), 0);
    test_broker_freeze(&broker);
    n = fill_ring("fipc.echo");
    ck_assert_int_eq(fipc_submit(client, "fipc.echo", filling, sizeof(filling), 0, PATIENT_MS,
                                 note_end, &errors[n], &id),
                     0);
    ck_assert_int_eq(fipc_cancel(client, id), 0);
    dispatch_until(1);
    ck_assert_int_eq(errors[n], -ECANCELED);
    test_broker_thaw(&broker);
    dispatch_until(n + 1);
    ck_assert_int_eq(fipc_dispatch(client, 0), 0);
    ck_assert(!is_readable(20));
}

LOOP_TEST(question_goes_out_when_there_is_room, 2)
{
    int n;

    server_start_with(&server, SERVICE, 4096, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    test_broker_freeze(&broker);
    n = fill_ring(SERVICE);
    ck_assert_int_eq(submit(n, "fipc.echo", "x", 1, 0, PATIENT_MS), 0);
    test_broker_thaw(&broker);
    if (_i == 0) {
        dispatch_until(1); /* none of the others is answered */
    } else {
        while (n_ended == 0) {
            ck_assert(is_readable(PATIENT_MS));
            ck_assert_int_ge(fipc_dispatch(client, 0), 0);
        }
    }
    ck_assert_int_eq(order[0], n);
    ck_assert_int_eq(errors[n], 0);
    answer_kept(n);
}

static void *serve_in_background(void *arg)
{
    EXPECT(fipc_serve(client, SERVICE ".other", 1, handle_echo, NULL) == 0);
    return arg;
}

TEST(name_to_be_served_goes_out_when_there_is_room)
{
    pthread_t thread;
    int n;

    server_start_with(&server, SERVICE, 4096, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    test_broker_freeze(&broker);
    n = fill_ring(SERVICE);
    thread = thread_start(serve_in_background, NULL);
    ck_assert(!is_readable(20));
    test_broker_thaw(&broker);
    thread_join(thread);
    answer_kept(n);
}

TEST(cancels_go_out_when_there_is_room)
{
    uint64_t ids[100];
    int n = 0, r;

    ck_assert_int_eq(fipc_wait(client, "fipc.delay", PATIENT_MS), 0);
    do {
        r = fipc_submit(client, "fipc.delay", "30000", 5, FIPC_NO_WAIT, -1, note_end, &errors[n],
                        &ids[n]);
        ck_assert_int_eq(r, 0);
    } while (++n < 50);
    wait_until_taken(50);
    test_broker_freeze(&broker);
    (void)fill_ring("fipc.delay"); /* these are no times: answered by an error */
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(fipc_cancel(client, ids[i]), 0);
    test_broker_thaw(&broker);
    while (fipc_dispatch(client, 10) > 0)
        ;
    wait_until_taken(0);
}

/* ---- too many open calls ---- */

static void dispatch_until_taken(int count)
{
    struct test_witness witness;

    test_witness_open(&witness, &broker);
    while (test_witness_number(&witness, "handlers.live") < count + 1)
        ck_assert_int_eq(fipc_dispatch(client, 1), 0);
    test_witness_close(&witness);
}

TEST(client_calls_itself_as_often_as_it_likes)
{
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_echo, NULL), 0);
    submit_numbered(0, CALLS, 0);
    dispatch_until(CALLS);
    expect_each_ended_once(CALLS, 0);
}

TEST(too_many_calls_are_in_nobodys_way)
{
    uint64_t id = 7, first;
    int i;

    ck_assert_int_eq(fipc_wait(client, "fipc.echo", PATIENT_MS), 0);
    ck_assert_int_eq(
        fipc_submit(client, "fipc.delay", "20000", 5, 0, PATIENT_MS, note_end, &errors[0], &first),
        0);
    for (i = 1; i < CALLS / 2; i++)
        ck_assert_int_eq(submit(i, "fipc.delay", "20000", 5, 0, PATIENT_MS), 0);
    dispatch_until_taken(SUBMITTED_MAX);
    ck_assert_int_eq(fipc_submit(client, "fipc.delay", "1", 1, FIPC_NO_WAIT, PATIENT_MS, note_end,
                                 &errors[i], &id),
                     -EAGAIN);
    ck_assert_uint_eq(id, 7);
    ck_assert_int_eq(submit(i, "fipc.echo", NULL, 0, FIPC_NO_WAIT, PATIENT_MS), -EAGAIN);
    ck_assert_int_eq(fipc_call(client, "fipc.delay", "1", 1, FIPC_NO_WAIT, PATIENT_MS, NULL),
                     -EAGAIN);
    ck_assert_int_eq(fipc_dispatch(client, 0), 0);
    ck_assert(!is_readable(20));
    ck_assert_int_eq(fipc_call(client, "fipc.echo", NULL, 0, 0, PATIENT_MS, NULL), 0);
    ck_assert_int_eq(fipc_cancel(client, first), 0);
    ck_assert_int_eq(fipc_dispatch(client, PATIENT_MS), 1);
}

TEST(one_service_is_not_in_the_way_of_others)
{
    int i, answered;

    server_start_with(&server, SERVICE, 4096, handle_keep, &keeper);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    for (i = 0; i < CALLS / 2; i++)
        ck_assert_int_eq(submit(i, SERVICE, NULL, 0, 0, PATIENT_MS), 0);
    while (keeper_count(&keeper) < SUBMITTED_MAX)
        ck_assert_int_eq(fipc_dispatch(client, 1), 0);
    ck_assert_int_eq(submit(i, "fipc.echo", NULL, 0, 0, PATIENT_MS), 0);
    for (answered = 0; ends[i] == 0 && answered < 20; answered++) {
        ck_assert_int_eq(fipc_reply(keeper.kept[answered], NULL, 0), 0);
        ck_assert_int_ge(fipc_dispatch(client, PATIENT_MS), 1);
    }
    ck_assert_int_eq(ends[i], 1);
    for (int k = answered; k < CALLS / 2; k++) {
        while (keeper_count(&keeper) <= k)
            ck_assert_int_ge(fipc_dispatch(client, 1), 0);
        ck_assert_int_eq(fipc_reply(keeper.kept[k], NULL, 0), 0);
    }
}

TEST(waits_for_services_are_not_in_the_way_of_others)
{
    char service[32];
    int i;

    for (i = 0; i < CALLS / 2; i++) {
        (void)snprintf(service, sizeof(service), "com.example.n%d", i);
        ck_assert_int_eq(submit(i, service, NULL, 0, FIPC_WAIT_SERVICE, -1), 0);
    }
    ck_assert_int_eq(submit(i, "fipc.echo", NULL, 0, 0, PATIENT_MS), 0);
    dispatch_until(1);
    ck_assert(ends[i] == 1 && errors[i] == 0);
    (void)snprintf(service, sizeof(service), "com.example.n%d", 0);
    server_start_with(&server, service, 1, handle_echo, NULL);
    dispatch_until(2);
    ck_assert(ends[0] == 1 && errors[0] == 0);
}

TEST(open_calls_are_not_in_the_way_of_waits_for_services)
{
    const int open = SUBMITTED_MAX - 100;
    uint64_t id;

    for (int i = 0; i < SUBMITTED_MAX; i++) {
        ck_assert_int_eq(fipc_submit(client, "com.example.nobody", NULL, 0, FIPC_WAIT_SERVICE, -1,
                                     note_end, &errors[i], &id),
                         0);
        ck_assert_int_eq(fipc_cancel(client, id), 0);
    }
    dispatch_until(SUBMITTED_MAX);
    n_ended = 0;
    for (int i = 0; i < open; i++)
        ck_assert_int_eq(submit(i, "fipc.delay", "20000", 5, 0, PATIENT_MS), 0);
    dispatch_until_taken(open);
    ck_assert_int_eq(submit(open, "fipc.echo", NULL, 0, FIPC_WAIT_SERVICE, PATIENT_MS), 0);
    ck_assert_int_eq(submit(open + 1, "com.example.nobody", NULL, 0, FIPC_WAIT_SERVICE, -1), 0);
    dispatch_until(1);
    ck_assert(order[0] == open && errors[open] == 0);
    dispatch_until_taken(open + 1);
}

TEST(cancelled_wait_for_a_service_is_told)
{
    uint64_t id;

    ck_assert_int_eq(fipc_submit(client, "com.example.nobody", NULL, 0, FIPC_WAIT_SERVICE, -1,
                                 note_end, &errors[0], &id),
                     0);
    wait_until_taken(1);
    ck_assert_int_eq(fipc_cancel(client, id), 0);
    wait_until_taken(0);
    dispatch_until(1);
    ck_assert_int_eq(errors[0], -ECANCELED);
}

TEST(who_does_not_wait_for_a_service_is_told_at_once)
{
    ck_assert_int_eq(submit(0, SERVICE, NULL, 0, FIPC_WAIT_SERVICE, PATIENT_MS), 0);
    wait_until_taken(1);
    ck_assert_int_eq(submit(1, SERVICE, NULL, 0, 0, PATIENT_MS), 0);
    ck_assert_int_eq(submit(2, SERVICE, NULL, 0, FIPC_NO_WAIT, PATIENT_MS), 0);
    dispatch_until(2);
    ck_assert(errors[1] == -ENOENT && errors[2] == -ENOENT);
    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    dispatch_until(3);
    ck_assert_int_eq(errors[0], 0);
}

/* ---- places ---- */

#define STRANGER 60010
#define STRANGERS_MAX 60 /* of 64 places, some are left to callers who wait */

static void set_up_stranger(void)
{
    set_up_folder();
    start_with_config("{\"control\": {\"mode\": \"0666\"}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    ck_assert_int_eq(seteuid(STRANGER), 0);
    open_client();
    ck_assert_int_eq(seteuid(0), 0);
    n_ended = 0;
}

GROUP(places, .timeout = 60, .fixtures = {{set_up_stranger, tear_down_client}},
      .needs_root = "be two users");

TEST(call_that_finds_no_place_waits_for_an_end)
{
    uint64_t first;

    ck_assert_int_eq(fipc_wait(client, "fipc.delay", PATIENT_MS), 0);
    ck_assert_int_eq(fipc_submit(client, "fipc.delay", "60000", 5, FIPC_NO_WAIT, -1, note_end,
                                 &errors[0], &first),
                     0);
    for (int i = 1; i < STRANGERS_MAX; i++)
        ck_assert_int_eq(submit(i, "fipc.delay", "60000", 5, FIPC_NO_WAIT, -1), 0);
    ck_assert_int_eq(submit(CALLS, "fipc.delay", "1", 1, FIPC_NO_WAIT, -1), -EAGAIN);
    ck_assert_int_eq(submit(STRANGERS_MAX, "fipc.delay", "1", 1, 0, -1), 0);
    ck_assert_int_eq(echo(client, 10, 1), 0); /* has a place that was left for it */
    ck_assert_int_eq(n_ended, 0);

    ck_assert_int_eq(fipc_cancel(client, first), 0);
    dispatch_until(2);
    ck_assert(order[0] == 0 && errors[0] == -ECANCELED);
    ck_assert(order[1] == STRANGERS_MAX && errors[STRANGERS_MAX] == 0);
}

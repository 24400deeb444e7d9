/* SPDX-License-Identifier: MIT */
/* Callers, workers and brokers that die or do not answer; clients that wait for a service. */
#include "tests/integration/serve_fixture.h"
#include "tests/suite.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- handlers that do not answer ---- */

GROUP(lost, .timeout = 60, .fixtures = {{set_up_services, tear_down_services}});

TEST(call_that_is_never_answered_ends_in_time)
{
    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    ck_assert_int_eq(call(0, 50), -ETIMEDOUT);
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
    TEST_WAIT_FOR(fipc_request_is_cancelled(keeper.kept[0]));
    ck_assert_int_eq(call(0, 50), -ETIMEDOUT);     /* it is still busy with the first one */
    TEST_WAIT_FOR(reported("handlers.live") == 1); /* the broker has given it up, too */
    ck_assert_int_eq(fipc_reply(keeper.kept[0], "late", 4), 0);
    TEST_WAIT_FOR(reported("deliveries.late_replies") == 1);
    ck_assert_int_eq(keeper_count(&keeper), 1);
}

TEST(worker_sees_that_its_caller_is_gone)
{
    struct background_call call;
    fipc_client *caller = client;
    const fipc_options options = options_for_broker();

    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    background_start(&call, SERVICE, 0, 200);
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
    ck_assert(!fipc_request_is_cancelled(keeper.kept[0]));
    ck_assert_int_eq(background_join(&call), -ETIMEDOUT);
    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    fipc_unref(caller);
    TEST_WAIT_FOR(fipc_request_is_cancelled(keeper.kept[0]));
    ck_assert_int_eq(fipc_peer_pidfd(keeper.kept[0]), -ESRCH);
    ck_assert_int_eq(fipc_reply(keeper.kept[0], NULL, 0), 0);
}

TEST(pidfd_is_that_of_the_caller)
{
    struct background_call call;
    struct pollfd alive = {.events = POLLIN};
    pid_t child;
    int status;

    server_start_with(&server, SERVICE, 2, handle_keep, &keeper);
    child = fork();
    if (child == 0) {
        const fipc_options options = options_for_broker();

        _exit(fipc_call_once(&options, SERVICE, NULL, 0, PATIENT_MS, NULL) == 0 ? 0 : 1);
    }
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
    ck_assert_int_eq(fipc_peer_of(keeper.kept[0])->pid, child);
    alive.fd = fipc_peer_pidfd(keeper.kept[0]);
    ck_assert_int_ge(alive.fd, 0);
    ck_assert_int_eq(poll(&alive, 1, 0), 0);
    ck_assert_int_eq(fipc_reply(keeper.kept[0], NULL, 0), 0);
    ck_assert_int_eq(poll(&alive, 1, PATIENT_MS), 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    (void)close(alive.fd);
    background_start(&call, SERVICE, 0, PATIENT_MS);
    TEST_WAIT_FOR(keeper_count(&keeper) == 2);
    ck_assert_int_eq(fipc_reply(keeper.kept[1], NULL, 0), 0);
    ck_assert_int_eq(background_join(&call), 0);
}

static void *look_again_and_again(void *arg)
{
    struct server *looking = arg;

    while (!atomic_load(&looking->stops))
        EXPECT(fipc_dispatch(looking->client, 0) == 0);
    return NULL;
}

/* Its packet lies in the lane, which the others look into. */
TEST(pidfd_comes_while_others_dispatch)
{
    struct background_call call;
    struct server looking = {.client = NULL};

    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    background_start(&call, SERVICE, 0, PATIENT_MS);
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
    (void)fipc_fd(server.client);
    looking.client = server.client;
    looking.thread = thread_start(look_again_and_again, &looking);
    for (int i = 0; i < 300; i++) {
        int fd = fipc_peer_pidfd(keeper.kept[0]);

        ck_assert_int_ge(fd, 0);
        (void)close(fd);
    }
    atomic_store(&looking.stops, true);
    thread_join(looking.thread);
    ck_assert_int_eq(fipc_reply(keeper.kept[0], NULL, 0), 0);
    ck_assert_int_eq(background_join(&call), 0);
}

static struct background_call calls[2];

static void expect_pidfd(const fipc_request *request)
{
    int fd = fipc_peer_pidfd(request);

    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

/* The byte that tells of the second call lies in the lane when it asks again. */
static void handle_with_pidfds(fipc_request *request, void *userdata)
{
    struct pollfd fd = {.fd = fipc_fd(server.client), .events = POLLIN};

    expect_pidfd(request);
    if (calls[1].service == NULL) {
        background_start(&calls[1], SERVICE, 0, PATIENT_MS);
        ck_assert_int_eq(poll(&fd, 1, PATIENT_MS), 1);
        expect_pidfd(request);
    }
    ck_assert_int_eq(fipc_reply(request, NULL, 0), 0);
    ++*(int *)userdata;
}

TEST(pidfd_comes_whatever_lies_in_the_lane)
{
    const fipc_options options = options_for_broker();
    int n_handled = 0;

    calls[1].service = NULL;
    ck_assert_int_eq(fipc_connect(&server.client, &options), 0);
    ck_assert_int_eq(fipc_serve(server.client, SERVICE, 2, handle_with_pidfds, &n_handled), 0);
    background_start(&calls[0], SERVICE, 0, PATIENT_MS);
    while (n_handled < 2)
        ck_assert_int_ge(fipc_dispatch(server.client, PATIENT_MS), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(background_join(&calls[i]), 0);
    fipc_unref(server.client);
    server.client = NULL;
}

/* ---- death ---- */

static void die_with_a_request(unsigned flags, struct background_call *call)
{
    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    background_start(call, SERVICE, flags, PATIENT_MS);
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
}

/* Its lane hangs up as if its process had died. */
static void lose_worker(void)
{
    pid_t child = fork();

    if (child == 0) {
        const fipc_options options = options_for_broker();
        fipc_client *worker;

        if (fipc_connect(&worker, &options) == 0 &&
            fipc_serve(worker, SERVICE, 1, handle_keep, &keeper) == 0) {
            while (keeper.count == 0)
                (void)fipc_dispatch(worker, -1);
        }
        _exit(0);
    }
    ck_assert_int_gt(child, 0);
}

TEST(request_of_a_worker_that_died_has_an_unknown_outcome)
{
    ck_assert_int_eq(fipc_wait(client, SERVICE, 0), -ETIMEDOUT);
    lose_worker();
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    ck_assert_int_eq(call(0, PATIENT_MS), -ECONNRESET);
    ck_assert_int_eq(call(0, PATIENT_MS), -ENOENT);
    (void)wait(NULL);
}

TEST(idempotent_request_of_a_worker_that_died_goes_to_another)
{
    lose_worker();
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    server_start_with(&server, SERVICE, 1, handle_echo, &server);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(call(FIPC_IDEMPOTENT, PATIENT_MS), 0);
    ck_assert_int_eq(atomic_load(&server.requests), 4);
    (void)wait(NULL);
}

/* ---- waiting ---- */

static void *wait_for_it(void *arg)
{
    *(int *)arg = fipc_wait(client, SERVICE, PATIENT_MS);
    return NULL;
}

TEST(wait_ends_when_somebody_serves)
{
    pthread_t threads[4];
    int results[4];

    ck_assert_int_eq(fipc_wait(client, "fipc.echo", PATIENT_MS), 0);
    ck_assert_int_eq(fipc_wait(client, SERVICE, 30), -ETIMEDOUT);
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start(wait_for_it, &results[i]);
    TEST_WAIT_FOR(reported("handlers.live") == 5); /* the report's own too */
    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    for (int i = 0; i < 4; i++) {
        thread_join(threads[i]);
        ck_assert_int_eq(results[i], 0);
    }
}

TEST(call_waits_for_its_service_if_it_likes)
{
    struct background_call call;

    ck_assert_int_eq(fipc_call(client, SERVICE, "data", 4, 0, PATIENT_MS, NULL), -ENOENT);
    background_start(&call, SERVICE, FIPC_WAIT_SERVICE, PATIENT_MS);
    TEST_WAIT_FOR(reported("handlers.live") == 2);
    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    ck_assert_int_eq(background_join(&call), 0);
}

/* Each time it is another worker, and another target. */
TEST(worker_that_leaves_and_comes_back_is_not_noticed)
{
    for (int i = 0; i < 20; i++) {
        struct background_call call;

        if (i % 2 == 0)
            background_start(&call, SERVICE, FIPC_WAIT_SERVICE, PATIENT_MS);
        server_start_with(&server, SERVICE, 1, handle_echo, NULL);
        if (i % 2 != 0)
            background_start(&call, SERVICE, FIPC_WAIT_SERVICE, PATIENT_MS);
        ck_assert_int_eq(background_join(&call), 0);
        server_stop(&server);
    }
}

/* ---- the broker's death ---- */

TEST(names_are_served_again_by_the_next_broker)
{
    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    ck_assert_int_eq(fipc_serve(server.client, SERVICE ".two", 1, handle_echo, NULL), 0);
    for (int i = 0; i < 3; i++) {
        test_broker_kill(&broker);
        test_broker_start(&broker, NULL);
        ck_assert_int_eq(call(FIPC_WAIT_SERVICE, PATIENT_MS), 0);
        ck_assert_int_eq(
            fipc_call(client, SERVICE ".two", "x", 1, FIPC_WAIT_SERVICE, PATIENT_MS, NULL), 0);
    }
}

TEST(answer_over_a_connection_that_was_lost_reaches_nobody)
{
    struct background_call call;

    die_with_a_request(0, &call);
    test_broker_kill(&broker);
    ck_assert_int_eq(background_join(&call), -ECONNRESET);
    TEST_WAIT_FOR(fipc_request_is_cancelled(keeper.kept[0]));
    test_broker_start(&broker, NULL);
    ck_assert_int_eq(fipc_wait(client, SERVICE, PATIENT_MS), 0);
    ck_assert_int_eq(fipc_reply(keeper.kept[0], "late", 4), -ECONNRESET);
    ck_assert_int_eq(reported("deliveries.unknown_replies"), 0);
}

/* SPDX-License-Identifier: MIT */
/* Requests to a service, and the answers that it may give. */
#include "tests/integration/serve_fixture.h"
#include "tests/suite.h"

#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- answers ---- */

static const size_t sizes[] = {0, 1, 15, 4000, 30000};

GROUP(answers, .timeout = 60, .fixtures = {{set_up_services, tear_down_services}});

LOOP_TEST(request_and_reply_arrive_byte_for_byte, COUNT_OF(sizes))
{
    unsigned char data[32768];
    fipc_message *reply;

    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    pattern_fill(data, sizes[_i], 7);
    ck_assert_int_eq(fipc_call(client, SERVICE, data, sizes[_i], 0, PATIENT_MS, &reply), 0);
    ck_assert_uint_eq(fipc_size(reply), sizes[_i]);
    ck_assert(pattern_matches(fipc_data(reply), sizes[_i], 7));
    fipc_free(reply);
}

static void handle_who(fipc_request *request, void *userdata)
{
    const fipc_peer *peer = fipc_peer_of(request);
    char text[256];
    int length = snprintf(text, sizeof(text), "%u %u %d:", peer->uid, peer->gid, peer->pid);

    (void)userdata;
    for (size_t i = 0; i < peer->n_groups; i++)
        length += snprintf(text + length, sizeof(text) - (size_t)length, " %u", peer->groups[i]);
    EXPECT(fipc_reply(request, text, (size_t)length) == 0);
}

/* In a process with credentials of its own. */
static void ask_who(void)
{
    const fipc_options options = options_for_broker();
    const gid_t groups[] = {60011, 60012, 60013};
    char expected[128];
    fipc_message *reply;

    if (setgroups(3, groups) < 0 || setresgid(60010, 60010, 60010) < 0 ||
        setresuid(60009, 60009, 60009) < 0)
        _exit(2);
    (void)snprintf(expected, sizeof(expected), "60009 60010 %d: 60011 60012 60013", getpid());
    if (fipc_call_once(&options, SERVICE, NULL, 0, PATIENT_MS, &reply) != 0)
        _exit(3);
    _exit(fipc_size(reply) == strlen(expected) &&
                  memcmp(fipc_data(reply), expected, strlen(expected)) == 0
              ? 0
              : 4);
}

static void start_for_everybody(void)
{
    set_up_folder();
    keeper = KEEPER_EMPTY;
    server.client = other.client = NULL;
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    start_with_config("{\"control\": {\"mode\": \"0666\"}}");
    open_client();
}

GROUP(everybody, .timeout = 60, .fixtures = {{start_for_everybody, tear_down_services}});

TEST(handler_knows_who_called)
{
    pid_t child;

    if (geteuid() != 0) {
        (void)puts("SKIP: only root can give a caller credentials of its own");
        return;
    }
    server_start_with(&server, SERVICE, 1, handle_who, NULL);
    child = fork();
    if (child == 0)
        ask_who();
    ck_assert_int_eq(wait_for_exit(child), 0);
}

TEST(stranger_may_not_serve)
{
    pid_t child;

    if (geteuid() != 0) {
        (void)puts("SKIP: only root can make a stranger");
        return;
    }
    child = fork();
    if (child == 0) {
        const fipc_options options = options_for_broker();
        fipc_client *stranger;

        if (setgroups(0, NULL) < 0 || setresgid(60010, 60010, 60010) < 0 ||
            setresuid(60009, 60009, 60009) < 0 || fipc_connect(&stranger, &options) != 0)
            _exit(2);
        _exit(fipc_serve(stranger, SERVICE, 1, handle_echo, NULL) == -EACCES ? 0 : 3);
    }
    ck_assert_int_eq(wait_for_exit(child), 0);
}

GROUP(more_answers, .timeout = 60, .fixtures = {{set_up_services, tear_down_services}});

TEST(answer_may_come_later_from_another_thread)
{
    struct background_call calls[3];

    server_start_with(&server, SERVICE, 3, handle_keep, &keeper);
    for (int i = 0; i < 3; i++)
        background_start(&calls[i], SERVICE, 0, PATIENT_MS);
    TEST_WAIT_FOR(keeper_count(&keeper) == 3);
    ck_assert_int_eq(fipc_reply(keeper.kept[2], NULL, 0), 0);
    ck_assert_int_eq(fipc_reply_error(keeper.kept[0], ENOSPC), 0);
    ck_assert_int_eq(fipc_reply_error(keeper.kept[1], -ENOSPC), 0);
    ck_assert_int_eq(background_join(&calls[0]) + background_join(&calls[1]) +
                         background_join(&calls[2]),
                     -2 * ENOSPC);
}

TEST(client_that_is_let_go_serves_no_more)
{
    struct background_call call;

    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    background_start(&call, SERVICE, 0, PATIENT_MS);
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
    server_stop(&server);
    ck_assert_int_eq(background_join(&call), -ECONNRESET);
    ck_assert_int_eq(fipc_call(client, SERVICE, NULL, 0, 0, PATIENT_MS, NULL), -ENOENT);
    ck_assert(fipc_request_is_cancelled(keeper.kept[0]));
    ck_assert_mem_eq(fipc_request_data(keeper.kept[0]), "data", 4);
    ck_assert_int_eq(fipc_reply(keeper.kept[0], "late", 4), -ECONNRESET);
}

/* ---- what is not allowed ---- */

TEST(no_worker_takes_more_than_so_many_at_once)
{
    ck_assert_int_eq(fipc_serve(client, SERVICE, 4097, handle_echo, NULL), -EINVAL);
    ck_assert_int_eq(fipc_serve(client, SERVICE, 4096, handle_echo, NULL), 0);
}

static const struct {
    const char *name;
    int error;
} bad_names[] = {
    {NULL, -EINVAL},   {"", -EINVAL},    {".a", -EINVAL},     {"a.", -EINVAL},
    {"a..b", -EINVAL}, {"a b", -EINVAL}, {"a/b", -EINVAL},    {"a\xc3\xa9", -EINVAL},
    {"a\n", -EINVAL},  {"*", -EINVAL},   {"fipc.x", -EACCES}, {"fipc.echo", -EACCES},
};

LOOP_TEST(bad_name_is_not_served, COUNT_OF(bad_names))
{
    ck_assert_int_eq(fipc_serve(client, bad_names[_i].name, 1, handle_echo, NULL),
                     bad_names[_i].error);
    if (bad_names[_i].error == -EINVAL) {
        ck_assert_int_eq(fipc_call(client, bad_names[_i].name, NULL, 0, 0, 0, NULL), -EINVAL);
        ck_assert_int_eq(fipc_wait(client, bad_names[_i].name, 0), -EINVAL);
    }
    ck_assert_int_eq(echo(client, 3, 1), 0);
}

TEST(name_is_served_once_by_each_client)
{
    server_start_with(&server, SERVICE, 1, handle_echo, NULL);
    ck_assert_int_eq(fipc_serve(server.client, SERVICE, 1, handle_echo, NULL), -EEXIST);
    server_start_with(&other, SERVICE, 1, handle_echo, NULL);
    ck_assert_int_eq(call(0, PATIENT_MS), 0);
}

TEST(arguments_are_checked)
{
    ck_assert_int_eq(fipc_serve(NULL, SERVICE, 1, handle_echo, NULL), -EINVAL);
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(fipc_reply(NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(fipc_reply_error(NULL, EIO), -EINVAL);
    ck_assert_int_eq(fipc_peer_pidfd(NULL), -EINVAL);
    ck_assert_int_eq(fipc_wait(NULL, SERVICE, 0), -EINVAL);
    ck_assert_int_eq(fipc_dispatch(NULL, 0), -EINVAL);
    ck_assert_int_eq(fipc_dispatch(client, -2), -EINVAL);
    ck_assert_int_eq(fipc_fd(NULL), -EINVAL);
    ck_assert_ptr_null(fipc_request_data(NULL));
    ck_assert_ptr_null(fipc_peer_of(NULL));
    ck_assert_uint_eq(fipc_request_size(NULL), 0);
}

/* ---- limits ---- */

TEST(reply_may_not_be_larger_than_the_workers_ring)
{
    static const char large[40000];
    struct background_call call;

    server_start_with(&server, SERVICE, 1, handle_keep, &keeper);
    background_start(&call, SERVICE, 0, PATIENT_MS);
    TEST_WAIT_FOR(keeper_count(&keeper) == 1);
    ck_assert_int_eq(fipc_reply(keeper.kept[0], large, sizeof(large)), -EMSGSIZE);
    ck_assert_int_eq(fipc_reply_error(keeper.kept[0], 0), -EINVAL);
    ck_assert_int_eq(fipc_reply_error(keeper.kept[0], 4096), -EINVAL);
    ck_assert_int_eq(fipc_reply_error(keeper.kept[0], E2BIG), 0);
    ck_assert_int_eq(background_join(&call), -E2BIG);
}

static void handle_with_much(fipc_request *request, void *userdata)
{
    static const char much[30000];

    (void)userdata;
    EXPECT(fipc_reply(request, much, sizeof(much)) == 0);
}

TEST(reply_larger_than_the_callers_ring_is_an_error_of_the_call)
{
    fipc_options options = options_for_broker();

    server_start_with(&server, SERVICE, 1, handle_with_much, NULL);
    close_client();
    options.reply_ring_bytes = 4096;
    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    ck_assert_int_eq(call(0, PATIENT_MS), -EMSGSIZE);
    ck_assert_int_eq(call(0, PATIENT_MS), -EMSGSIZE);
}

/* ---- calls in circles ---- */

TEST(calling_oneself_works_where_another_thread_dispatches)
{
    ck_assert_int_eq(fipc_serve(client, SERVICE, 1, handle_echo, NULL), 0);
    ck_assert_int_eq(call(0, 50), -ETIMEDOUT); /* nobody does */
    ck_assert_int_ge(fipc_dispatch(client, 0), 0);
    server_start(&server);
    ck_assert_int_eq(fipc_serve(server.client, SERVICE ".own", 1, handle_echo, NULL), 0);
    ck_assert_int_eq(fipc_call(server.client, SERVICE ".own", "x", 1, 0, PATIENT_MS, NULL), 0);
}

/* Calls the other service with a number one less, until none is left. */
struct circle {
    struct server *own;
    const char *next;
};

static void handle_in_circle(fipc_request *request, void *userdata)
{
    const struct circle *circle = userdata;
    unsigned char left = *(const unsigned char *)fipc_request_data(request);
    int r = 0;

    if (left > 0) {
        left--;
        r = fipc_call(circle->own->client, circle->next, &left, 1, 0, 500, NULL);
    }
    EXPECT((r == 0 ? fipc_reply(request, NULL, 0) : fipc_reply_error(request, r)) == 0);
}

/* A handler that calls keeps its thread: two that call each other once need a thread each. */
TEST(two_services_call_each_other)
{
    struct circle circles[] = {{&server, SERVICE ".b"}, {&other, SERVICE ".a"}};
    unsigned char left = 1;

    server_start_with(&server, SERVICE ".a", 1, handle_in_circle, &circles[0]);
    server_start_with(&other, SERVICE ".b", 1, handle_in_circle, &circles[1]);
    ck_assert_int_eq(fipc_call(client, SERVICE ".a", &left, 1, 0, PATIENT_MS, NULL), 0);
    left = 2; /* comes back to the first one, which is busy with us */
    ck_assert_int_eq(fipc_call(client, SERVICE ".a", &left, 1, 0, PATIENT_MS, NULL), -ETIMEDOUT);
    left = 1;
    ck_assert_int_eq(fipc_call(client, SERVICE ".a", &left, 1, 0, PATIENT_MS, NULL), 0);
}

/* ---- lists ---- */

#define SERVERS 4
#define NAMES 60

static int count_in(const char *text, size_t size, const char *part)
{
    int count = 0;

    for (const char *at = text; (at = memmem(at, size - (size_t)(at - text), part, strlen(part)));
         at++)
        count++;
    return count;
}

/* More than one reply can hold. */
TEST(list_has_as_many_pages_as_it_takes)
{
    const fipc_options options = options_for_broker();
    fipc_client *servers[SERVERS];
    char name[256], question[24] = "";
    int listed = 0, pages = 0;
    fipc_message *reply;

    for (int i = 0; i < SERVERS; i++) {
        ck_assert_int_eq(fipc_connect(&servers[i], &options), 0);
        for (int k = 0; k < NAMES; k++) {
            (void)snprintf(name, sizeof(name), "%s.%0200d", SERVICE, i * NAMES + k);
            ck_assert_int_eq(fipc_serve(servers[i], name, 1, handle_echo, NULL), 0);
        }
    }
    do {
        long long next;

        ck_assert_int_eq(
            fipc_call(client, "fipc.list", question, strlen(question), 0, PATIENT_MS, &reply), 0);
        listed += count_in(fipc_data(reply), fipc_size(reply), "\"served\"");
        next = test_report_number(fipc_data(reply), fipc_size(reply), "next");
        question[0] = '\0';
        if (next > 0)
            (void)snprintf(question, sizeof(question), "%lld", next);
        fipc_free(reply);
        pages++;
    } while (question[0] != '\0');
    ck_assert_int_eq(listed, SERVERS * NAMES);
    ck_assert_int_gt(pages, 1);
    for (int i = 0; i < SERVERS; i++)
        fipc_unref(servers[i]);
}

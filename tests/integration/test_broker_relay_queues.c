/* SPDX-License-Identifier: MIT */
/* Queues that are full, and the clients that the broker tells of room in them. */
#include "tests/integration/relay_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void open_session_as(struct raw_client *client, uid_t uid)
{
    raw_connect_uid = uid;
    open_session(client);
    raw_connect_uid = 0;
    ck_assert_int_eq(raw_open_name(client, NAME, &target), 0);
}

/* Sends requests, each as soon as there is room. */
static void send_requests(struct raw_client *from, int count)
{
    uint64_t id;
    int r;

    for (int i = 0; i < count; i++) {
        TEST_WAIT_FOR((r = raw_send_request(from, target, NULL, 0, &id)) != -EAGAIN);
        ck_assert_int_eq(r, 0);
    }
}

/* Return: false if only root can be several users: the test is over then */
static bool are_users_told_apart(void)
{
    if (geteuid() != 0) {
        (void)printf("SKIP: only root can be several users\n");
        return false;
    }
    test_broker_open_to_all(&broker);
    return true;
}

GROUP(queues, .timeout = 60, .fixtures = {{relay_set_up, relay_tear_down}});

TEST(who_found_a_queue_full_is_told_once_of_room)
{
    struct raw_client greedy = RAW_CLIENT_EMPTY;
    uint64_t refused[2];

    if (!are_users_told_apart())
        return;
    raw_close(&caller);
    open_session_as(&caller, FIRST_UID);
    open_session_as(&greedy, FIRST_UID);
    send_requests(&greedy, CALLS_MAX); /* one in the worker's hands, the rest in the queue */
    TEST_WAIT_FOR(number("handlers.live") == CALLS_MAX + 1);
    send_requests(&caller, 1); /* the last one in the queue */
    TEST_WAIT_FOR(number("handlers.live") == CALLS_MAX + 2);
    for (int i = 0; i < 2; i++)
        refused[i] = send_request();
    for (int i = 0; i < 2; i++)
        expect_answer(refused[i], -EAGAIN, FIPC_REPLY_NOT_DELIVERED);
    for (int i = 0; i < 2; i++) { /* there is room for the next one, and it would overtake those */
        take(&worker);
        reply(&worker, 0, "");
    }
    expect_answer(send_request(), -EAGAIN, FIPC_REPLY_NOT_DELIVERED);
    for (int i = 2; i < CALLS_MAX / 2 + 1; i++) {
        take(&worker);
        reply(&worker, 0, "");
    }
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_int_eq(caller.header.kind, FIPC_KIND_CONTROL);
    ck_assert_uint_eq(caller.header.target, target);
    expect_nothing(&caller);
    raw_close(&greedy);
}

/* One user keeps as many requests in the queue as he may. Another one's call comes after the one in
 * the worker's hands, and one of his. */
TEST(users_take_turns_in_a_queue)
{
    struct raw_client greedy = RAW_CLIENT_EMPTY, second = RAW_CLIENT_EMPTY;
    uint64_t id;

    if (!are_users_told_apart())
        return;
    open_session_as(&greedy, FIRST_UID);
    open_session_as(&second, FIRST_UID + 1);
    send_requests(&greedy, CALLS_MAX);
    TEST_WAIT_FOR(number("handlers.live") == CALLS_MAX + 1);
    for (int i = 0; i < 10; i++) {
        int n_taken = 0;

        ck_assert_int_eq(raw_send_request(&second, target, NULL, 0, &id), 0);
        TEST_WAIT_FOR(number("handlers.live") == CALLS_MAX + 2);
        do {
            take(&worker);
            reply(&worker, 0, "");
            n_taken++;
        } while (taken_id != id);
        ck_assert_int_le(n_taken, 3);
        send_requests(&greedy, n_taken - 1);
        TEST_WAIT_FOR(number("handlers.live") == CALLS_MAX + 1);
    }
    raw_close(&greedy);
    raw_close(&second);
}

/* Uses up what a uid may have in queues, at a service that answers nothing: by two callers, and one
 * request of the caller. */
static void fill_share(struct raw_client callers[2])
{
    long long n_live = number("handlers.live");
    uint32_t slow;
    uint64_t id;

    serve_with(&other, NAME ".slow", 1);
    for (int i = 0; i < 2; i++) {
        open_session(&callers[i]);
        ck_assert_int_eq(raw_open_name(&callers[i], NAME ".slow", &slow), 0);
        for (int n = 0; n < CALLS_MAX / 2; n++)
            ck_assert_int_eq(raw_send_request(&callers[i], slow, NULL, 0, &id), 0);
    }
    TEST_WAIT_FOR(number("handlers.live") == n_live + CALLS_MAX);
    ck_assert_int_eq(raw_send_request(&caller, slow, NULL, 0, &id), 0);
}

LOOP_TEST(service_that_is_free_or_gone_has_room_for_who_has_used_up_its_share, 2)
{
    struct raw_client callers[2];
    uint64_t id, refused;

    fill_share(callers);
    id = send_request();
    take(&worker);
    refused = send_request();
    expect_answer(refused, -EAGAIN, FIPC_REPLY_NOT_DELIVERED);
    if (_i == 0) {
        reply(&worker, 0, "");
        expect_answer(id, 0, 0);
    } else {
        raw_close(&worker);
        expect_answer(id, -ECONNRESET, 0);
    }
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_int_eq(caller.header.kind, FIPC_KIND_CONTROL);
    ck_assert_uint_eq(caller.header.target, target);
    ck_assert_int_gt(number("handlers.live"), CALLS_MAX); /* its share is as full as before */
    for (int i = 0; i < 2; i++)
        raw_close(&callers[i]);
}

TEST(who_does_not_wait_for_room_is_told_of_none)
{
    struct raw_client callers[2];
    uint64_t id, refused;

    fill_share(callers);
    id = send_request();
    take(&worker);
    refused = send_flagged(FIPC_REQUEST_NO_WAIT, NULL, 0, 0);
    expect_answer(refused, -EAGAIN, FIPC_REPLY_NOT_DELIVERED);
    for (int i = 0; i < 2; i++)
        raw_close(&callers[i]);
    reply(&worker, 0, "");
    expect_answer(id, 0, 0);
    expect_nothing(&caller);
}

/* Has workers serve this many names, and each of them be busy. */
static void serve_busily(struct raw_client *server, uint32_t *targets, int count)
{
    char name[64];
    uint64_t id;

    for (int i = 0; i < count; i++) {
        (void)snprintf(name, sizeof(name), NAME ".n%p.%d", (void *)targets, i);
        ck_assert_int_eq(raw_serve(server, name, 1, &targets[i]), 0);
        ck_assert_int_eq(raw_open_name(&caller, name, &targets[i]), 0);
        ck_assert_int_eq(raw_send_request(server, targets[i], NULL, 0, &id), 0);
    }
}

/* All names but the last have no room for it, the last is one too many, and then it gets ROOM. */
static void wish_for_room(const uint32_t *targets)
{
    struct raw_client callers[2];
    uint64_t refused;

    fill_share(callers);
    for (int i = 0; i <= WISHES_MAX; i++) {
        ck_assert_int_eq(raw_send_request(&caller, targets[i], NULL, 0, &refused), 0);
        expect_answer(refused, i < WISHES_MAX ? -EAGAIN : -EDQUOT, FIPC_REPLY_NOT_DELIVERED);
    }
    for (int i = 0; i < 2; i++)
        raw_close(&callers[i]);
    for (int i = 0; i < WISHES_MAX; i++) {
        ck_assert_int_eq(raw_receive_record(&caller), 0);
        ck_assert_int_eq(caller.header.kind, FIPC_KIND_CONTROL);
    }
    raw_close(&other);
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_int_eq(caller.header.status, -ENOENT);
    TEST_WAIT_FOR(number("handlers.live") == WISHES_MAX + 2);
}

TEST(session_waits_for_room_of_so_many_services)
{
    struct raw_client servers[2];
    uint32_t targets[WISHES_MAX + 1];

    for (int i = 0; i < 2; i++)
        open_session(&servers[i]);
    serve_busily(&servers[0], targets, WISHES_MAX);
    serve_busily(&servers[1], &targets[WISHES_MAX], 1);
    TEST_WAIT_FOR(number("handlers.live") == WISHES_MAX + 2);
    for (int i = 0; i < 2; i++)
        wish_for_room(targets);
    for (int i = 0; i < 2; i++)
        raw_close(&servers[i]);
}

/* Answers what the worker has, and has it take what comes next. */
static void go_on(uint64_t id, uint64_t next_id)
{
    reply(&worker, 0, "");
    expect_answer(id, 0, 0);
    take(&worker);
    ck_assert_uint_eq(taken_id, next_id);
}

static void expect_room(struct raw_client *client, uint32_t of)
{
    ck_assert_int_eq(raw_receive_record(client), 0);
    ck_assert_int_eq(client->header.kind, FIPC_KIND_CONTROL);
    ck_assert_uint_eq(client->header.target, of);
}

TEST(who_has_nothing_queued_finds_room_always_and_is_told_when_nothing_is_left)
{
    struct raw_client callers[2], late;
    uint64_t id, first, refused;

    fill_share(callers);
    open_session(&late);
    ck_assert_int_eq(raw_open_name(&late, NAME, &target), 0);
    id = send_request();
    take(&worker);
    expect_answer(send_request(), -EAGAIN, FIPC_REPLY_NOT_DELIVERED);
    ck_assert_int_eq(raw_send_request(&late, target, NULL, 0, &first), 0);
    ck_assert_int_eq(raw_send_request(&late, target, NULL, 0, &refused), 0);
    ck_assert_int_eq(raw_receive_record(&late), 0);
    ck_assert_uint_eq(late.header.id, refused);
    ck_assert_int_eq(late.header.status, -EAGAIN);
    go_on(id, first);
    expect_room(&late, target);
    expect_room(&caller, target);                         /* all waiting clients get ROOM */
    ck_assert_int_gt(number("handlers.live"), CALLS_MAX); /* the share is as full as before */
    raw_close(&late);
    for (int i = 0; i < 2; i++)
        raw_close(&callers[i]);
}

TEST(one_shot_finds_room_always)
{
    struct raw_client callers[2], oneshot = RAW_CLIENT_EMPTY;
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello = {.flags = FIPC_HELLO_ONESHOT, .id = 77, .name_bytes = strlen(NAME)},
        .name = NAME,
    };
    uint64_t id;

    fill_share(callers);
    id = send_request();
    take(&worker);
    ck_assert_int_eq(raw_connect(&oneshot, broker.socket), 0);
    ck_assert_int_eq(raw_send_packet(&oneshot, &hello), 0);
    TEST_WAIT_FOR(number("handlers.live") == CALLS_MAX + 4);
    go_on(id, hello.hello.id);
    reply(&worker, 0, "done");
    ck_assert_int_eq(raw_receive_packet(&oneshot), 0);
    ck_assert_uint_eq(oneshot.packet.type, FIPC_CONTROL_ONESHOT_REPLY);
    ck_assert_int_eq(oneshot.packet.oneshot_reply.status, 0);
    raw_close(&oneshot);
    for (int i = 0; i < 2; i++)
        raw_close(&callers[i]);
}

/* While somebody waits for room, what becomes free is not for those who never had to. */
TEST(who_was_refused_is_not_overtaken)
{
    struct raw_client callers[2];
    struct fipc_header cancel = {.kind = FIPC_KIND_CANCEL};
    uint32_t slow;
    uint64_t id, refused;

    fill_share(callers);
    id = send_request();
    take(&worker);
    expect_answer(send_request(), -EAGAIN, FIPC_REPLY_NOT_DELIVERED);
    ck_assert_int_eq(raw_open_name(&callers[1], NAME ".slow", &slow), 0);
    for (cancel.id = callers[1].last_id; cancel.id > callers[1].last_id - 10; cancel.id--)
        ck_assert_int_eq(raw_send_record(&callers[1], &cancel, NULL, 0), 0);
    ck_assert_int_eq(raw_send_request(&callers[1], slow, NULL, 0, &refused), 0);
    ck_assert_int_eq(raw_receive_record(&callers[1]), 0);
    ck_assert_uint_eq(callers[1].header.id, refused);
    ck_assert_int_eq(callers[1].header.status, -EAGAIN);
    raw_close(&callers[0]);
    expect_room(&caller, target);
    expect_room(&callers[1], slow);
    raw_close(&callers[1]);
    reply(&worker, 0, "");
    expect_answer(id, 0, 0);
}

/* Has caller and worker send and take requests of several megabytes. */
static void enlarge_rings(void)
{
    const uint32_t ring_bytes = UINT32_C(32) << 20;

    raw_close(&caller);
    raw_close(&worker);
    ck_assert_int_eq(raw_open_session(&worker, broker.socket, 0, ring_bytes), 0);
    ck_assert_int_eq(raw_serve(&worker, NAME, 1, &target), 0);
    ck_assert_int_eq(raw_open_session(&caller, broker.socket, ring_bytes, 0), 0);
    ck_assert_int_eq(raw_open_name(&caller, NAME, &target), 0);
}

/* It is refused while less than half of its uid's share is used up. */
TEST(large_request_has_room_once_its_share_can_hold_it)
{
    static char data[15 << 19]; /* 7.5 MiB */
    uint64_t ids[4];

    enlarge_rings();
    ids[0] = send_request();
    take(&worker);
    ids[1] = send_flagged(0, data, 3 << 20, 0);
    ids[2] = send_flagged(0, data, 1 << 20, 0);
    ids[3] = send_request();
    expect_answer(send_flagged(0, data, sizeof(data), 0), -EAGAIN, FIPC_REPLY_NOT_DELIVERED);
    go_on(ids[0], ids[1]);
    expect_nothing(&caller);
    go_on(ids[1], ids[2]);
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_int_eq(caller.header.kind, FIPC_KIND_CONTROL);
    ck_assert_uint_eq(caller.header.target, target);
    ids[1] = send_flagged(0, data, sizeof(data), 0);
    go_on(ids[2], ids[3]);
    go_on(ids[3], ids[1]);
    reply(&worker, 0, "");
    expect_answer(ids[1], 0, 0);
}

TEST(request_larger_than_its_share_waits_alone)
{
    static char data[9 << 20];
    uint64_t id, large;

    enlarge_rings();
    id = send_request();
    take(&worker);
    large = send_flagged(0, data, sizeof(data), 0);
    expect_answer(send_request(), -EAGAIN, FIPC_REPLY_NOT_DELIVERED);
    go_on(id, large);
    ck_assert_int_eq(raw_receive_record(&caller), 0);
    ck_assert_int_eq(caller.header.kind, FIPC_KIND_CONTROL);
    reply(&worker, 0, "");
    expect_answer(large, 0, 0);
}

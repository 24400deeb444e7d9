/* SPDX-License-Identifier: MIT */
/* What becomes of each kind of record that a client sends. */
#include "daemon/traffic/intake.h"

#include "common/clock.h"
#include "daemon/traffic/relay.h"
#include "daemon/traffic/reply.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define NAME "service"

static struct test_client client, worker;
static uint32_t ping;

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
    client_open(&worker, TEST_UID);
    ping = service_target(service_find(&core.services, "fipc.ping", 9));
}

static void tear_down(void)
{
    client_close(&worker);
    client_close(&client);
    core_tear_down();
}

static unsigned serve(struct test_client *from)
{
    return intake_serve(&core, from->slot, FIPC_NEVER);
}

/* Return: its id */
static uint64_t ask(struct test_client *from, const struct fipc_control *control)
{
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL, .id = ++from->last_id};

    ck_assert_int_eq(fipc_control_put(&from->channel.out, &header, control), 0);
    return header.id;
}

static uint64_t ask_of_name(struct test_client *from, enum fipc_control_type type, const char *name)
{
    const struct fipc_control control = {
        .type = type, .open = {.name_bytes = (uint32_t)strlen(name)}, .name = name};

    return ask(from, &control);
}

static void send_cancel(struct test_client *from, uint64_t id)
{
    client_send(from, &(struct fipc_header){.kind = FIPC_KIND_CANCEL, .id = id}, NULL, 0);
}

/* ---- records that have no place ---- */

GROUP(bad_records, .fixtures = {{set_up, tear_down}});

static void send_control(struct test_client *from, const void *packet, size_t size)
{
    client_send(from, &(struct fipc_header){.kind = FIPC_KIND_CONTROL}, packet, size);
}

static void empty_control(void) { send_control(&client, NULL, 0); }

static void garbage(void) { send_control(&client, "this is not a control packet", 28); }

static void long_control(void)
{
    static const unsigned char
        packet[sizeof(struct fipc_control_header) + FIPC_CONTROL_RECORD_BYTES_MAX + 1];

    send_control(&client, packet, sizeof(packet));
}

static void control_of_another_size(void)
{
    const struct fipc_control wait = {
        .type = FIPC_CONTROL_WAIT, .wait = {.name_bytes = 1}, .name = "a"};
    unsigned char packet[64];
    size_t size;

    ck_assert_int_eq(fipc_control_encode(&wait, packet, sizeof(packet), &size), 0);
    send_control(&client, packet, size + 1);
}

static void notice_of_the_broker(void)
{
    (void)ask(&client, &(struct fipc_control){.type = FIPC_CONTROL_ROOM});
}

static void goodbye_of_the_broker(void)
{
    (void)ask(&client, &(struct fipc_control){.type = FIPC_CONTROL_GOODBYE});
}

static void reply_of_no_worker(void)
{
    client_send(&client, &(struct fipc_header){.kind = FIPC_KIND_REPLY}, NULL, 0);
}

static void hole(void)
{
    struct fipc_producer *ring = &client.channel.out;

    memset(ring->memory + (ring->tail & (ring->capacity - 1)), 0, FIPC_RECORD_ALIGN);
    ring->tail += FIPC_RECORD_ALIGN;
    atomic_store(&ring->shared->tail, ring->tail);
}

static void unknown_kind(void)
{
    client_send(&client, &(struct fipc_header){.kind = FIPC_KIND_CONTROL + 1}, NULL, 0);
}

static void request_without_a_place(void)
{
    client_send(&client,
                &(struct fipc_header){.kind = FIPC_KIND_REQUEST, .status = FIPC_PLACES_MIN}, NULL,
                0);
}

static void request_with_a_negative_place(void)
{
    client_send(&client, &(struct fipc_header){.kind = FIPC_KIND_REQUEST, .status = -1}, NULL, 0);
}

static const struct {
    void (*send)(void);
    enum fipc_reason reason;
} bad_records[] = {
    {request_without_a_place, FIPC_REASON_MALFORMED},
    {request_with_a_negative_place, FIPC_REASON_MALFORMED},
    {empty_control, FIPC_REASON_MALFORMED},
    {garbage, FIPC_REASON_MALFORMED},
    {long_control, FIPC_REASON_MALFORMED},
    {control_of_another_size, FIPC_REASON_MALFORMED},
    {notice_of_the_broker, FIPC_REASON_UNEXPECTED},
    {goodbye_of_the_broker, FIPC_REASON_UNEXPECTED},
    {reply_of_no_worker, FIPC_REASON_UNEXPECTED},
    {hole, FIPC_REASON_CORRUPT_RING},
    {unknown_kind, FIPC_REASON_UNEXPECTED},
};

LOOP_TEST(bad_record_ends_its_slot_in_the_middle_of_a_batch, COUNT_OF(bad_records))
{
    uint64_t position;

    (void)client_request(&client, ping, 0, NULL, 0);
    (void)client_request(&client, ping, 0, NULL, 0);
    position = client.channel.out.tail;
    bad_records[_i].send();
    (void)client_request(&client, ping, 0, NULL, 0);

    ck_assert_uint_eq(serve(&client), 3);
    ck_assert(client.slot->is_ending);
    ck_assert_int_eq((int)client.slot->end_reason, (int)bad_records[_i].reason);
    /* the head tells what was delivered: not this record, and none behind it */
    ck_assert_uint_eq(atomic_load(&client.channel.out.shared->head), position);
    ck_assert(!intake_has_work(&core, client.slot));
    ck_assert_uint_eq(serve(&client), 0);
    client_expect_reply(&client, 1, 0);
    client_expect_reply(&client, 2, 0);
    ck_assert(!client_take(&client));
}

TEST(records_without_an_answer_are_taken)
{
    client_send(&client, &(struct fipc_header){.kind = FIPC_KIND_SKIP}, NULL, 0);
    send_cancel(&client, 77); /* it crossed the reply */
    (void)client_request(&client, ping, 0, NULL, 0);
    ck_assert_uint_eq(serve(&client), 3);
    client_expect_reply(&client, 1, 0);
    ck_assert(!client.slot->is_ending);
}

TEST(corrupt_ring_of_answers_ends_the_slot)
{
    (void)client_request(&client, ping, 0, NULL, 0);
    client_fill(&client);
    atomic_store(&client.channel.in.shared->head, 7);
    ck_assert(intake_has_work(&core, client.slot));
    (void)serve(&client);
    ck_assert_int_eq((int)client.slot->end_reason, FIPC_REASON_CORRUPT_RING);
    ck_assert_uint_eq(core.handlers.n_started, 0);
}

/* ---- requests ---- */

GROUP(requests, .fixtures = {{set_up, tear_down}});

RANGE_TEST(each_flag_of_a_request_is_known_or_refused, 0, 16)
{
    unsigned flag = 1u << _i,
             known = FIPC_REQUEST_IDEMPOTENT | FIPC_REQUEST_WAIT_SERVICE | FIPC_REQUEST_NO_WAIT;

    (void)client_request(&client, ping, flag, NULL, 0);
    ck_assert_uint_eq(serve(&client), 1);
    client_expect_reply(&client, 1, (flag & known) != 0 ? 0 : -EOPNOTSUPP);
    ck_assert_uint_eq(client.header.flags, (flag & known) != 0 ? 0 : FIPC_REPLY_NOT_DELIVERED);
}

static void expect_stale(uint32_t target)
{
    uint64_t id = client_request(&client, target, FIPC_REQUEST_WAIT_SERVICE, NULL, 0);

    ck_assert_uint_eq(serve(&client), 1);
    client_expect_reply(&client, id, -ESTALE);
    ck_assert_uint_eq(client.header.flags, FIPC_REPLY_NOT_DELIVERED);
}

TEST(target_that_is_no_more_is_stale)
{
    uint32_t former = service_target(client_serve(&worker, NAME, 1));

    expect_stale(SERVICE_NONE);
    expect_stale(UINT32_MAX);
    expect_stale(former + 1);
    client_close(&worker);
    expect_stale(former);
    client_open(&worker, TEST_UID);
    ck_assert_uint_ne(service_target(client_serve(&worker, NAME, 1)), former);
    expect_stale(former);
}

TEST(request_over_the_share_of_handlers_is_refused)
{
    core.quota.handlers.count = 0;
    (void)client_request(&client, ping, 0, NULL, 0);
    (void)ask_of_name(&client, FIPC_CONTROL_WAIT, "fipc.ping");
    ck_assert_uint_eq(serve(&client), 2);
    client_expect_reply(&client, 1, -EAGAIN);
    client_expect_control(&client, FIPC_CONTROL_WAITED, SERVICE_NONE);
    ck_assert_int_eq(client.header.status, -EAGAIN);
    ck_assert_uint_eq(core.handlers.n_started, 0);
}

TEST(request_has_the_time_that_its_caller_gives)
{
    uint32_t target = service_target(client_serve(&worker, NAME, 1));

    client_send(&client,
                &(struct fipc_header){
                    .kind = FIPC_KIND_REQUEST, .target = target, .id = 5, .remaining_ns = 100},
                NULL, 0);
    ck_assert_uint_eq(serve(&client), 1);
    test_advance(99);
    ck_assert(!client_take(&client));
    test_advance(1);
    client_expect_reply(&client, 5, -ETIMEDOUT);
}

TEST(cancelled_request_ends_without_a_word)
{
    struct service *service = client_serve(&worker, NAME, 1);
    uint64_t in_hands = client_request(&client, service_target(service), 0, "a", 1);
    uint64_t queued = client_request(&client, service_target(service), 0, "b", 1);
    uint32_t number;

    ck_assert_uint_eq(serve(&client), 2);
    number = client_expect_request(&worker, "a");
    send_cancel(&worker, queued); /* another client's */
    ck_assert_uint_eq(serve(&worker), 1);
    ck_assert_uint_eq(core.handlers.n_live, 2);

    send_cancel(&client, queued);
    send_cancel(&client, in_hands);
    send_cancel(&client, in_hands); /* twice */
    ck_assert_uint_eq(serve(&client), 3);
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_DROPPED], 2);
    ck_assert_uint_eq(service->queue.n_items, 0);
    ck_assert(client_take(&worker));
    ck_assert_int_eq(worker.header.kind, FIPC_KIND_CANCEL);
    ck_assert_uint_eq(worker.header.target, number);
    ck_assert(!client_take(&client));
    ck_assert(!client_take(&worker));
}

/* ---- questions ---- */

GROUP(questions, .fixtures = {{set_up, tear_down}});

static const struct {
    const char *name;
    int status;
} opens[] = {
    {"fipc.ping", 0}, {NAME, 0},         {"waited", -ENOENT},
    {"x", -ENOENT},   {"a..b", -EINVAL}, {"", -EINVAL},
};

LOOP_TEST(open_tells_the_target_of_a_name_that_is_served, COUNT_OF(opens))
{
    const char *name = opens[_i].name;
    struct service *service;

    (void)client_serve(&worker, NAME, 1);
    (void)client_wish_for(&worker, "waited");
    service = service_find(&core.services, name, strlen(name));
    (void)ask_of_name(&client, FIPC_CONTROL_OPEN, name);
    ck_assert_uint_eq(serve(&client), 1);
    client_expect_control(&client, FIPC_CONTROL_OPENED,
                          opens[_i].status == 0 ? service_target(service) : 0);
    ck_assert_uint_eq(client.header.id, 1);
    ck_assert_int_eq(client.header.status, opens[_i].status);
}

/* The number of the name means something to it only then. */
TEST(worker_has_its_answer_before_its_first_request)
{
    struct service *service = client_wish_for(&client, NAME);
    const struct fipc_control question = {
        .type = FIPC_CONTROL_SERVE,
        .serve = {.name_bytes = sizeof(NAME) - 1, .concurrency = 2},
        .name = NAME,
    };

    for (int i = 0; i < 3; i++)
        (void)client_call(&client, service, FIPC_REQUEST_WAIT_SERVICE, "work");
    (void)ask(&worker, &question);
    ck_assert_uint_eq(serve(&worker), 1);
    client_expect_control(&worker, FIPC_CONTROL_SERVED, service_target(service));
    ck_assert_int_eq(worker.header.status, 0);
    (void)client_expect_request(&worker, "work");
    (void)client_expect_request(&worker, "work");
    ck_assert(!client_take(&worker));
}

static const struct {
    const char *name;
    int status;
} serves[] = {{NAME, -EACCES}, {"fipc.ping", -EACCES}, {"a b", -EINVAL}};

LOOP_TEST(stranger_is_told_why_it_may_not_serve, COUNT_OF(serves))
{
    (void)ask_of_name(&client, FIPC_CONTROL_SERVE, serves[_i].name);
    ck_assert_uint_eq(serve(&client), 1);
    client_expect_control(&client, FIPC_CONTROL_SERVED, SERVICE_NONE);
    ck_assert_int_eq(client.header.status, serves[_i].status);
    ck_assert_uint_eq(client.slot->n_workers, 0);
}

/* What later brokers may understand there. */
LOOP_TEST(serve_with_what_is_not_defined_is_refused, 2)
{
    struct fipc_control question = {
        .type = FIPC_CONTROL_SERVE, .serve = {.name_bytes = sizeof(NAME) - 1}, .name = NAME};

    for (int bit = 0; bit < 32; bit++) {
        *(_i == 0 ? &question.serve.flags : &question.serve.reserved) = UINT32_C(1) << bit;
        (void)ask(&worker, &question);
        (void)serve(&worker);
        client_expect_control(&worker, FIPC_CONTROL_SERVED, SERVICE_NONE);
        ck_assert_int_eq(worker.header.status, -EOPNOTSUPP);
    }
    ck_assert_uint_eq(worker.slot->n_workers, 0);
    ck_assert(!worker.slot->is_ending);
}

static void expect_waited(uint64_t id, int status)
{
    ck_assert(client_take(&client));
    ck_assert_int_eq(client.header.kind, FIPC_KIND_CONTROL);
    ck_assert_uint_eq(client.header.id, id);
    ck_assert_int_eq(client.header.status, status);
}

TEST(wait_is_answered_when_the_name_is_served)
{
    uint64_t invalid = ask_of_name(&client, FIPC_CONTROL_WAIT, "a b");
    uint64_t built_in = ask_of_name(&client, FIPC_CONTROL_WAIT, "fipc.ping");
    uint64_t later = ask_of_name(&client, FIPC_CONTROL_WAIT, NAME);
    uint64_t too_many;

    ck_assert_uint_eq(serve(&client), 3);
    expect_waited(invalid, -EINVAL);
    expect_waited(built_in, 0);
    ck_assert(!client_take(&client));
    core.quota.names = share_of(1, 0, 0);
    too_many = ask_of_name(&client, FIPC_CONTROL_WAIT, "other");
    ck_assert_uint_eq(serve(&client), 1);
    expect_waited(too_many, -EDQUOT);
    (void)client_serve(&worker, NAME, 1);
    expect_waited(later, 0);
}

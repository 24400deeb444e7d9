/* SPDX-License-Identifier: MIT */
/* How much of a slot is taken, and when: its share of a turn, and what holds it up. */
#include "daemon/traffic/intake.h"

#include "common/clock.h"
#include "daemon/traffic/relay.h"
#include "daemon/traffic/reply.h"
#include "tests/unit/traffic/traffic_fixture.h"

#define TICK_NS 10

static struct test_client client, worker;
static struct service *service;
static uint32_t ping;

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
    client_open(&worker, TEST_UID);
    ping = service_target(service_find(&core.services, "fipc.ping", 9));
    service = client_serve(&worker, "service", 1);
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

static bool has_work(struct test_client *of) { return intake_has_work(&core, of->slot); }

static void send_pings(int count)
{
    for (int i = 0; i < count; i++)
        (void)client_request(&client, ping, 0, NULL, 0);
}

static void send_cancel(struct test_client *from, uint64_t id)
{
    client_send(from, &(struct fipc_header){.kind = FIPC_KIND_CANCEL, .id = id}, NULL, 0);
}

/* ---- its share of a turn ---- */

GROUP(share, .fixtures = {{set_up, tear_down}});

static const struct {
    uint32_t per_turn;
    int sent;
    unsigned taken;
} batches[] = {
    {64, 0, 0}, {64, 1, 1}, {64, 63, 63}, {64, 64, 64}, {64, 65, 64}, {1, 3, 1}, {5, 100, 5},
};

LOOP_TEST(so_many_records_are_taken_in_one_turn, COUNT_OF(batches))
{
    core.config->dispatch.messages_per_turn = batches[_i].per_turn;
    send_pings(batches[_i].sent);
    ck_assert_uint_eq(serve(&client), batches[_i].taken);
    ck_assert_int_eq(has_work(&client), batches[_i].sent > (int)batches[_i].taken);
    for (uint64_t id = 1; id <= batches[_i].taken; id++)
        client_expect_reply(&client, id, 0);
    ck_assert(!client_take(&client));
}

/* Time passes with each look. */
static uint64_t ticking_clock(void) { return test_now_ns += TICK_NS; }

static const struct {
    uint64_t slice_ns;
    unsigned taken;
} slices[] = {
    {0, 4}, {1, 4}, {TICK_NS, 4}, {TICK_NS + 1, 8}, {2 * TICK_NS, 8}, {3 * TICK_NS, 12},
};

LOOP_TEST(no_record_is_taken_long_after_the_slice, COUNT_OF(slices))
{
    send_pings(20);
    core.clock = ticking_clock;
    ck_assert_uint_eq(intake_serve(&core, client.slot, core.now_ns + slices[_i].slice_ns),
                      slices[_i].taken);
    ck_assert_uint_eq(serve(&client), 20 - slices[_i].taken); /* the next one is whole */
}

TEST(report_is_the_last_thing_in_a_turn)
{
    uint32_t list = service_target(service_find(&core.services, "fipc.list", 9));

    send_pings(1);
    (void)client_request(&client, list, 0, NULL, 0);
    send_pings(2);
    ck_assert_uint_eq(serve(&client), 2);
    ck_assert_uint_eq(serve(&client), 2);
}

TEST(what_waited_for_room_counts)
{
    client_fill(&client);
    for (int i = 0; i < 3; i++)
        (void)client_call(&client, service_find(&core.services, "fipc.ping", 9), 0, "");
    client_drain(&client);
    send_pings(5);
    core.config->dispatch.messages_per_turn = 5;
    ck_assert(has_work(&client));
    ck_assert_uint_eq(serve(&client), 5);
    for (uint64_t id = 1; id <= 5; id++)
        client_expect_reply(&client, id, 0);
    ck_assert(!client_take(&client));
}

TEST(record_notes_when_the_client_was_active)
{
    test_advance(123);
    ck_assert_uint_eq(serve(&client), 0);
    ck_assert_uint_eq(client.slot->active_ns, 0);
    send_cancel(&client, 1);
    ck_assert_uint_eq(serve(&client), 1);
    ck_assert_uint_eq(client.slot->active_ns, core.now_ns);
}

/* ---- held ---- */

GROUP(held, .fixtures = {{set_up, tear_down}});

static void open_calls(struct test_client *of, unsigned count)
{
    core.quota.handlers = share_of(UINT32_MAX, UINT32_MAX, 0);
    while (count-- > 0)
        if (reply_begin(&core, of->slot, 1000 + count, 0) == NULL)
            ck_abort_msg("no handler");
}

static void send_open(struct test_client *from)
{
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL};
    const struct fipc_control open = {
        .type = FIPC_CONTROL_OPEN, .open = {.name_bytes = 1}, .name = "a"};

    ck_assert_int_eq(fipc_control_put(&from->channel.out, &header, &open), 0);
}

static void send_ping(struct test_client *from) { (void)client_request(from, ping, 0, NULL, 0); }

static void (*const questions[])(struct test_client *from) = {send_ping, send_open};

LOOP_TEST(slot_with_many_open_calls_asks_no_more, COUNT_OF(questions))
{
    open_calls(&client, SLOT_CALLS_MAX - 1);
    questions[_i](&client);
    ck_assert_uint_eq(serve(&client), 1); /* the last one that may */
    open_calls(&client, 1);
    questions[_i](&client);
    send_cancel(&client, 1000); /* not past the question */
    ck_assert(has_work(&client));
    ck_assert_uint_eq(serve(&client), 0);
    ck_assert(client.slot->is_held);
    ck_assert(!has_work(&client));
    ck_assert(!intake_waits_for_room(&core, client.slot));

    reply_drop(&core, &core.handlers.handlers[client.slot->live.first]);
    ck_assert(has_work(&client));
    ck_assert_uint_eq(serve(&client), 2);
    ck_assert(!client.slot->is_held);
}

TEST(slot_with_many_open_calls_may_cancel_and_answer)
{
    (void)client_call(&client, service, 0, "work");
    (void)client_expect_request(&worker, "work");
    open_calls(&worker, SLOT_CALLS_MAX);
    client_send(
        &worker,
        &(struct fipc_header){.kind = FIPC_KIND_REPLY, .target = worker.delivery.number, .id = 1},
        NULL, 0);
    send_cancel(&worker, 1000);
    send_ping(&worker);
    ck_assert_uint_eq(serve(&worker), 3); /* one call less by then */
    client_expect_reply(&client, 1, 0);
}

/* While the broker stops: only a worker may ask, and only while it works. */
static const struct {
    bool is_stopping, is_worker, is_busy, may_ask;
} askers[] = {
    {false, false, false, true}, {true, false, false, false}, {false, true, false, true},
    {true, true, false, false},  {false, true, true, true},   {true, true, true, true},
};

LOOP_TEST(only_who_works_may_ask_while_the_broker_stops, COUNT_OF(askers))
{
    struct test_client *asker = askers[_i].is_worker ? &worker : &client;

    if (askers[_i].is_busy)
        (void)client_call(&client, service, 0, "work");
    core.stopping = askers[_i].is_stopping;
    send_cancel(asker, 1000);
    send_ping(asker);
    ck_assert_uint_eq(serve(asker), 1 + askers[_i].may_ask);
    ck_assert_int_eq(asker->slot->is_held, !askers[_i].may_ask);
}

/* ---- room ---- */

GROUP(room, .fixtures = {{set_up, tear_down}});

TEST(client_that_does_not_read_is_not_read)
{
    uint64_t since_ns = core.now_ns;

    send_pings(1);
    client_fill(&client);
    ck_assert(!has_work(&client));
    ck_assert(intake_waits_for_room(&core, client.slot));
    ck_assert_uint_eq(serve(&client), 0);
    ck_assert_uint_eq(client.slot->blocked_ns, since_ns);
    test_advance(100);
    ck_assert_uint_eq(serve(&client), 0);
    ck_assert_uint_eq(client.slot->blocked_ns, since_ns);

    client_drain(&client);
    ck_assert(has_work(&client));
    ck_assert(!intake_waits_for_room(&core, client.slot));
    ck_assert_uint_eq(serve(&client), 1);
    ck_assert_uint_eq(client.slot->blocked_ns, 0);
    client_expect_reply(&client, 1, 0);
}

/* Takes one record of client_fill(), which makes room for one large answer. */
static void take_filler(void)
{
    ck_assert(client_take(&client));
    ck_assert_uint_gt(client.size, 0);
}

TEST(answers_that_wait_block_until_there_is_progress)
{
    static const char text[400] = "";
    uint64_t since_ns = core.now_ns;

    client_fill(&client);
    for (uint64_t id = 1; id <= 2; id++) {
        struct handler *handler = reply_begin(&core, client.slot, id, 0);

        reply_set_state(&core, handler, HANDLER_ROUTED);
        reply_set_state(&core, handler, HANDLER_RUNNING);
        reply_data(&core, handler, text, sizeof(text));
    }
    send_pings(1);
    ck_assert_uint_eq(serve(&client), 0);
    ck_assert_uint_eq(client.slot->blocked_ns, since_ns);
    test_advance(100);
    take_filler();
    ck_assert(has_work(&client));
    ck_assert_uint_eq(serve(&client), 1); /* one of two, and no request */
    ck_assert_uint_eq(client.slot->blocked_ns, since_ns + 100);
    test_advance(100);
    ck_assert_uint_eq(serve(&client), 0);
    ck_assert_uint_eq(client.slot->blocked_ns, since_ns + 100);
    client_drain(&client);
    ck_assert_uint_eq(serve(&client), 2);
    ck_assert_uint_eq(client.slot->blocked_ns, 0);
}

TEST(worker_that_requests_wait_for_is_blocked_until_it_makes_room)
{
    client_fill(&worker);
    (void)client_call(&client, service, 0, "work");
    ck_assert(intake_waits_for_room(&core, worker.slot));
    ck_assert_uint_eq(serve(&worker), 0);
    ck_assert_uint_eq(worker.slot->blocked_ns, core.now_ns);

    ck_assert(client_take(&worker)); /* enough for the request, but no quarter of the ring */
    ck_assert(!has_work(&worker));
    ck_assert_uint_eq(serve(&worker), 0);
    ck_assert_uint_eq(service->queue.n_items, 1);

    client_drain(&worker);
    ck_assert(has_work(&worker));
    (void)serve(&worker);
    (void)client_expect_request(&worker, "work");
    ck_assert_uint_eq(worker.slot->blocked_ns, 0);
    ck_assert(!intake_waits_for_room(&core, worker.slot));
}

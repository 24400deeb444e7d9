/* SPDX-License-Identifier: MIT */
/* The one way out: at once while there is room, in order when there was none. */
#include "daemon/traffic/outbound.h"
#include "daemon/traffic/reply.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

static struct test_client client;

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
}

static void tear_down(void)
{
    client_close(&client);
    core_tear_down();
}

/* A handler that runs, as a built-in service has it. */
static struct handler *begin(uint64_t id)
{
    struct handler *handler = reply_begin(&core, client.slot, id, 0);

    ck_assert_ptr_nonnull(handler);
    reply_set_state(&core, handler, HANDLER_ROUTED);
    reply_set_state(&core, handler, HANDLER_RUNNING);
    return handler;
}

static void reply_text(uint64_t id, const char *text)
{
    reply_data(&core, begin(id), text, strlen(text));
}

/* Sends what waits. Return: as reply_send_waiting() */
static int flush(void) { return reply_send_waiting(&core, client.slot); }

GROUP(outbound, .fixtures = {{set_up, tear_down}});

TEST(record_goes_at_once_while_there_is_room)
{
    reply_text(1, "one");
    outbound_room(&core, client.slot, 77);
    outbound_cancel(&core, client.slot, 5, 6);
    ck_assert(!outbound_waits(client.slot));
    ck_assert_uint_eq(client.slot->news, FIPC_NEWS_RECORDS);
    client_expect_reply(&client, 1, 0);
    ck_assert_mem_eq(client.payload, "one", 3);
    client_expect_control(&client, FIPC_CONTROL_ROOM, 77);
    ck_assert(client_take(&client));
    ck_assert_int_eq(client.header.kind, FIPC_KIND_CANCEL);
    ck_assert_uint_eq(client.header.target, 5);
    ck_assert_uint_eq(client.header.id, 6);
    ck_assert(!client_take(&client));
}

TEST(records_that_found_no_room_come_in_order_when_there_is_some)
{
    client_fill(&client);
    reply_text(1, "one");
    outbound_room(&core, client.slot, 77);
    reply_text(2, "two");
    ck_assert(outbound_waits(client.slot));
    ck_assert(!outbound_fits(client.slot));
    ck_assert_int_eq(flush(), 0);
    client_drain(&client);
    ck_assert(outbound_fits(client.slot));
    outbound_cancel(&core, client.slot, 5, 6); /* not before those that wait */
    ck_assert_int_eq(flush(), 4);
    client_expect_reply(&client, 1, 0);
    ck_assert_mem_eq(client.payload, "one", 3);
    client_expect_control(&client, FIPC_CONTROL_ROOM, 77);
    client_expect_reply(&client, 2, 0);
    ck_assert(client_take(&client));
    ck_assert_int_eq(client.header.kind, FIPC_KIND_CANCEL);
    ck_assert(!outbound_waits(client.slot));
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_REPLIED], 2);
}

TEST(handler_of_a_reply_that_waits_lives_until_it_is_sent)
{
    client_fill(&client);
    reply_text(1, "one");
    ck_assert_uint_eq(core.handlers.n_live, 1);
    ck_assert_uint_eq(client.slot->n_handlers[HANDLER_REPLYING], 1);
    ck_assert_uint_eq(client.slot->account->unsent_bytes, 3);
    client_drain(&client);
    ck_assert_int_eq(flush(), 1);
    ck_assert_uint_eq(core.handlers.n_live, 0);
    ck_assert_uint_eq(client.slot->account->unsent_bytes, 0);
}

TEST(reply_over_the_share_becomes_an_error)
{
    client_fill(&client);
    core.quota.unsent_bytes = 6;
    reply_text(1, "one");
    reply_text(2, "two");
    reply_text(3, "x");
    ck_assert_uint_eq(client.slot->account->unsent_bytes, 6);
    client_drain(&client);
    ck_assert_int_eq(flush(), 3);
    client_expect_reply(&client, 1, 0);
    client_expect_reply(&client, 2, 0);
    client_expect_reply(&client, 3, -ENOBUFS);
    ck_assert_uint_eq(client.size, 0);
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_ERROR], 1);
}

TEST(answer_to_a_wait_is_a_control_record)
{
    struct handler *handler = begin(9);

    handler->is_wait = true;
    handler->answer.header.target = 33;
    reply_data(&core, handler, NULL, 0);
    client_expect_control(&client, FIPC_CONTROL_WAITED, 33);
    ck_assert_uint_eq(client.header.id, 9);
}

TEST(refusal_and_answer_of_control_records_need_no_handler)
{
    const struct fipc_control opened = {.type = FIPC_CONTROL_OPENED};
    const struct fipc_header question = {.id = 12};

    outbound_refuse(client.slot, 11, -EAGAIN);
    outbound_answer(client.slot, &question, &opened, -ENOENT, 0);
    client_expect_reply(&client, 11, -EAGAIN);
    client_expect_control(&client, FIPC_CONTROL_OPENED, 0);
    ck_assert_uint_eq(client.header.id, 12);
    ck_assert_int_eq(client.header.status, -ENOENT);
    ck_assert_uint_eq(core.handlers.n_started, 0);
}

TEST(answer_whose_room_was_used_meanwhile_waits_with_its_body)
{
    const struct fipc_control opened = {.type = FIPC_CONTROL_OPENED, .opened = {.path = 77}};
    const struct fipc_header question = {.id = 12};
    struct fipc_control control;

    client_fill(&client);
    outbound_answer(client.slot, &question, &opened, 0, 5);
    outbound_answer(client.slot, &question, &opened, 0, 6);
    client_drain(&client);
    ck_assert_int_eq(flush(), 2);
    client_expect_control(&client, FIPC_CONTROL_OPENED, 5);
    ck_assert_uint_eq(client.header.id, 12);
    ck_assert_int_eq(fipc_control_decode(client.payload, client.size, &control), 0);
    ck_assert_uint_eq(control.opened.path, 77);
    client_expect_control(&client, FIPC_CONTROL_OPENED, 6);
    ck_assert_uint_eq(client.slot->account->unsent_bytes, 0);
}

TEST(slot_that_ends_drops_what_waits)
{
    client_fill(&client);
    reply_text(1, "one");
    outbound_room(&core, client.slot, 77);
    outbound_answer(client.slot, &(struct fipc_header){.id = 12},
                    &(struct fipc_control){.type = FIPC_CONTROL_SERVED}, 0, 5);
    reply_text(2, "two");
    (void)begin(3); /* in nobody's hands */
    ck_assert(reply_drop_some(&core, client.slot));
    ck_assert(!outbound_waits(client.slot));
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_DROPPED], 3);
    ck_assert_uint_eq(client.slot->account->unsent_bytes, 0);
}

TEST(corrupt_ring_ends_its_slot_once)
{
    client_fill(&client);
    atomic_store(&client.channel.in.shared->head, 7);
    reply_text(1, "one");
    reply_text(2, "two");
    ck_assert(client.slot->is_ending);
    ck_assert_int_eq((int)client.slot->end_reason, FIPC_REASON_CORRUPT_RING);
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_DROPPED], 2);
    ck_assert_ptr_eq(STAILQ_FIRST(&core.slots.ending), client.slot);
    ck_assert_ptr_null(STAILQ_NEXT(client.slot, in_ending));
}

TEST(goodbye_comes_after_the_last_record_and_closes_the_end)
{
    reply_text(1, "one");
    outbound_goodbye(client.slot, FIPC_REASON_IDLE, true);
    ck_assert(fipc_end_is_closing(client.channel.peer));
    client_expect_reply(&client, 1, 0);
    client_expect_control(&client, FIPC_CONTROL_GOODBYE, 0);
}

/* SPDX-License-Identifier: MIT */
/* How a handler begins, and how it ends: answered exactly once, or dropped without a word. */
#include "daemon/traffic/reply.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>
#include <string.h>

#define LONGEST_NS (30 * FIPC_NS_PER_S) /* handler_ms of the fixture */

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

static struct handler *begin(uint64_t id, uint64_t remaining_ns)
{
    struct handler *handler = reply_begin(&core, client.slot, id, remaining_ns);

    ck_assert_ptr_nonnull(handler);
    return handler;
}

/* A handler in a live state, on the way of every message. */
static struct handler *begin_in(uint64_t id, enum handler_state state)
{
    struct handler *handler = begin(id, 0);

    while (handler->state != state)
        reply_set_state(&core, handler, handler->state + 1);
    return handler;
}

/* ---- begin ---- */

GROUP(begins, .fixtures = {{set_up, tear_down}});

static const struct {
    uint64_t asked_ns, given_ns;
    bool is_capped;
} spans[] = {
    {0, LONGEST_NS, false},
    {1, 1, false},
    {LONGEST_NS - 1, LONGEST_NS - 1, false},
    {LONGEST_NS, LONGEST_NS, false},
    {LONGEST_NS + 1, LONGEST_NS, true},
    {UINT64_MAX, LONGEST_NS, true},
};

LOOP_TEST(caller_gets_the_time_that_it_asked_for_up_to_the_longest, COUNT_OF(spans))
{
    struct handler *handler = begin(7, spans[_i].asked_ns);

    ck_assert_uint_eq(handler->id, 7);
    ck_assert_uint_eq(handler->started_ns, test_now_ns);
    ck_assert_uint_eq(handler->deadline_ns, test_now_ns + spans[_i].given_ns);
    reply_not_delivered(&core, handler, -ENOENT);
    client_expect_reply(&client, 7, -ENOENT);
    ck_assert_uint_eq(client.header.flags,
                      FIPC_REPLY_NOT_DELIVERED | (spans[_i].is_capped ? FIPC_REPLY_CAPPED : 0));
}

TEST(uid_has_its_share_of_handlers)
{
    struct test_client same, other;
    struct handler *first;

    client_open(&same, TEST_STRANGER);
    client_open(&other, TEST_STRANGER + 1);
    core.quota.handlers = share_of(100, 2, 0);
    first = begin(1, 0);
    (void)begin(2, 0);
    ck_assert_ptr_null(reply_begin(&core, client.slot, 3, 0));
    ck_assert_ptr_null(reply_begin(&core, same.slot, 3, 0));
    ck_assert_ptr_nonnull(reply_begin(&core, other.slot, 3, 0));
    ck_assert_uint_eq(core.handlers.n_started, 3);

    reply_drop(&core, first);
    ck_assert_ptr_nonnull(reply_begin(&core, same.slot, 3, 0));
    client_close(&same);
    client_close(&other);
}

TEST(no_handler_begins_when_all_are_live)
{
    core.quota.handlers = share_of(UINT32_MAX, UINT32_MAX, 0);
    for (uint32_t i = 0; i < core.handlers.places.capacity; i++)
        if (reply_begin(&core, client.slot, i, 0) == NULL)
            ck_abort_msg("handler %u", i);
    ck_assert_ptr_null(reply_begin(&core, client.slot, 0, 0));
    ck_assert_uint_eq(client.slot->account->n_handlers, core.handlers.places.capacity);
}

TEST(slot_counts_its_handlers_by_state)
{
    struct slot *slot = client.slot;
    struct handler *handler = begin(1, 0);

    (void)begin_in(2, HANDLER_RUNNING);
    ck_assert_uint_eq(slot->n_handlers[HANDLER_TAKEN], 1);
    ck_assert_uint_eq(slot->n_handlers[HANDLER_RUNNING], 1);
    reply_set_state(&core, handler, HANDLER_ROUTED);
    ck_assert_uint_eq(slot->n_handlers[HANDLER_TAKEN], 0);
    ck_assert_uint_eq(slot->n_handlers[HANDLER_ROUTED], 1);
    ck_assert_uint_eq(slot_n_live(slot), 2);
    ck_assert_uint_eq(slot->account->n_handlers, 2);
    ck_assert_uint_eq(slot->calls, 2);

    ck_assert(reply_drop_some(&core, slot));
    for (unsigned state = 0; state < HANDLER_STATE_COUNT; state++)
        ck_assert_uint_eq(slot->n_handlers[state], 0);
    ck_assert_uint_eq(slot->account->n_handlers, 0);
    ck_assert_uint_eq(slot->calls, 2);
}

/* ---- end ---- */

GROUP(ends, .fixtures = {{set_up, tear_down}});

static void by_data(struct core *c, struct handler *handler) { reply_data(c, handler, "x", 1); }
static void by_error(struct core *c, struct handler *handler) { reply_error(c, handler, -EIO); }
static void unseen(struct core *c, struct handler *handler)
{
    reply_not_delivered(c, handler, -EIO);
}

static const struct {
    enum handler_state from;
    void (*end)(struct core *core, struct handler *handler);
    enum handler_outcome outcome;
    int status;
    unsigned flags;
    size_t size;
} endings[] = {
    {HANDLER_RUNNING, by_data, HANDLER_REPLIED, 0, 0, 1},
    {HANDLER_TAKEN, by_error, HANDLER_ERROR, -EIO, 0, 0},
    {HANDLER_ROUTED, by_error, HANDLER_ERROR, -EIO, 0, 0},
    {HANDLER_RUNNING, by_error, HANDLER_ERROR, -EIO, 0, 0},
    {HANDLER_TAKEN, unseen, HANDLER_ERROR, -EIO, FIPC_REPLY_NOT_DELIVERED, 0},
    {HANDLER_ROUTED, unseen, HANDLER_ERROR, -EIO, FIPC_REPLY_NOT_DELIVERED, 0},
};

LOOP_TEST(caller_is_answered_once, COUNT_OF(endings))
{
    struct handler *handler = begin_in(9, endings[_i].from);

    test_now_ns += 5;
    (void)core_look_at_clock(&core);
    reply_set_deadline(&core, handler);
    endings[_i].end(&core, handler);

    client_expect_reply(&client, 9, endings[_i].status);
    ck_assert_uint_eq(client.header.flags, endings[_i].flags);
    ck_assert_uint_eq(client.size, endings[_i].size);
    ck_assert_uint_eq(core.handlers.n_ended[endings[_i].outcome], 1);
    ck_assert_uint_eq(core.handlers.n_live, 0);
    ck_assert_uint_eq(client.slot->active_ns, test_now_ns); /* idle from here on */
    ck_assert_uint_eq(core.hot.count, 1);                   /* to be rung for */
    test_advance(2 * LONGEST_NS);
    ck_assert(!client_take(&client));
}

static const enum handler_state live[] = {HANDLER_TAKEN, HANDLER_ROUTED, HANDLER_RUNNING,
                                          HANDLER_REPLYING};

LOOP_TEST(dropped_handler_says_nothing, COUNT_OF(live))
{
    struct handler *handler = begin_in(1, live[_i]);

    reply_set_deadline(&core, handler);
    reply_drop(&core, handler);
    test_advance(2 * LONGEST_NS);
    ck_assert(!client_take(&client));
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_DROPPED], 1);
    ck_assert_uint_eq(core.handlers.n_live, 0);
}

static const int beyond_max[] = {-1, 0, 1};

LOOP_TEST(reply_that_the_caller_cannot_take_is_an_error, COUNT_OF(beyond_max))
{
    static const unsigned char data[TEST_RING_BYTES];
    struct handler *handler = begin_in(1, HANDLER_RUNNING);
    size_t max = reply_bytes_max(&core, handler);
    size_t size = max + (size_t)beyond_max[_i];

    ck_assert_uint_eq(max, fipc_ring_payload_max(TEST_RING_BYTES));
    reply_data(&core, handler, data, size);
    client_expect_reply(&client, 1, beyond_max[_i] > 0 ? -EMSGSIZE : 0);
    ck_assert_uint_eq(client.size, beyond_max[_i] > 0 ? 0 : size);
}

/* ---- deadlines ---- */

GROUP(deadlines, .fixtures = {{set_up, tear_down}});

TEST(each_handler_ends_when_its_time_is_over)
{
    reply_set_deadline(&core, begin(1, 300));
    reply_set_deadline(&core, begin(2, 100));
    reply_set_deadline(&core, begin(3, 200));
    test_advance(99);
    ck_assert(!client_take(&client));
    test_advance(1);
    client_expect_reply(&client, 2, -ETIMEDOUT);
    ck_assert_uint_eq(client.header.flags, 0); /* perhaps somebody has seen it */
    ck_assert(!client_take(&client));
    test_advance(1000);
    client_expect_reply(&client, 3, -ETIMEDOUT);
    client_expect_reply(&client, 1, -ETIMEDOUT);
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_ERROR], 3);
}

TEST(answer_that_waits_for_room_has_no_deadline)
{
    struct handler *handler = begin_in(1, HANDLER_RUNNING);

    reply_set_deadline(&core, handler);
    client_fill(&client);
    reply_data(&core, handler, "late", 4);
    test_advance(2 * LONGEST_NS);
    client_drain(&client);
    ck_assert_int_eq(reply_send_waiting(&core, client.slot), 1);
    client_expect_reply(&client, 1, 0);
    ck_assert_mem_eq(client.payload, "late", 4);
}

/* ---- one-shots ---- */

GROUP(oneshots, .fixtures = {{core_set_up, core_tear_down}});

static const struct {
    size_t size;
    int status;
} oneshot_replies[] = {
    {0, 0},
    {1, 0},
    {FIPC_ONESHOT_REPLY_BYTES_MAX, 0},
    {FIPC_ONESHOT_REPLY_BYTES_MAX + 1, -EMSGSIZE},
};

/* Takes the packet with the reply. Return: its data, for the size of them in control */
static const void *take_packet(int lane_fd, struct fipc_control *ret_control)
{
    static unsigned char packet[FIPC_PACKET_BYTES_MAX];
    size_t size;

    ck_assert_int_eq(fipc_lane_receive_plain(lane_fd, packet, sizeof(packet), &size), 0);
    ck_assert_int_eq(fipc_control_decode(packet, size, ret_control), 0);
    ck_assert_int_eq(ret_control->type, FIPC_CONTROL_ONESHOT_REPLY);
    return ret_control->data;
}

LOOP_TEST(oneshot_is_answered_on_its_lane_and_ends, COUNT_OF(oneshot_replies))
{
    static unsigned char data[FIPC_ONESHOT_REPLY_BYTES_MAX + 1];
    size_t size = oneshot_replies[_i].status == 0 ? oneshot_replies[_i].size : 0;
    struct fipc_control reply;
    const void *got;

    memset(data, 'd', sizeof(data));
    client_open_oneshot(&client, TEST_STRANGER);
    reply_data(&core, begin_in(4, HANDLER_RUNNING), data, oneshot_replies[_i].size);

    got = take_packet(client.lane_fd, &reply);
    ck_assert_uint_eq(reply.oneshot_reply.id, 4);
    ck_assert_int_eq(reply.oneshot_reply.status, oneshot_replies[_i].status);
    ck_assert_uint_eq(reply.oneshot_reply.data_bytes, size);
    ck_assert_mem_eq(got, data, size);
    ck_assert(client.slot->is_ending);
    ck_assert_int_eq((int)client.slot->end_reason, FIPC_REASON_NONE);
    ck_assert_uint_eq(core.handlers.n_live, 0);
    client_close(&client);
}

TEST(oneshot_that_hung_up_ends_all_the_same)
{
    client_open_oneshot(&client, TEST_STRANGER);
    client.lane_fd = fd_close(client.lane_fd);
    reply_error(&core, begin(4, 0), -ENOENT);
    ck_assert(client.slot->is_ending);
    ck_assert_uint_eq(core.handlers.n_ended[HANDLER_ERROR], 1);
    client_close(&client);
}

/* SPDX-License-Identifier: MIT */
/* Sending never waits: each outcome, at the edges of the ring and of the open questions. */
#include "client/link/outgoing.h"

#include "tests/unit/link/played_link.h"

#include <errno.h>

static struct played_link link_;
static struct fipc_connection *connection;
static struct fipc_pending questions[PLAYED_CALLS_MAX];

static void make_link(void)
{
    played_link_make(&link_);
    connection = link_.connection;
}

static void drop_link(void)
{
    (void)fipc_pending_take_all(&connection->pending);
    fipc_connection_release(connection, &connection->n_users);
    played_link_drop(&link_);
}

static struct fipc_question question_of(uint16_t kind, size_t size, bool no_wait)
{
    static const char bytes[PLAYED_RING_BYTES];

    return (struct fipc_question){
        .header = {.kind = kind, .id = 7}, .payload = bytes, .size = size, .no_wait = no_wait};
}

static void open_questions(unsigned n, bool wait_for_services)
{
    for (unsigned i = 0; i < n; i++) {
        questions[i] = (struct fipc_pending){.id = fipc_pending_next_id(&connection->pending),
                                             .is_submitted_wait = wait_for_services};
        fipc_pending_add(&connection->pending, &questions[i]);
    }
}

GROUP(sends, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

static const struct {
    uint16_t kind;
    bool no_wait;
    unsigned n_open;
    bool may_ask;
} opens[] = {
    {FIPC_KIND_REQUEST, false, PLAYED_CALLS_MAX - 1, true},
    {FIPC_KIND_REQUEST, false, PLAYED_CALLS_MAX, false},
    {FIPC_KIND_CONTROL, false, PLAYED_CALLS_MAX, false},
    {FIPC_KIND_REQUEST, true, PLAYED_CALLS_MAX - 3, true}, /* one in 16 is left to others */
    {FIPC_KIND_REQUEST, true, PLAYED_CALLS_MAX - 2, false},
    {FIPC_KIND_CONTROL, true, PLAYED_CALLS_MAX - 2, false},
    {FIPC_KIND_REPLY, false, PLAYED_CALLS_MAX, true}, /* opens none */
    {FIPC_KIND_CANCEL, true, PLAYED_CALLS_MAX, true},
};

LOOP_TEST(open_questions_are_limited, COUNT_OF(opens))
{
    struct fipc_question question = question_of(opens[_i].kind, 0, opens[_i].no_wait);

    open_questions(opens[_i].n_open, false);
    ck_assert_int_eq(fipc_outgoing_may_ask(connection, &question), opens[_i].may_ask);
    ck_assert_int_eq(fipc_outgoing_send(connection, &question), opens[_i].may_ask ? 0 : -EAGAIN);
}

TEST(half_of_the_questions_may_wait_for_services)
{
    open_questions(PLAYED_CALLS_MAX / 2 - 1, true);
    ck_assert(fipc_outgoing_may_wait(connection));
    questions[PLAYED_CALLS_MAX - 1] = (struct fipc_pending){.id = 1, .is_submitted_wait = true};
    fipc_pending_add(&connection->pending, &questions[PLAYED_CALLS_MAX - 1]);
    ck_assert(!fipc_outgoing_may_wait(connection));
}

static const struct {
    size_t size;
    bool is_full;
    int r;
} sizes[] = {
    {0, false, 0},
    {1, false, 0},
    {PLAYED_RING_BYTES / 2 - sizeof(struct fipc_header), false, 0},
    {PLAYED_RING_BYTES / 2 - sizeof(struct fipc_header) + 1, false, -EMSGSIZE},
    {0, true, -EAGAIN},
    {PLAYED_RING_BYTES / 2 - sizeof(struct fipc_header) + 1, true, -EMSGSIZE},
};

LOOP_TEST(a_record_fits_now_or_later_or_never, COUNT_OF(sizes))
{
    struct fipc_question question = question_of(FIPC_KIND_REQUEST, sizes[_i].size, false);
    struct fipc_header header;

    if (sizes[_i].is_full)
        (void)played_fill(&link_, 0);
    ck_assert_int_eq(fipc_outgoing_has_room(connection, &question), sizes[_i].r != -EAGAIN);
    ck_assert_int_eq(fipc_outgoing_send(connection, &question), sizes[_i].r);
    if (sizes[_i].r == 0) {
        ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_REQUEST);
        ck_assert_uint_eq(fipc_payload_size(&header), sizes[_i].size);
    }
    ck_assert(!connection->is_corrupt);
}

TEST(a_corrupt_ring_marks_the_connection_and_loses_nothing)
{
    struct fipc_question question = question_of(FIPC_KIND_REQUEST, 0, false);

    (void)played_fill(&link_, 0);
    played_corrupt(&link_);
    ck_assert_int_eq(fipc_outgoing_send(connection, &question), -EPROTO);
    ck_assert(connection->is_corrupt && !connection->is_over);
}

TEST(a_corrupt_end_word_marks_the_connection)
{
    struct fipc_question question = question_of(FIPC_KIND_REQUEST, 0, false);

    atomic_store(&link_.broker.own->word, 77);
    ck_assert_int_eq(fipc_outgoing_send(connection, &question), -EPROTO);
    ck_assert(connection->is_corrupt);
}

TEST(a_sleeping_broker_is_rung_once)
{
    struct fipc_question question = question_of(FIPC_KIND_REQUEST, 0, false);
    eventfd_t rings = 0;

    fipc_end_arm(link_.broker.own, FIPC_END_ASLEEP_FD);
    ck_assert_int_eq(fipc_outgoing_send(connection, &question), 0);
    ck_assert_int_eq(fipc_outgoing_send(connection, &question), 0);
    ck_assert_int_eq(eventfd_read(link_.bell_fd, &rings), 0);
    ck_assert_uint_eq(rings, 1);
}

/* ---- the record that is stuck ---- */

TEST(a_record_without_room_is_remembered)
{
    struct fipc_question question = question_of(FIPC_KIND_REQUEST, 500, false);
    struct fipc_header header;

    (void)played_fill(&link_, 0);
    ck_assert_int_eq(fipc_outgoing_send_next(connection, &question), -EAGAIN);
    ck_assert(question.no_wait);
    ck_assert(!fipc_outgoing_wants_room(connection)); /* the session says that it is stuck */
    connection->is_stuck = true;
    ck_assert(fipc_outgoing_wants_room(connection));
    ck_assert(!fipc_outgoing_can_go_on(connection));
    while (played_take(&link_, &header) >= 0)
        continue;
    ck_assert(fipc_outgoing_can_go_on(connection));
}

TEST(a_record_stuck_for_open_questions_wants_no_room)
{
    struct fipc_question question = question_of(FIPC_KIND_REQUEST, 0, true);

    open_questions(PLAYED_CALLS_MAX, false);
    ck_assert_int_eq(fipc_outgoing_send_next(connection, &question), -EAGAIN);
    connection->is_stuck = true;
    ck_assert(!fipc_outgoing_wants_room(connection));
    ck_assert(!fipc_outgoing_can_go_on(connection));
}

/* ---- places ---- */

/* Return: the place of a request that was sent */
static struct fipc_pending send_with_place(uint64_t id)
{
    const struct fipc_question request = {.header = {.kind = FIPC_KIND_REQUEST, .id = id}};
    struct fipc_pending pending = {.id = id};
    struct fipc_header header;

    ck_assert_int_eq(fipc_outgoing_send(connection, &request), 0);
    fipc_outgoing_sent(connection, &request, &pending);
    ck_assert(pending.has_place);
    ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_REQUEST);
    ck_assert_int_eq(header.status, pending.place); /* which the broker learns */
    return pending;
}

TEST(each_request_has_a_place_until_its_cancel_is_sent)
{
    const struct fipc_question request = {.header.kind = FIPC_KIND_REQUEST};
    struct fipc_question impatient = request;
    struct fipc_pending first = send_with_place(1);
    struct fipc_header header;

    ck_assert_uint_eq(first.place, 0);
    impatient.no_wait = true;
    for (uint64_t id = 2; id <= FIPC_PLACES_MIN; id++) {
        /* one in 16 is left to threads that wait */
        ck_assert_int_eq(fipc_outgoing_may_ask(connection, &impatient),
                         id <= FIPC_PLACES_MIN - FIPC_PLACES_MIN / 16);
        ck_assert_uint_eq(send_with_place(id).place, id - 1);
    }
    ck_assert(!fipc_outgoing_may_ask(connection, &request));
    ck_assert_int_eq(fipc_outgoing_send(connection, &request), -EAGAIN);

    fipc_outgoing_cancel(connection, &first);
    ck_assert(!fipc_outgoing_may_ask(connection, &request));
    ck_assert_int_eq(fipc_outgoing_send_cancels(connection), 0);
    ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_CANCEL);
    ck_assert_uint_eq(send_with_place(99).place, 0);
}

TEST(question_has_no_place)
{
    const struct fipc_question open = {.header = {.kind = FIPC_KIND_CONTROL, .id = 1}};
    struct fipc_pending pending = {.id = 1};

    ck_assert_int_eq(fipc_outgoing_send(connection, &open), 0);
    fipc_outgoing_sent(connection, &open, &pending);
    ck_assert(!pending.has_place);
    ck_assert_uint_eq(fipc_places_left(&connection->places), FIPC_PLACES_MIN);
}

/* ---- cancels ---- */

TEST(cancels_wait_for_room_in_their_order)
{
    struct fipc_header header;
    unsigned n_filled = played_fill(&link_, 0);

    for (uint64_t id = 1; id <= 3; id++)
        fipc_outgoing_cancel(connection, &(struct fipc_pending){.id = id});
    ck_assert_int_eq(fipc_outgoing_send_cancels(connection), -EAGAIN);
    while (n_filled-- > 0)
        ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_CANCEL);
    ck_assert_int_eq(fipc_outgoing_send_cancels(connection), 0);
    for (uint64_t id = 1; id <= 3; id++) {
        ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_CANCEL);
        ck_assert_uint_eq(header.id, id);
    }
    ck_assert_int_eq(played_take(&link_, &header), -1);
}

TEST(unsent_cancels_end_with_the_connection)
{
    fipc_outgoing_cancel(
        connection, &(struct fipc_pending){.id = 1}); /* under AddressSanitizer a leak fails here */
    ck_assert(!STAILQ_EMPTY(&connection->cancels));
}

/* SPDX-License-Identifier: MIT */
/* Where a loan lies, through all that can happen to it. */
#include "client/link/placing.h"

#include "client/base/message.h"
#include "client/link/outgoing.h"
#include "tests/unit/link/played_link.h"

#define SIZE 100u

static struct played_link link_;
static struct fipc_connection *connection;
static struct fipc_message *loan;

static struct fipc_message *loan_new(void)
{
    struct fipc_message *made = fipc_message_new(NULL, SIZE);

    made->size = SIZE;
    return made;
}

static void make_link(void)
{
    played_link_make(&link_);
    connection = link_.connection;
    loan = loan_new();
}

static void drop_link(void)
{
    (void)fipc_placing_drop(loan);
    fipc_placing_forget(loan);
    fipc_message_recycle(loan);
    if (connection != NULL)
        fipc_connection_release(connection, &connection->n_users);
    played_link_drop(&link_);
}

static void overtake(void)
{
    const struct fipc_header header = {.kind = FIPC_KIND_CANCEL};

    ck_assert_int_eq(fipc_producer_send(&connection->channel.out, &header, NULL, 0), 0);
}

GROUP(places, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

TEST(a_loan_is_sent_from_where_it_was_filled)
{
    unsigned char taken[PLAYED_RING_BYTES];
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .id = 5};

    fipc_placing_try(loan, connection);
    ck_assert(fipc_placing_is_in_ring(loan, connection));
    ck_assert_ptr_ne(loan->data, loan->buffer);
    pattern_fill(loan->data, SIZE, 1);
    fipc_placing_commit(loan, &header);
    ck_assert_uint_eq(connection->n_loans, 0);
    ck_assert_int_eq(played_take_with(&link_, &header, taken), FIPC_KIND_REQUEST);
    ck_assert_uint_eq(header.id, 5);
    ck_assert(pattern_matches(taken, SIZE, 1));
}

TEST(a_second_loan_stays_in_its_buffer)
{
    struct fipc_message *second = loan_new();

    fipc_placing_try(loan, connection);
    fipc_placing_try(second, connection);
    ck_assert(!fipc_placing_is_in_ring(second, connection));
    ck_assert_ptr_eq(second->data, second->buffer);
    ck_assert(!fipc_placing_drop(second));
    fipc_message_recycle(second);
}

TEST(a_loan_without_room_stays_in_its_buffer)
{
    (void)played_fill(&link_, 0);
    fipc_placing_try(loan, connection);
    ck_assert(!fipc_placing_is_in_ring(loan, connection));
    ck_assert_uint_eq(connection->n_loans, 0);
}

TEST(an_overtaken_loan_moves_out_with_its_request)
{
    fipc_placing_try(loan, connection);
    pattern_fill(loan->data, SIZE, 2);
    overtake();
    ck_assert(!fipc_placing_is_in_ring(loan, connection));
    fipc_placing_move_out(loan);
    ck_assert_ptr_eq(loan->data, loan->buffer);
    ck_assert(pattern_matches(loan->data, SIZE, 2));
    ck_assert_uint_eq(connection->n_loans, 0);
    fipc_placing_move_out(loan); /* safe twice */
}

TEST(a_loan_outlives_its_connection)
{
    fipc_placing_try(loan, connection);
    pattern_fill(loan->data, SIZE, 3);
    fipc_connection_release(connection, &connection->n_users);
    connection = NULL;
    ck_assert(!fipc_placing_is_in_ring(loan, NULL));
    fipc_placing_move_out(loan);
    ck_assert(pattern_matches(loan->data, SIZE, 3));
}

TEST(a_committed_loan_is_recovered_while_its_region_lives)
{
    const struct fipc_header header = {.kind = FIPC_KIND_REQUEST};

    fipc_placing_try(loan, connection);
    pattern_fill(loan->data, SIZE, 4);
    fipc_placing_commit(loan, &header);
    fipc_placing_recover(loan);
    ck_assert_ptr_eq(loan->data, loan->buffer);
    ck_assert(pattern_matches(loan->data, SIZE, 4));
    fipc_placing_recover(loan); /* safe twice */
    ck_assert(pattern_matches(loan->data, SIZE, 4));
}

/* Others send until the ring was gone round, and the broker takes all of it. */
static void go_round(unsigned times)
{
    static const unsigned char others[64];
    struct fipc_question question = {
        .header.kind = FIPC_KIND_CANCEL, .payload = others, .size = sizeof(others)};
    uint64_t end = connection->channel.out.tail + times * PLAYED_RING_BYTES;
    struct fipc_header header;

    while (connection->channel.out.tail < end) {
        ck_assert_int_eq(fipc_outgoing_send(connection, &question), 0);
        while (played_take(&link_, &header) >= 0)
            ;
    }
}

/* A service without room gives the request back, a broker that dies has it sent again: whatever was
 * sent meanwhile, it is the request. */
LOOP_TEST(a_sent_loan_stays_itself_though_others_use_its_room, 4)
{
    const struct fipc_header header = {.kind = FIPC_KIND_REQUEST};

    fipc_placing_try(loan, connection);
    pattern_fill(loan->data, SIZE, 6);
    fipc_placing_commit(loan, &header);
    go_round((unsigned)_i);
    fipc_placing_recover(loan);
    ck_assert_ptr_null(loan->sent_on);
    ck_assert_ptr_eq(loan->data, loan->buffer);
    ck_assert(pattern_matches(loan->data, SIZE, 6));
}

TEST(a_sent_loan_stays_itself_though_the_next_one_uses_its_room)
{
    const struct fipc_header header = {.kind = FIPC_KIND_REQUEST};
    unsigned n = 0;

    fipc_placing_try(loan, connection);
    pattern_fill(loan->data, SIZE, 7);
    fipc_placing_commit(loan, &header);
    for (; loan->sent_on != NULL; n++) {
        struct fipc_message *next = loan_new();
        struct fipc_header taken;

        while (played_take(&link_, &taken) >= 0)
            ;
        fipc_placing_try(next, connection);
        memset(next->data, 0xff, SIZE);
        fipc_placing_commit(next, &header);
        fipc_placing_forget(next);
        fipc_message_recycle(next);
    }
    ck_assert_uint_gt(n, PLAYED_RING_BYTES / 200); /* not before it has to */
    ck_assert(pattern_matches(loan->data, SIZE, 7));
}

TEST(a_sent_loan_outlives_its_connection)
{
    const struct fipc_header header = {.kind = FIPC_KIND_REQUEST};

    fipc_placing_try(loan, connection);
    fipc_placing_commit(loan, &header);
    fipc_placing_forget_all(connection);
    fipc_connection_release(connection, &connection->n_users);
    connection = NULL;
    ck_assert_ptr_null(loan->sent_on);
    fipc_placing_recover(loan);
    fipc_placing_forget(loan);
}

TEST(a_dropped_loan_gives_its_room_back_once)
{
    fipc_placing_try(loan, connection);
    ck_assert(fipc_placing_drop(loan));
    ck_assert(!fipc_placing_drop(loan));
    ck_assert_uint_eq(connection->n_loans, 0);
}

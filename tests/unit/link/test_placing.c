/* SPDX-License-Identifier: MIT */
/* Where a loan lies, through all that can happen to it. */
#include "client/link/placing.h"

#include "client/base/message.h"
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

TEST(a_dropped_loan_gives_its_room_back_once)
{
    fipc_placing_try(loan, connection);
    ck_assert(fipc_placing_drop(loan));
    ck_assert(!fipc_placing_drop(loan));
    ck_assert_uint_eq(connection->n_loans, 0);
}

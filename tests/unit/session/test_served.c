/* SPDX-License-Identifier: MIT */
/* The names that a client serves: asked about on each connection, agreed to, refused, revoked. */
#include "client/session/served.h"

#include "client/link/outgoing.h"
#include "common/control.h"
#include "tests/unit/link/played_link.h"

#include <errno.h>

static struct played_link link_;
static struct fipc_connection *connection;
static struct fipc_served_names names;

static void make_link(void)
{
    played_link_make(&link_);
    connection = link_.connection;
    ck_assert_int_eq(fipc_served_init(&names), 0);
}

static void drop_link(void)
{
    (void)fipc_pending_take_all(&connection->pending);
    fipc_served_deinit(&names);
    fipc_connection_release(connection, &connection->n_users);
    played_link_drop(&link_);
}

/* The answer to the question about a name; @connection: NULL: it was lost. */
static void answer(struct fipc_served *served, int status, uint32_t target, bool is_lost)
{
    if (!is_lost)
        fipc_pending_remove(&connection->pending, &served->question);
    served->question.status = status;
    served->question.target = target;
    served->question.on_done(&served->question, is_lost ? NULL : connection);
}

GROUP(names_, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

TEST(names_are_found_by_name_and_by_number)
{
    struct fipc_served *a = fipc_served_add(&names, "a", 1);
    struct fipc_served *ab = fipc_served_add(&names, "ab", 2);

    ck_assert_ptr_eq(fipc_served_find(&names, "a", 1), a);
    ck_assert_ptr_eq(fipc_served_find(&names, "ab", 2), ab);
    ck_assert_ptr_null(fipc_served_find(&names, "b", 1));
    ck_assert_ptr_null(fipc_served_of_target(&names, 0)); /* not agreed to yet */
    ck_assert_int_eq(fipc_served_go_on(&names, connection), 0);
    answer(ab, 0, 5, false);
    ck_assert_ptr_eq(fipc_served_of_target(&names, 5), ab);
    fipc_served_remove(ab);
    ck_assert_ptr_null(fipc_served_of_target(&names, 5));
    answer(a, 0, 6, false);
}

TEST(the_broker_is_asked_once_on_each_connection)
{
    unsigned char packet[PLAYED_RING_BYTES];
    struct fipc_served *served = fipc_served_add(&names, "a.b", 3);
    struct fipc_control control;
    struct fipc_header header;

    served->concurrency = 7;
    ck_assert_int_eq(fipc_served_go_on(&names, connection), 0);
    ck_assert_int_eq(fipc_served_go_on(&names, connection), 0);
    ck_assert_int_eq(played_take_with(&link_, &header, packet), FIPC_KIND_CONTROL);
    ck_assert_int_eq(fipc_control_decode(packet, fipc_payload_size(&header), &control), 0);
    ck_assert_int_eq(control.type, FIPC_CONTROL_SERVE);
    ck_assert_uint_eq(control.serve.concurrency, 7);
    ck_assert_mem_eq(control.name, "a.b", 3);
    ck_assert_int_eq(played_take(&link_, &header), -1);
    answer(served, 0, 1, false);
    fipc_served_lost(&names);
    ck_assert_int_eq(served->state, FIPC_SERVED_UNKNOWN);
    ck_assert_int_eq(fipc_served_go_on(&names, connection), 0);
    ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_CONTROL);
}

static const struct {
    int status;
    bool had_agreed, is_lost;
    enum fipc_served_state state;
    unsigned n_revoked;
} answers[] = {
    {0, false, false, FIPC_SERVED_AGREED, 0},
    {0, true, false, FIPC_SERVED_AGREED, 0},
    {-EACCES, false, false, FIPC_SERVED_REFUSED, 0}, /* fipc_serve() returns it */
    {-EACCES, true, false, FIPC_SERVED_REFUSED, 1},  /* fipc_dispatch() does */
    {-ECONNRESET, false, true, FIPC_SERVED_UNKNOWN, 0},
    {FIPC_NOT_SENT, true, true, FIPC_SERVED_UNKNOWN, 0},
};

LOOP_TEST(an_answer_agrees_refuses_or_revokes, COUNT_OF(answers))
{
    struct fipc_served *served = fipc_served_add(&names, "a", 1);

    served->has_agreed = answers[_i].had_agreed;
    ck_assert_int_eq(fipc_served_go_on(&names, connection), 0);
    answer(served, answers[_i].status, 4, answers[_i].is_lost);
    ck_assert_int_eq(served->state, answers[_i].state);
    ck_assert_uint_eq(names.n_revoked, answers[_i].n_revoked);
    ck_assert(names.has_news);
    ck_assert_int_eq(fipc_served_take_revoked(&names),
                     answers[_i].n_revoked > 0 ? answers[_i].status : 0);
    ck_assert_int_eq(fipc_served_find(&names, "a", 1) == NULL, answers[_i].n_revoked > 0);
    ck_assert_int_eq(fipc_served_take_revoked(&names), 0); /* once */
}

TEST(a_name_without_room_is_asked_about_later)
{
    struct fipc_served *served = fipc_served_add(&names, "a", 1);
    struct fipc_header header;

    (void)played_fill(&link_, 0);
    ck_assert_int_eq(fipc_served_go_on(&names, connection), -EAGAIN);
    ck_assert_int_eq(served->state, FIPC_SERVED_UNKNOWN);
    while (played_take(&link_, &header) >= 0)
        continue;
    ck_assert_int_eq(fipc_served_go_on(&names, connection), 0);
    ck_assert_int_eq(served->state, FIPC_SERVED_ASKED);
}

TEST(a_corrupt_ring_ends_the_row)
{
    (void)fipc_served_add(&names, "a", 1);
    (void)fipc_served_add(&names, "b", 1);
    (void)played_fill(&link_, 0);
    played_corrupt(&link_);
    ck_assert_int_eq(fipc_served_go_on(&names, connection), -EPROTO);
    ck_assert(connection->is_corrupt);
}

TEST(all_names_are_forgotten_without_a_word)
{
    struct fipc_served *served = fipc_served_add(&names, "a", 1);

    served->state = FIPC_SERVED_REFUSED;
    served->has_agreed = true;
    names.n_revoked = 1;
    (void)fipc_served_add(&names, "b", 1);
    fipc_served_forget_all(&names);
    ck_assert_ptr_null(fipc_served_find(&names, "b", 1));
    ck_assert_int_eq(fipc_served_take_revoked(&names), 0);
}

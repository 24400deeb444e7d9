/* SPDX-License-Identifier: MIT */
/* What a connection keeps for how long: users all of it, loans the region. */
#include "client/link/connection.h"

#include "common/clock.h"
#include "tests/unit/link/played_link.h"

static struct played_link link_;
static struct fipc_connection *connection;

static void make_link(void)
{
    played_link_make(&link_);
    connection = link_.connection;
}

static void drop_link(void)
{
    if (connection != NULL)
        fipc_connection_release(connection, &connection->n_users);
    played_link_drop(&link_);
}

GROUP(lives, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

TEST(welcome_says_how_much_is_allowed)
{
    ck_assert_uint_eq(connection->handler_ms, PLAYED_HANDLER_MS);
    ck_assert_uint_eq(connection->calls_max, PLAYED_CALLS_MAX);
    ck_assert_uint_eq(connection->n_users, 1);
    ck_assert(!connection->is_over && !connection->is_corrupt && !connection->is_stuck);
}

TEST(the_last_user_hangs_up)
{
    connection->n_users++;
    fipc_connection_release(connection, &connection->n_users);
    ck_assert(!fipc_lane_is_hung_up(link_.lane_fd));
    fipc_connection_release(connection, &connection->n_users);
    connection = NULL;
    ck_assert(fipc_lane_is_hung_up(link_.lane_fd));
}

TEST(a_loan_keeps_the_region_but_not_the_lane)
{
    const volatile unsigned char *ring = connection->channel.out.memory;

    connection->n_loans++;
    fipc_connection_release(connection, &connection->n_users);
    ck_assert(fipc_lane_is_hung_up(link_.lane_fd));
    ck_assert_uint_eq(ring[0], 0); /* still mapped */
    fipc_connection_release(connection, &connection->n_loans);
    connection = NULL;
}

/* ---- hanging up ---- */

static const struct {
    uint64_t silence_ns, waited_ns;
    bool hangs_up, is_lost;
} looks[] = {
    {1000, 999, true, false},   {1000, 1000, true, true}, {1000, 5000, true, true},
    {1000, 5000, false, false}, {0, 0, true, true},
};

LOOP_TEST(the_lane_is_looked_at_after_a_silence, COUNT_OF(looks))
{
    uint64_t now_ns = connection->heard_ns + looks[_i].waited_ns;
    bool looks_at_all = looks[_i].waited_ns >= looks[_i].silence_ns;

    if (looks[_i].hangs_up)
        played_hang_up(&link_);
    ck_assert_int_eq(fipc_connection_is_lost(connection, now_ns, looks[_i].silence_ns),
                     looks[_i].is_lost);
    ck_assert_int_eq(connection->heard_ns == now_ns, looks_at_all);
}

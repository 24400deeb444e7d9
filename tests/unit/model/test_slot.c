/* SPDX-License-Identifier: MIT */
/* The table of slots: which seat a client gets, and what a stale reference finds. */
#include "daemon/model/slot.h"
#include "tests/suite.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPACITY 8
#define LIMIT 4

static const struct fipc_identity nobody = {.uid = 65534, .gid = 65533, .pid = 65532};
static struct slot_table table;

static void make_table(void) { ck_assert_int_eq(slot_table_init(&table, CAPACITY, LIMIT), 0); }

static void drop_table(void)
{
    slot_table_deinit(&table);
    slot_table_deinit(&table); /* safe twice */
}

static struct slot *take(void)
{
    struct slot *slot = slot_take(&table, -1, &nobody, 1);

    ck_assert_ptr_nonnull(slot);
    return slot;
}

static void give_back(struct slot *slot)
{
    slot_set_state(&table, slot, SLOT_CLOSING);
    slot_free(&table, slot);
}

/* Every slot is counted in exactly one state. */
static void check_counts(void)
{
    uint32_t sum = 0;

    for (int state = 0; state < SLOT_STATE_COUNT; state++) {
        uint32_t count = 0;

        for (uint32_t i = 0; i < CAPACITY; i++)
            count += table.slots[i].state == (enum slot_state)state;
        ck_assert_uint_eq(table.n_by_state[state], count);
        sum += count;
    }
    ck_assert_uint_eq(sum, CAPACITY);
    ck_assert_uint_eq(slot_n_taken(&table), CAPACITY - table.n_by_state[SLOT_FREE]);
}

/* ---- taking ---- */

GROUP(taking, .fixtures = {{make_table, drop_table}});

TEST(taken_slot_is_greeting_and_empty)
{
    const struct slot *slot = slot_take(&table, 77, &nobody, 12345);

    ck_assert_ptr_nonnull(slot);
    ck_assert_int_eq(slot->state, SLOT_GREETING);
    ck_assert_int_eq(slot->lane_fd, 77);
    ck_assert_int_eq(slot->bell_fd, -1);
    ck_assert_int_eq(slot->region_fd, -1);
    ck_assert_uint_eq(slot->peer.uid, nobody.uid);
    ck_assert_uint_eq(slot->peer.gid, nobody.gid);
    ck_assert_int_eq(slot->peer.pid, nobody.pid);
    ck_assert_uint_eq(slot->taken_ns, 12345);
    ck_assert_ptr_null(slot->channel.region.base);
    ck_assert_uint_eq(slot->live.first, HANDLER_NONE);
    ck_assert(STAILQ_EMPTY(&slot->outbound));
    ck_assert_uint_eq(slot_n_live(slot), 0);
    check_counts();
}

TEST(first_takers_get_the_numbers_in_order)
{
    for (uint32_t i = 0; i < LIMIT; i++)
        ck_assert_uint_eq(take()->index, i);
    ck_assert_uint_eq(table.places.n_used, LIMIT);
    ck_assert_uint_eq(table.n_taken_ever, LIMIT);
    check_counts();
}

TEST(none_is_taken_beyond_the_limit)
{
    for (int i = 0; i < LIMIT; i++)
        (void)take();

    ck_assert_ptr_null(slot_take(&table, -1, &nobody, 1));
    ck_assert_uint_eq(table.n_taken_ever, LIMIT); /* clients without a slot are not counted */
}

TEST(limit_can_be_raised_and_lowered_at_any_time)
{
    struct slot *slots[LIMIT + 1];

    for (int i = 0; i < LIMIT; i++)
        slots[i] = take();
    table.limit = LIMIT + 1;
    slots[LIMIT] = take();
    table.limit = LIMIT - 1;

    ck_assert_ptr_null(slot_take(&table, -1, &nobody, 1));
    give_back(slots[0]);
    give_back(slots[1]);
    ck_assert_ptr_null(slot_take(&table, -1, &nobody, 1)); /* three are taken still */
    give_back(slots[2]);
    (void)take();
    check_counts();
}

TEST(former_slots_whose_memory_is_held_count_as_taken)
{
    (void)take();
    table.n_held = LIMIT - 2;
    ck_assert_uint_eq(slot_n_taken(&table), 1);
    ck_assert_uint_eq(slot_n_counted(&table), LIMIT - 1);
    (void)take();
    ck_assert_ptr_null(slot_take(&table, -1, &nobody, 1));
    table.n_held--;
    (void)take();
}

TEST(free_slots_are_used_again_before_new_memory_is_touched)
{
    struct slot *a = take(), *b = take();

    give_back(a);
    give_back(b);

    ck_assert_ptr_eq(take(), a);
    ck_assert_ptr_eq(take(), b);
    ck_assert_uint_eq(take()->index, 2);
    check_counts();
}

TEST(next_taker_gets_a_generation_of_its_own_and_nothing_else)
{
    struct slot *slot = take();
    uint32_t generation = slot->generation;

    slot->calls = 5;
    slot->news = FIPC_NEWS_RECORDS;
    slot->active_ns = 6;
    slot->blocked_ns = 7;
    give_back(slot);

    ck_assert_ptr_eq(take(), slot);
    ck_assert_uint_eq(slot->generation, generation + 1);
    ck_assert_uint_eq(slot->calls, 0);
    ck_assert_uint_eq(slot->news, FIPC_NEWS_NONE);
    ck_assert_uint_eq(slot->active_ns, 0);
    ck_assert_uint_eq(slot->blocked_ns, 0);
}

/* ---- finding ---- */

GROUP(finding, .fixtures = {{make_table, drop_table}});

TEST(taken_slot_is_found_by_index_and_generation)
{
    struct slot *slot = take();

    ck_assert_ptr_eq(slot_find(&table, slot->index, slot->generation), slot);
}

TEST(stale_generation_finds_nothing)
{
    struct slot *slot = take();
    uint32_t stale = slot->generation;

    give_back(slot);
    ck_assert_ptr_null(slot_find(&table, slot->index, stale)); /* free */
    (void)take();
    ck_assert_ptr_null(slot_find(&table, slot->index, stale)); /* somebody else's */
    ck_assert_ptr_eq(slot_find(&table, slot->index, stale + 1), slot);
    ck_assert_ptr_null(slot_find(&table, slot->index, stale + 2));
}

TEST(slot_that_never_was_taken_is_not_found)
{
    ck_assert_ptr_null(slot_find(&table, 0, 0));
    ck_assert_ptr_null(slot_find(&table, CAPACITY - 1, 0));
    ck_assert_ptr_null(slot_find(&table, CAPACITY, 0));
    ck_assert_ptr_null(slot_find(&table, SLOT_NONE, 0));
}

/* ---- states ---- */

static bool is_edge(enum slot_state from, enum slot_state to)
{
    switch (from) {
    case SLOT_FREE:
        return to == SLOT_GREETING;
    case SLOT_GREETING:
        return to == SLOT_WELCOMED || to == SLOT_ONESHOT || to == SLOT_CLOSING;
    case SLOT_WELCOMED:
        return to == SLOT_OPEN || to == SLOT_CLOSING;
    case SLOT_OPEN:
    case SLOT_ONESHOT:
        return to == SLOT_CLOSING;
    default:
        return to == SLOT_FREE;
    }
}

#define PAIRS (SLOT_STATE_COUNT * SLOT_STATE_COUNT)
#define PAIR_FROM(i) ((enum slot_state)((i) / SLOT_STATE_COUNT))
#define PAIR_TO(i) ((enum slot_state)((i) % SLOT_STATE_COUNT))

/* A slot in that state, whichever way it got there. */
static struct slot *slot_in(enum slot_state state)
{
    struct slot *slot = &table.slots[0];

    table.n_by_state[slot->state]--;
    table.n_by_state[state]++;
    slot->state = state;
    return slot;
}

GROUP(states, .fixtures = {{make_table, drop_table}});

LOOP_TEST(setter_moves_along_every_edge_and_counts, PAIRS)
{
    struct slot *slot;

    if (!is_edge(PAIR_FROM(_i), PAIR_TO(_i)))
        return;
    slot = slot_in(PAIR_FROM(_i));

    slot_set_state(&table, slot, PAIR_TO(_i));

    ck_assert_int_eq(slot->state, PAIR_TO(_i));
    check_counts();
}

#ifndef NDEBUG
LOOP_TEST(setter_dies_where_there_is_no_edge, PAIRS)
{
    static const struct rlimit no_core = {0, 0};
    int status;
    pid_t pid;

    if (is_edge(PAIR_FROM(_i), PAIR_TO(_i)))
        return;

    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)close(STDERR_FILENO); /* what assert() prints is expected */
        slot_set_state(&table, slot_in(PAIR_FROM(_i)), PAIR_TO(_i));
        _exit(0);
    }

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}
#endif

TEST(kind_is_what_the_taker_turned_out_to_be)
{
    struct slot *session = take(), *oneshot = take();

    ck_assert_str_eq(slot_kind_name(session), "greeting");
    slot_set_state(&table, session, SLOT_WELCOMED);
    slot_set_state(&table, session, SLOT_OPEN);
    session->channel.region.base = &table; /* any region */
    slot_set_state(&table, oneshot, SLOT_ONESHOT);

    ck_assert_str_eq(slot_kind_name(session), "session");
    ck_assert_str_eq(slot_kind_name(oneshot), "oneshot");
    ck_assert_str_eq(slot_state_name(SLOT_OPEN), "open");
    session->channel.region.base = NULL;
}

TEST(live_handlers_are_those_that_did_not_end)
{
    struct slot *slot = take();

    slot->n_handlers[HANDLER_TAKEN] = 1;
    slot->n_handlers[HANDLER_ROUTED] = 10;
    slot->n_handlers[HANDLER_RUNNING] = 100;
    slot->n_handlers[HANDLER_REPLYING] = 1000;

    ck_assert_uint_eq(slot_n_live(slot), 1111);
}

/* ---- ending ---- */

GROUP(ending, .fixtures = {{make_table, drop_table}});

TEST(slot_that_ends_keeps_its_first_reason)
{
    struct slot *slot = take();

    slot_end(&table, slot, FIPC_REASON_MALFORMED);
    slot_end(&table, slot, FIPC_REASON_GONE);

    ck_assert(slot->is_ending);
    ck_assert_int_eq(slot->end_reason, FIPC_REASON_MALFORMED);
    ck_assert_ptr_eq(slot_take_ending(&table), slot);
    ck_assert_ptr_null(slot_take_ending(&table)); /* it is closed once */
}

TEST(slots_are_closed_in_the_order_of_their_ends)
{
    struct slot *slots[LIMIT];

    for (int i = 0; i < LIMIT; i++)
        slots[i] = take();
    slot_end(&table, slots[2], FIPC_REASON_IDLE);
    slot_end(&table, slots[0], FIPC_REASON_GONE);
    ck_assert_ptr_eq(slot_take_ending(&table), slots[2]);
    slot_end(&table, slots[3], FIPC_REASON_NONE);

    ck_assert_ptr_eq(slot_take_ending(&table), slots[0]);
    ck_assert_ptr_eq(slot_take_ending(&table), slots[3]);
    ck_assert_ptr_null(slot_take_ending(&table));
    ck_assert(!slots[1]->is_ending);
}

TEST(slot_that_ends_stays_as_it_is_until_it_is_closed)
{
    struct slot *slot = take();

    slot_end(&table, slot, FIPC_REASON_GONE);

    ck_assert_int_eq(slot->state, SLOT_GREETING);
    ck_assert_ptr_eq(slot_find(&table, slot->index, slot->generation), slot);
    check_counts();
}

TEST(next_taker_is_not_ending)
{
    struct slot *slot = take();

    slot_end(&table, slot, FIPC_REASON_GONE);
    (void)slot_take_ending(&table);
    give_back(slot);

    ck_assert_ptr_eq(take(), slot);
    ck_assert(!slot->is_ending);
    ck_assert_ptr_null(slot_take_ending(&table));
}

/* SPDX-License-Identifier: MIT */
/* The state machine of a handler, its counters, and the lists that handlers are linked in. */
#include "daemon/model/handler.h"
#include "tests/suite.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TABLE_SIZE 4

static struct handler_table table;

static void make_table(void) { ck_assert_int_eq(handler_table_init(&table, TABLE_SIZE), 0); }

static void drop_table(void)
{
    handler_table_deinit(&table);
    handler_table_deinit(&table); /* safe twice */
}

/* ---- states ---- */

/* Written down a second time, on purpose: the code's table is compared with this one. */
static bool is_edge(enum handler_state from, enum handler_state to)
{
    static const struct {
        enum handler_state from, to;
    } edges[] = {
        {HANDLER_FREE, HANDLER_TAKEN},      {HANDLER_TAKEN, HANDLER_ROUTED},
        {HANDLER_ROUTED, HANDLER_RUNNING},  {HANDLER_RUNNING, HANDLER_REPLYING},
        {HANDLER_REPLYING, HANDLER_DONE},   {HANDLER_TAKEN, HANDLER_FAILED},
        {HANDLER_ROUTED, HANDLER_FAILED},   {HANDLER_RUNNING, HANDLER_FAILED},
        {HANDLER_REPLYING, HANDLER_FAILED}, {HANDLER_DONE, HANDLER_FREE},
        {HANDLER_FAILED, HANDLER_FREE},     {HANDLER_RUNNING, HANDLER_ROUTED},
    };

    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        if (edges[i].from == from && edges[i].to == to)
            return true;
    }
    return false;
}

/* One pair of states for each turn of a loop test. */
#define PAIRS (HANDLER_STATE_COUNT * HANDLER_STATE_COUNT)
#define PAIR_FROM(i) ((enum handler_state)((i) / HANDLER_STATE_COUNT))
#define PAIR_TO(i) ((enum handler_state)((i) % HANDLER_STATE_COUNT))

GROUP(states);

LOOP_TEST(table_allows_the_edges_and_nothing_else, PAIRS)
{
    enum handler_state from = PAIR_FROM(_i), to = PAIR_TO(_i);

    ck_assert_msg(handler_state_allows(from, to) == is_edge(from, to), "%s -> %s",
                  handler_state_name(from), handler_state_name(to));
}

LOOP_TEST(setter_moves_along_every_edge, PAIRS)
{
    struct handler handler = {.state = PAIR_FROM(_i)};

    if (!is_edge(PAIR_FROM(_i), PAIR_TO(_i)))
        return;

    handler_set_state(&handler, PAIR_TO(_i));

    ck_assert_int_eq(handler.state, PAIR_TO(_i));
}

#ifndef NDEBUG
LOOP_TEST(setter_dies_where_there_is_no_edge, PAIRS)
{
    static const struct rlimit no_core = {0, 0};
    struct handler handler = {.state = PAIR_FROM(_i)};
    int status;
    pid_t pid;

    if (is_edge(PAIR_FROM(_i), PAIR_TO(_i)))
        return;

    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)close(STDERR_FILENO); /* what assert() prints is expected */
        handler_set_state(&handler, PAIR_TO(_i));
        _exit(0);
    }

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}
#endif

TEST(every_state_has_a_name_of_its_own)
{
    for (int a = 0; a < HANDLER_STATE_COUNT; a++) {
        for (int b = 0; b < a; b++)
            ck_assert_str_ne(handler_state_name((enum handler_state)a),
                             handler_state_name((enum handler_state)b));
    }
}

/* ---- lives ---- */

static void walk_to(struct handler *handler, enum handler_state state)
{
    while (handler->state != state)
        handler_set_state(handler, (enum handler_state)(handler->state + 1));
}

static void end_failed(struct handler *handler, enum handler_outcome outcome)
{
    handler_set_state(handler, HANDLER_FAILED);
    handler_end(&table, handler, outcome);
}

GROUP(lives, .fixtures = {{make_table, drop_table}});

TEST(life_starts_taken_and_is_counted_live)
{
    struct handler *handler = handler_start(&table, 3, 1);

    ck_assert_ptr_nonnull(handler);
    ck_assert_int_eq(handler->state, HANDLER_TAKEN);
    ck_assert_uint_eq(handler->slot, 3);
    ck_assert_uint_eq(handler->slot_generation, 1);
    ck_assert_uint_eq(table.n_started, 1);
    ck_assert_uint_eq(table.n_live, 1);
}

TEST(each_outcome_is_counted_where_it_belongs)
{
    struct handler *replied = handler_start(&table, 3, 1);
    struct handler *failed = handler_start(&table, 3, 1);
    struct handler *dropped = handler_start(&table, 3, 1);

    walk_to(replied, HANDLER_DONE);
    handler_end(&table, replied, HANDLER_REPLIED);
    end_failed(failed, HANDLER_ERROR);
    walk_to(dropped, HANDLER_REPLYING);
    end_failed(dropped, HANDLER_DROPPED);

    ck_assert_uint_eq(table.n_started, 3);
    ck_assert_uint_eq(table.n_live, 0);
    ck_assert_uint_eq(table.n_ended[HANDLER_REPLIED], 1);
    ck_assert_uint_eq(table.n_ended[HANDLER_ERROR], 1);
    ck_assert_uint_eq(table.n_ended[HANDLER_DROPPED], 1);
}

TEST(no_more_lives_than_the_table_has_room_for)
{
    struct handler *last = NULL;

    for (int i = 0; i < TABLE_SIZE; i++) {
        last = handler_start(&table, 3, 1);
        ck_assert_ptr_nonnull(last);
        ck_assert_uint_eq(last->index, (uint32_t)i);
    }

    ck_assert_ptr_null(handler_start(&table, 3, 1));
    ck_assert_uint_eq(table.n_started, TABLE_SIZE); /* a life that did not start is not counted */

    end_failed(last, HANDLER_DROPPED);
    ck_assert_ptr_eq(handler_start(&table, 3, 1), last);
    ck_assert_ptr_null(handler_start(&table, 3, 1));
}

TEST(ended_handlers_are_used_again_before_new_memory_is_touched)
{
    struct handler *a = handler_start(&table, 3, 1), *b = handler_start(&table, 3, 1);

    end_failed(a, HANDLER_DROPPED);
    end_failed(b, HANDLER_DROPPED);

    ck_assert_ptr_eq(handler_start(&table, 3, 1), a);
    ck_assert_ptr_eq(handler_start(&table, 3, 1), b);
    ck_assert_uint_eq(handler_start(&table, 3, 1)->index, 2);
}

TEST(next_life_knows_nothing_of_the_former)
{
    struct handler *handler = handler_start(&table, 3, 1);
    uint32_t index = handler->index;

    handler->slot = 7;
    handler->slot_generation = 8;
    handler->id = 9;
    handler->is_unsent = true;
    handler->answer.header.flags = 10;
    handler->answer.header.status = -11;
    handler->answer.header.size = 12;
    handler->answer.data = malloc(12); /* freed with the life: the leak checker looks */
    end_failed(handler, HANDLER_DROPPED);

    handler = handler_start(&table, 3, 1);

    ck_assert_uint_eq(handler->index, index);
    ck_assert_uint_eq(handler->slot, 3);
    ck_assert_uint_eq(handler->slot_generation, 1);
    ck_assert_uint_eq(handler->id, 0);
    ck_assert(!handler->is_unsent);
    ck_assert_uint_eq(handler->answer.header.flags, 0);
    ck_assert_int_eq(handler->answer.header.status, 0);
    ck_assert_uint_eq(handler->answer.header.size, 0);
    ck_assert_ptr_null(handler->answer.data);
}

TEST(request_is_kept_once_until_it_is_dropped)
{
    struct handler *handler = handler_start(&table, 3, 1);
    char payload[] = "first";

    ck_assert_int_eq(handler_keep_request(handler, payload, 0), 0);
    ck_assert_ptr_null(handler->request); /* nothing to keep */
    ck_assert_int_eq(handler_keep_request(handler, payload, sizeof(payload)), 0);
    memcpy(payload, "other", sizeof(payload));
    ck_assert_int_eq(handler_keep_request(handler, payload, 1), 0);
    ck_assert_str_eq(handler->request, "first");
    ck_assert_uint_eq(handler->request_bytes, sizeof(payload));

    handler_drop_request(handler);
    ck_assert_ptr_null(handler->request);
    ck_assert_uint_eq(handler->request_bytes, 0);
    handler_drop_request(handler); /* safe twice */
}

TEST(counters_add_up_over_many_lives)
{
    struct handler *live[TABLE_SIZE] = {NULL};
    unsigned random = 1;

    for (int turn = 0; turn < 10000; turn++) {
        unsigned i = (random = random * 1103515245 + 12345) / 65536 % TABLE_SIZE;

        if (live[i] == NULL) {
            live[i] = handler_start(&table, 3, 1);
            ck_assert_ptr_nonnull(live[i]);
        } else if (live[i]->state < HANDLER_REPLYING && random % 3 != 0) {
            handler_set_state(live[i], (enum handler_state)(live[i]->state + 1));
        } else {
            end_failed(live[i], random % 2 == 0 ? HANDLER_ERROR : HANDLER_DROPPED);
            live[i] = NULL;
        }
        ck_assert_uint_eq(table.n_started, table.n_ended[HANDLER_REPLIED] +
                                               table.n_ended[HANDLER_ERROR] +
                                               table.n_ended[HANDLER_DROPPED] + table.n_live);
    }
}

/* ---- lists ---- */

/* Compares a list, forwards and backwards, with the indexes that it should hold. */
static void check_list(const struct handler_list *list, const uint32_t *indexes, size_t count)
{
    uint32_t at = list->first;

    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(at, indexes[i]);
        ck_assert_uint_eq(table.handlers[at].previous, i > 0 ? indexes[i - 1] : HANDLER_NONE);
        at = table.handlers[at].next;
    }
    ck_assert_uint_eq(at, HANDLER_NONE);
    ck_assert_uint_eq(list->last, count > 0 ? indexes[count - 1] : HANDLER_NONE);
}

static void append_three(struct handler_list *list)
{
    for (int i = 0; i < 3; i++)
        handler_list_append(&table, list, handler_start(&table, 3, 1));
}

GROUP(lists, .fixtures = {{make_table, drop_table}});

TEST(list_keeps_the_order_of_appending)
{
    struct handler_list list = HANDLER_LIST_EMPTY;

    check_list(&list, NULL, 0);
    append_three(&list);
    check_list(&list, (const uint32_t[]){0, 1, 2}, 3);
}

LOOP_TEST(list_closes_the_gap_wherever_one_is_removed, 3)
{
    static const uint32_t rest[3][2] = {{1, 2}, {0, 2}, {0, 1}};
    struct handler_list list = HANDLER_LIST_EMPTY;
    struct handler *removed = &table.handlers[_i];

    append_three(&list);

    handler_list_remove(&table, &list, removed);

    check_list(&list, rest[_i], 2);
    ck_assert_uint_eq(removed->next, HANDLER_NONE);
    ck_assert_uint_eq(removed->previous, HANDLER_NONE);

    handler_list_append(&table, &list, removed);
    check_list(&list, (const uint32_t[]){rest[_i][0], rest[_i][1], (uint32_t)_i}, 3);
}

TEST(list_is_empty_after_the_last_one_leaves)
{
    struct handler_list list = HANDLER_LIST_EMPTY;

    append_three(&list);
    for (int i = 0; i < 3; i++)
        handler_list_remove(&table, &list, &table.handlers[(i + 1) % 3]);

    check_list(&list, NULL, 0);
    ck_assert_uint_eq(list.first, HANDLER_NONE);
}

TEST(handler_moves_from_one_list_to_another)
{
    struct handler_list live = HANDLER_LIST_EMPTY, unsent = HANDLER_LIST_EMPTY;
    struct handler *moved = &table.handlers[1];

    append_three(&live);
    handler_list_remove(&table, &live, moved);
    handler_list_append(&table, &unsent, moved);

    check_list(&live, (const uint32_t[]){0, 2}, 2);
    check_list(&unsent, (const uint32_t[]){1}, 1);
}

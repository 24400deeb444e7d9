/* SPDX-License-Identifier: MIT */
/* The clock that all of traffic/ reads, and the requests of traffic/ to the turn. */
#include "daemon/model/core.h"

#include "common/clock.h"
#include "tests/suite.h"

#define MS FIPC_NS_PER_MS

static struct core core;
static struct config config;
static struct deadline_heap heap;
static struct account account;
static uint64_t clock_ns;

static uint64_t look(void) { return clock_ns; }

static void slot_over(void *context, struct deadline *deadline)
{
    (void)context;
    (void)deadline;
}

static struct fipc_end *end_of(void *owner, uint32_t member, uint32_t *ret_asleep)
{
    static struct fipc_end end;

    (void)owner;
    (void)member;
    *ret_asleep = FIPC_END_ASLEEP_FUTEX;
    return &end;
}

static const struct fipc_hot_set_ops hot_ops = {.end = end_of};

static void set_up(void)
{
    config = (struct config){.timeouts = {.doorbell_ms = 5000, .handler_ms = 20000}};
    deadline_heap_init(&heap);
    core = (struct core){.config = &config,
                         .deadlines = &heap,
                         .slot_over = slot_over,
                         .clock = look,
                         .meter = {.cpu_clock = look}};
    ck_assert_int_eq(fipc_hot_set_init(&core.hot, 4, &hot_ops, NULL), 0);
    account = (struct account){.uid = 1000};
    fipc_hot_group_init(&account.hot);
    clock_ns = 1000 * MS;
}

static void tear_down(void) { fipc_hot_set_deinit(&core.hot); }

GROUP(core, .fixtures = {{set_up, tear_down}});

TEST(clock_stands_still_until_it_is_looked_at)
{
    ck_assert_uint_eq(core_look_at_clock(&core), 1000 * MS);
    clock_ns += MS;
    ck_assert_uint_eq(core.now_ns, 1000 * MS);
    ck_assert_uint_eq(core_look_at_clock(&core), 1001 * MS);
    ck_assert_uint_eq(core.now_ns, 1001 * MS);
}

static const struct {
    uint64_t end_ms;
    bool has_time;
} ends[] = {{0, false}, {999, false}, {1000, false}, {1001, true}};

LOOP_TEST(share_is_over_from_its_end_on, COUNT_OF(ends))
{
    core.share_end_ns = ends[_i].end_ms * MS;
    ck_assert_int_eq(core_has_time(&core), ends[_i].has_time);
    ck_assert_uint_eq(core.now_ns, 1000 * MS);
}

static const struct {
    uint64_t turn_ms, share_ms, end_ms;
} shares[] = {{5, 2, 1002}, {5, 5, 1005}, {5, 9, 1005}, {0, 2, 1000}};

LOOP_TEST(share_ends_with_the_turn_at_the_latest, COUNT_OF(shares))
{
    core_begin_turn(&core, shares[_i].turn_ms * MS);
    core_begin_share(&core, shares[_i].share_ms * MS);
    ck_assert_uint_eq(core.share_end_ns, shares[_i].end_ms * MS);
}

TEST(share_begins_when_it_begins_and_the_turn_still_ends)
{
    core_begin_turn(&core, 5 * MS);
    clock_ns += 4 * MS;
    core_begin_share(&core, 2 * MS);
    ck_assert(core_has_time(&core));
    clock_ns += MS;
    ck_assert(!core_has_time(&core));
}

TEST(act_is_counted_with_the_time_between)
{
    uint64_t began_ns;

    core_begin_turn(&core, 5 * MS);
    began_ns = core_begin_act(&core);
    clock_ns += 3;
    core_end_act(&core, ACT_SEATING, began_ns);
    ck_assert_uint_eq(core.meter.acts[ACT_SEATING].n, 1);
    ck_assert_uint_eq(core.meter.acts[ACT_SEATING].max_ns, 3);
}

TEST(slot_is_looked_at_when_its_state_is_over)
{
    struct slot slot = {.state = SLOT_GREETING, .taken_ns = 1000 * MS, .account = &account};

    (void)core_look_at_clock(&core);
    core_set_slot_deadline(&core, &slot);
    ck_assert_uint_eq(deadline_next_ns(&heap), 6001 * MS);
    slot.state = SLOT_OPEN;
    slot.active_ns = 1000 * MS;
    core_set_slot_deadline(&core, &slot); /* moved, not doubled */
    ck_assert_uint_eq(deadline_next_ns(&heap), 21001 * MS);
    ck_assert_ptr_eq(deadline_take(&heap, 21001 * MS), &slot.deadline);
    ck_assert_uint_eq(deadline_next_ns(&heap), FIPC_NEVER);
}

TEST(heated_slot_is_hot_once_in_the_group_of_its_uid)
{
    struct slot slot = {.index = 2, .account = &account};

    core_heat(&core, &slot);
    core_heat(&core, &slot);
    ck_assert_uint_eq(core.hot.count, 1);
    ck_assert_uint_eq(core.hot.hot[0], 2);
    ck_assert_uint_eq(account.hot.count, 1);
}

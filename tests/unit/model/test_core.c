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
    ck_assert_int_eq(deadline_heap_init(&heap, 4), 0);
    core =
        (struct core){.config = &config, .deadlines = &heap, .slot_over = slot_over, .clock = look};
    ck_assert_int_eq(fipc_hot_set_init(&core.hot, 4, &hot_ops, NULL), 0);
    account = (struct account){.uid = 1000};
    fipc_hot_group_init(&account.hot);
    clock_ns = 1000 * MS;
}

static void tear_down(void)
{
    fipc_hot_set_deinit(&core.hot);
    deadline_heap_deinit(&heap);
}

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
    bool late;
} ends[] = {{0, true}, {999, true}, {1000, true}, {1001, false}};

LOOP_TEST(turn_is_late_from_its_end_on, COUNT_OF(ends))
{
    core.events_end_ns = ends[_i].end_ms * MS;
    ck_assert_int_eq(core_is_late(&core), ends[_i].late);
    ck_assert_uint_eq(core.now_ns, 1000 * MS);
}

TEST(slot_is_looked_at_when_its_state_is_over)
{
    struct slot slot = {.state = SLOT_GREETING, .taken_ns = 1000 * MS};

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

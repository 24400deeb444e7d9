/* SPDX-License-Identifier: MIT */
/* How long a slot may live in each state, and when the turn has to look. */
#include "daemon/model/slot_deadline.h"

#include "common/clock.h"
#include "daemon/config/config.h"
#include "daemon/model/slot.h"
#include "tests/suite.h"

#define MS FIPC_NS_PER_MS

/* Different from one another. */
#define DOORBELL_MS 5000
#define IDLE_MS 30000
#define HANDLER_MS 20000

static struct config config;

static void set_up(void)
{
    config = (struct config){
        .timeouts = {.doorbell_ms = DOORBELL_MS, .idle_ms = IDLE_MS, .handler_ms = HANDLER_MS}};
}

GROUP(deadlines, .fixtures = {{set_up, NULL}});

/* Times in milliseconds. The slot was taken at 1000. */
static const struct {
    enum slot_state state;
    uint64_t active_ms, blocked_ms;
    uint32_t n_live, n_workers;
    bool is_welcome_due;
    uint64_t deadline_ms; /* 0: never */
    enum fipc_reason reason;
} cases[] = {
    {.state = SLOT_GREETING, .deadline_ms = 6000, .reason = FIPC_REASON_NO_REQUEST},
    {.state = SLOT_WELCOMED, .deadline_ms = 6000, .reason = FIPC_REASON_NO_REQUEST},
    {.state = SLOT_OPEN, .deadline_ms = 6000, .reason = FIPC_REASON_NO_REQUEST},
    {.state = SLOT_GREETING, .is_welcome_due = true}, /* the broker keeps it waiting */
    {.state = SLOT_OPEN, .active_ms = 4000, .deadline_ms = 34000, .reason = FIPC_REASON_IDLE},
    {.state = SLOT_OPEN, .active_ms = 4000, .n_live = 1},
    {.state = SLOT_OPEN, .active_ms = 4000, .n_workers = 1},
    {.state = SLOT_OPEN,
     .active_ms = 4000,
     .blocked_ms = 4500,
     .deadline_ms = 24500,
     .reason = FIPC_REASON_NOT_DRAINED},
    {.state = SLOT_OPEN,
     .active_ms = 4000,
     .blocked_ms = 4500,
     .n_live = 1,
     .n_workers = 1,
     .deadline_ms = 24500,
     .reason = FIPC_REASON_NOT_DRAINED},
    {.state = SLOT_ONESHOT, .active_ms = 4000, .n_live = 1}, /* its handler has a deadline */
    {.state = SLOT_ONESHOT},
};

static struct slot slot_of(int i)
{
    struct slot slot = {
        .state = cases[i].state,
        .taken_ns = 1000 * MS,
        .active_ns = cases[i].active_ms * MS,
        .blocked_ns = cases[i].blocked_ms * MS,
        .n_workers = cases[i].n_workers,
        .is_welcome_due = cases[i].is_welcome_due,
    };

    slot.n_handlers[HANDLER_RUNNING] = cases[i].n_live;
    return slot;
}

LOOP_TEST(slot_lives_as_long_as_its_state_allows, COUNT_OF(cases))
{
    struct slot slot = slot_of(_i);
    enum fipc_reason reason = FIPC_REASON_NONE;

    ck_assert_uint_eq(slot_deadline_ns(&config, &slot, &reason),
                      cases[_i].deadline_ms == 0 ? FIPC_NEVER : cases[_i].deadline_ms * MS);
    ck_assert_int_eq(reason, cases[_i].deadline_ms == 0 ? FIPC_REASON_NONE : cases[_i].reason);
}

TEST(idle_session_lives_for_ever_if_the_config_says_so)
{
    struct slot slot = {.state = SLOT_OPEN, .taken_ns = MS, .active_ns = 2 * MS};
    enum fipc_reason reason = FIPC_REASON_NONE;

    config.timeouts.idle_ms = 0;
    ck_assert_uint_eq(slot_deadline_ns(&config, &slot, &reason), FIPC_NEVER);
    slot.active_ns = 0; /* but not one without a first call */
    ck_assert_uint_eq(slot_deadline_ns(&config, &slot, &reason), (1 + DOORBELL_MS) * MS);
}

TEST(deadline_beyond_all_time_is_never)
{
    struct slot slot = {.state = SLOT_GREETING, .taken_ns = UINT64_MAX - MS};
    enum fipc_reason reason = FIPC_REASON_NONE;

    ck_assert_uint_eq(slot_deadline_ns(&config, &slot, &reason), FIPC_NEVER);
}

/* ---- the next look ---- */

GROUP(looks, .fixtures = {{set_up, NULL}});

/* Of a session that was active at 4000, in milliseconds; each look is one later than it had to be.
 */
static const struct {
    uint32_t idle_ms;
    uint64_t now_ms, bell_after_ms, look_ms;
    uint32_t n_live;
} look_cases[] = {
    {IDLE_MS, 4000, 0, 24001, 0},  /* a block could begin meanwhile: handler_ms at the latest */
    {IDLE_MS, 20000, 0, 34001, 0}, /* the deadline */
    {IDLE_MS, 33999, 0, 34001, 0},
    {IDLE_MS, 34000, 0, 34001, 0},
    {IDLE_MS, 40000, 0, 40001, 0},
    {IDLE_MS, 4000, 0, 24001, 1}, /* no deadline now */
    {0, 4000, 0, 24001, 0},
    {1000, 4000, 0, 5001, 1},       /* an idle time could begin meanwhile */
    {IDLE_MS, 4000, 4500, 4501, 0}, /* its rest ends */
    {IDLE_MS, 4000, 4000, 24001, 0},
    {IDLE_MS, 4000, 99000, 24001, 0},
};

LOOP_TEST(turn_looks_before_anything_lasted_twice_its_span, COUNT_OF(look_cases))
{
    struct slot slot = {
        .state = SLOT_OPEN,
        .taken_ns = 1000 * MS,
        .active_ns = 4000 * MS,
        .bell_after_ns = look_cases[_i].bell_after_ms * MS,
    };

    slot.n_handlers[HANDLER_TAKEN] = look_cases[_i].n_live;
    config.timeouts.idle_ms = look_cases[_i].idle_ms;
    ck_assert_uint_eq(slot_next_look_ns(&config, &slot, look_cases[_i].now_ms * MS),
                      look_cases[_i].look_ms * MS);
}

TEST(turn_goes_on_at_once_with_a_slot_whose_region_is_not_filled)
{
    struct slot slot = {.state = SLOT_GREETING, .taken_ns = 1000 * MS, .is_filling = true};

    ck_assert_uint_eq(slot_next_look_ns(&config, &slot, 2000 * MS), 2000 * MS);
}

/* A client that stops at any moment, in simulated time: it is closed before twice its span is
 * over, and not before once. */
TEST(block_is_noticed_between_one_span_and_two)
{
    for (uint64_t blocked_ms = 1; blocked_ms < 60000; blocked_ms++) {
        struct slot slot = {.state = SLOT_OPEN, .active_ns = 1};
        uint64_t now_ns = 1;
        enum fipc_reason reason = FIPC_REASON_NONE;

        config.timeouts.idle_ms = 0;
        do {
            now_ns = slot_next_look_ns(&config, &slot, now_ns);
            if (slot.blocked_ns == 0 && now_ns >= blocked_ms * MS)
                slot.blocked_ns = blocked_ms * MS;
        } while (slot_deadline_ns(&config, &slot, &reason) > now_ns);

        REQUIRE(reason == FIPC_REASON_NOT_DRAINED);
        REQUIRE(now_ns >= (blocked_ms + HANDLER_MS) * MS);
        REQUIRE(now_ns <= (blocked_ms + 2 * HANDLER_MS + 2) * MS);
    }
}

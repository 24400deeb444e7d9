/* SPDX-License-Identifier: MIT */
/* What memory counts for, from before it is handed out until it is gone. */
#include "daemon/model/holding.h"

#include "common/clock.h"
#include "daemon/model/account.h"
#include "tests/suite.h"

#define CAPACITY 4
#define BYTES 1000

static struct holding_table table;
static struct account_table accounts;
static struct account *account;

static void set_up(void)
{
    ck_assert_int_eq(holding_table_init(&table, CAPACITY), 0);
    account = account_open(&accounts, 1000);
    ck_assert_ptr_nonnull(account);
    account->n_slots = 1; /* it stays while a test looks at it */
}

static void tear_down(void)
{
    holding_table_deinit(&table);
    account_table_deinit(&accounts);
}

static void expect(uint64_t bytes, uint32_t n_left)
{
    ck_assert_uint_eq(account->region_bytes, bytes);
    ck_assert_uint_eq(account->n_closing, n_left);
    ck_assert_uint_eq(table.n_left, n_left);
}

GROUP(holding, .fixtures = {{set_up, tear_down}});

TEST(memory_counts_until_it_is_gone_and_its_slot_once_it_has_left)
{
    uint32_t number = holding_begin(&table, account, BYTES);

    expect(BYTES, 0);
    holding_leave(&table, number, 5);
    expect(BYTES, 1);
    ck_assert_uint_eq(holding_due_ns(&table), FIPC_NEVER); /* something tells when it is gone */
    holding_end_due(&table, &accounts, FIPC_NEVER);
    expect(BYTES, 1);
    holding_end(&table, &accounts, number, 5);
    expect(0, 0);
}

TEST(each_counts_for_itself)
{
    uint32_t numbers[CAPACITY];

    for (int i = 0; i < CAPACITY; i++)
        numbers[i] = holding_begin(&table, account, BYTES);
    ck_assert_uint_eq(holding_begin(&table, account, BYTES), HOLDING_NONE);
    expect((uint64_t)CAPACITY * BYTES, 0);
    for (int i = 0; i < CAPACITY; i++)
        holding_leave(&table, numbers[i], 5);
    for (int i = CAPACITY; i > 0; i--) {
        expect((uint64_t)i * BYTES, (uint32_t)i);
        holding_end(&table, &accounts, numbers[i % CAPACITY], 5);
    }
    expect(0, 0);
}

TEST(account_lives_as_long_as_its_memory)
{
    uint32_t number = holding_begin(&table, account, BYTES);

    holding_leave(&table, number, 5);
    account->n_slots = 0;
    account_release_if_unused(&accounts, account, 5);
    ck_assert_ptr_eq(account_open(&accounts, 1000), account);
    expect(BYTES, 1);
    holding_end(&table, &accounts, number, 5);
    ck_assert_uint_eq(account_open(&accounts, 1000)->n_slots, 0); /* a new one, perhaps */
}

TEST(timed_memory_ends_when_it_is_due)
{
    uint32_t first = holding_begin(&table, account, BYTES);
    uint32_t second = holding_begin(&table, account, BYTES);

    holding_set_timed(&table, first, FIPC_NEVER);
    holding_set_timed(&table, second, FIPC_NEVER);
    ck_assert_uint_eq(holding_due_ns(&table), FIPC_NEVER); /* both have slots */
    holding_leave(&table, first, 100);
    holding_leave(&table, second, 200);
    ck_assert_uint_eq(holding_due_ns(&table), 100);

    holding_end_due(&table, &accounts, 99);
    expect(2 * BYTES, 2);
    holding_end_due(&table, &accounts, 100);
    expect(BYTES, 1);
    ck_assert_uint_eq(holding_due_ns(&table), 200);
    holding_end_due(&table, &accounts, FIPC_NEVER - 1);
    expect(0, 0);
    ck_assert_uint_eq(holding_due_ns(&table), FIPC_NEVER);
}

TEST(memory_that_left_and_then_lost_its_watch_ends_by_time_too)
{
    uint32_t number = holding_begin(&table, account, BYTES);

    holding_leave(&table, number, 5);
    holding_set_timed(&table, number, 100);
    ck_assert_uint_eq(holding_due_ns(&table), 100);
    holding_end_due(&table, &accounts, 99);
    expect(BYTES, 1);
    holding_end_due(&table, &accounts, 100);
    expect(0, 0);
}

/* SPDX-License-Identifier: MIT */
#include "daemon/model/holding.h"

#include "common/clock.h"
#include "daemon/model/account.h"

#include <assert.h>

#define ENDED_AT_ONCE 64

int holding_table_init(struct holding_table *table, uint32_t capacity)
{
    int r;

    *table = (struct holding_table){.n_left = 0};
    TAILQ_INIT(&table->timed);
    r = table_init(&table->places, capacity, sizeof(*table->holdings));
    table->holdings = table->places.elements;
    return r;
}

void holding_table_deinit(struct holding_table *table)
{
    table_deinit(&table->places);
    table->holdings = NULL;
}

uint32_t holding_begin(struct holding_table *table, struct account *account, uint64_t bytes)
{
    uint32_t number = table_take(&table->places);

    if (number == TABLE_NONE)
        return HOLDING_NONE;
    table->holdings[number] =
        (struct holding){.account = account, .bytes = bytes, .has_slot = true};
    account->region_bytes += bytes;
    return number;
}

static void wait_for_time(struct holding_table *table, struct holding *holding, uint64_t until_ns)
{
    holding->until_ns = until_ns;
    TAILQ_INSERT_TAIL(&table->timed, holding, in_timed);
}

void holding_set_timed(struct holding_table *table, uint32_t number, uint64_t until_ns)
{
    struct holding *holding = &table->holdings[number];

    assert(!holding->is_timed);
    holding->is_timed = true;
    if (!holding->has_slot)
        wait_for_time(table, holding, until_ns);
}

void holding_leave(struct holding_table *table, uint32_t number, uint64_t until_ns)
{
    struct holding *holding = &table->holdings[number];

    assert(holding->has_slot);
    holding->has_slot = false;
    holding->account->n_closing++;
    table->n_left++;
    if (holding->is_timed)
        wait_for_time(table, holding, until_ns);
}

void holding_end(struct holding_table *table, struct account_table *accounts, uint32_t number,
                 uint64_t now_ns)
{
    struct holding *holding = &table->holdings[number];
    struct account *account = holding->account;

    assert(!holding->has_slot);
    if (holding->is_timed)
        TAILQ_REMOVE(&table->timed, holding, in_timed);
    account->region_bytes -= holding->bytes;
    account->n_closing--;
    table->n_left--;
    table_give_back(&table->places, number);
    account_release_if_unused(accounts, account, now_ns);
}

uint64_t holding_due_ns(const struct holding_table *table)
{
    const struct holding *first = TAILQ_FIRST(&table->timed);

    return first == NULL ? FIPC_NEVER : first->until_ns;
}

void holding_end_due(struct holding_table *table, struct account_table *accounts, uint64_t now_ns)
{
    const struct holding *first;

    for (int n = 0; n < ENDED_AT_ONCE; n++) {
        first = TAILQ_FIRST(&table->timed);
        if (first == NULL || first->until_ns > now_ns)
            return;
        holding_end(table, accounts, (uint32_t)(first - table->holdings), now_ns);
    }
}

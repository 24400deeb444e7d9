/* SPDX-License-Identifier: MIT */
#include "daemon/model/slot.h"

#include "daemon/base/log.h"
#include "daemon/model/holding.h"

#include <assert.h>

#define TO(state) (UINT32_C(1) << (state))

static const struct {
    const char *name;
    uint32_t next;
} slot_states[] = {
    [SLOT_FREE] = {"free", TO(SLOT_GREETING)},
    [SLOT_GREETING] = {"greeting", TO(SLOT_WELCOMED) | TO(SLOT_ONESHOT) | TO(SLOT_CLOSING)},
    [SLOT_WELCOMED] = {"welcomed", TO(SLOT_OPEN) | TO(SLOT_CLOSING)},
    [SLOT_OPEN] = {"open", TO(SLOT_CLOSING)},
    [SLOT_ONESHOT] = {"oneshot", TO(SLOT_CLOSING)},
    [SLOT_CLOSING] = {"closing", TO(SLOT_FREE)},
};

static_assert(sizeof(slot_states) / sizeof(slot_states[0]) == SLOT_STATE_COUNT,
              "every state of a slot has a row");

int slot_table_init(struct slot_table *table, uint32_t capacity, uint32_t limit)
{
    int r;

    *table = (struct slot_table){.limit = limit};
    STAILQ_INIT(&table->ending);
    r = table_init(&table->places, capacity, sizeof(*table->slots));
    if (r < 0)
        return r;
    table->slots = table->places.elements;
    table->n_by_state[SLOT_FREE] = capacity;
    return 0;
}

void slot_table_deinit(struct slot_table *table)
{
    table_deinit(&table->places);
    table->slots = NULL;
}

uint32_t slot_n_taken(const struct slot_table *table)
{
    return table->places.capacity - table->n_by_state[SLOT_FREE];
}

uint32_t slot_n_counted(const struct slot_table *table)
{
    return slot_n_taken(table) + table->n_held;
}

struct slot *slot_take(struct slot_table *table, int lane_fd, const struct fipc_identity *peer,
                       uint64_t now_ns)
{
    struct slot *slot;
    uint32_t place;

    if (slot_n_counted(table) >= table->limit)
        return NULL;
    place = table_take(&table->places);
    if (place == TABLE_NONE)
        return NULL;
    slot = &table->slots[place];
    *slot = (struct slot){
        .index = place,
        .generation = (uint32_t)++table->n_taken_ever,
        .peer = *peer,
        .taken_ns = now_ns,
        .lane_fd = lane_fd,
        .bell_fd = -1,
        .region_fd = -1,
        .holding = HOLDING_NONE,
        .live = HANDLER_LIST_EMPTY,
    };
    STAILQ_INIT(&slot->outbound);
    TAILQ_INIT(&slot->room_wishes);
    TAILQ_INIT(&slot->workers);
    slot_set_state(table, slot, SLOT_GREETING);
    return slot;
}

void slot_end(struct slot_table *table, struct slot *slot, enum fipc_reason reason)
{
    assert(slot->state != SLOT_FREE && slot->state != SLOT_CLOSING);
    if (slot->is_ending)
        return;
    slot->is_ending = true;
    slot->end_reason = reason;
    STAILQ_INSERT_TAIL(&table->ending, slot, in_ending);
}

struct slot *slot_take_ending(struct slot_table *table)
{
    struct slot *slot = STAILQ_FIRST(&table->ending);

    if (slot != NULL)
        STAILQ_REMOVE_HEAD(&table->ending, in_ending);
    return slot;
}

void slot_free(struct slot_table *table, struct slot *slot)
{
    assert(slot->lane_fd < 0 && slot->bell_fd < 0 && slot->region_fd < 0);
    assert(slot->holding == HOLDING_NONE);
    assert(slot->channel.region.base == NULL);
    assert(slot_n_live(slot) == 0 && slot->n_workers == 0 && slot->n_queued == 0 &&
           slot->n_copies == 0 && TAILQ_EMPTY(&slot->room_wishes));
    slot_set_state(table, slot, SLOT_FREE);
    table_give_back(&table->places, slot->index);
}

struct slot *slot_find(struct slot_table *table, uint32_t index, uint32_t generation)
{
    struct slot *slot;

    if (!table_is_taken(&table->places, index))
        return NULL;
    slot = &table->slots[index];
    return slot->generation == generation ? slot : NULL;
}

struct slot *slot_of_caller(struct slot_table *table, const struct handler *handler)
{
    struct slot *slot = slot_find(table, handler->slot, handler->slot_generation);

    assert(slot != NULL); /* closing a slot ends its handlers */
    return slot;
}

void slot_set_state(struct slot_table *table, struct slot *slot, enum slot_state state)
{
    assert((slot_states[slot->state].next & TO(state)) != 0);
    if (log_level() >= LOG_DEBUG)
        log_event(LOG_DEBUG, LOG_EVENT_STATE, NULL, "slot %u: %s -> %s", slot->index,
                  slot_state_name(slot->state), slot_state_name(state));
    table->n_by_state[slot->state]--;
    table->n_by_state[state]++;
    slot->state = state;
}

const char *slot_state_name(enum slot_state state) { return slot_states[state].name; }

const char *slot_kind_name(const struct slot *slot)
{
    if (slot->state == SLOT_GREETING)
        return "greeting";
    return slot->channel.region.base != NULL ? "session" : "oneshot";
}

uint32_t slot_n_live(const struct slot *slot)
{
    uint32_t n_live = 0;

    for (enum handler_state state = HANDLER_TAKEN; state <= HANDLER_REPLYING; state++)
        n_live += slot->n_handlers[state];
    return n_live;
}

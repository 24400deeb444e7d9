/* SPDX-License-Identifier: MIT */
#include "daemon/model/handler.h"

#include "daemon/base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TO(state) (UINT32_C(1) << (state))

static const struct {
    const char *name;
    uint32_t next;
} handler_states[] = {
    [HANDLER_FREE] = {"free", TO(HANDLER_TAKEN)},
    [HANDLER_TAKEN] = {"taken", TO(HANDLER_ROUTED) | TO(HANDLER_FAILED)},
    [HANDLER_ROUTED] = {"routed", TO(HANDLER_RUNNING) | TO(HANDLER_FAILED)},
    [HANDLER_RUNNING] = {"running", TO(HANDLER_REPLYING) | TO(HANDLER_ROUTED) | TO(HANDLER_FAILED)},
    [HANDLER_REPLYING] = {"replying", TO(HANDLER_DONE) | TO(HANDLER_FAILED)},
    [HANDLER_DONE] = {"done", TO(HANDLER_FREE)},
    [HANDLER_FAILED] = {"failed", TO(HANDLER_FREE)},
};

static_assert(sizeof(handler_states) / sizeof(handler_states[0]) == HANDLER_STATE_COUNT,
              "every state of a handler has a row");

int handler_table_init(struct handler_table *table, uint32_t count)
{
    int r;

    *table = (struct handler_table){.n_live = 0};
    r = table_init(&table->places, count, sizeof(*table->handlers));
    table->handlers = table->places.elements;
    return r;
}

void handler_table_deinit(struct handler_table *table)
{
    table_deinit(&table->places);
    table->handlers = NULL;
}

struct handler *handler_start(struct handler_table *table, uint32_t slot, uint32_t slot_generation)
{
    uint32_t place = table_take(&table->places);
    struct handler *handler;

    if (place == TABLE_NONE)
        return NULL;
    handler = &table->handlers[place];
    *handler = (struct handler){
        .index = place,
        .next = HANDLER_NONE,
        .previous = HANDLER_NONE,
        .slot = slot,
        .slot_generation = slot_generation,
    };
    handler_set_state(handler, HANDLER_TAKEN);
    table->n_started++;
    table->n_live++;
    return handler;
}

void handler_end(struct handler_table *table, struct handler *handler, enum handler_outcome outcome)
{
    handler_set_state(handler, HANDLER_FREE);
    assert(!deadline_is_set(&handler->deadline));
    assert(handler->queued == NULL && handler->delivery == NULL);
    assert(handler->request == NULL);
    free(handler->answer.data);
    handler->answer.data = NULL;
    table_give_back(&table->places, handler->index);
    table->n_ended[outcome]++;
    table->n_live--;
    assert(table->n_started == table->n_ended[HANDLER_REPLIED] + table->n_ended[HANDLER_ERROR] +
                                   table->n_ended[HANDLER_DROPPED] + table->n_live);
}

int handler_keep_request(struct handler *handler, const void *payload, size_t size)
{
    if (handler->request != NULL || size == 0)
        return 0;
    handler->request = malloc(size);
    if (handler->request == NULL)
        return -ENOMEM;
    memcpy(handler->request, payload, size);
    handler->request_bytes = (uint32_t)size;
    return 0;
}

void handler_drop_request(struct handler *handler)
{
    free(handler->request);
    handler->request = NULL;
    handler->request_bytes = 0;
}

bool handler_state_allows(enum handler_state from, enum handler_state to)
{
    return (handler_states[from].next & TO(to)) != 0;
}

void handler_set_state(struct handler *handler, enum handler_state state)
{
    assert(handler_state_allows(handler->state, state));
    if (log_level() >= LOG_DEBUG)
        log_event(LOG_DEBUG, LOG_EVENT_STATE, NULL, "handler %u of slot %u: %s -> %s",
                  handler->index, handler->slot, handler_state_name(handler->state),
                  handler_state_name(state));
    handler->state = state;
}

const char *handler_state_name(enum handler_state state) { return handler_states[state].name; }

void handler_list_append(struct handler_table *table, struct handler_list *list,
                         struct handler *handler)
{
    handler->previous = list->last;
    handler->next = HANDLER_NONE;
    if (list->last != HANDLER_NONE)
        table->handlers[list->last].next = handler->index;
    else
        list->first = handler->index;
    list->last = handler->index;
}

void handler_list_remove(struct handler_table *table, struct handler_list *list,
                         struct handler *handler)
{
    if (handler->previous != HANDLER_NONE)
        table->handlers[handler->previous].next = handler->next;
    else
        list->first = handler->next;
    if (handler->next != HANDLER_NONE)
        table->handlers[handler->next].previous = handler->previous;
    else
        list->last = handler->previous;
    handler->next = HANDLER_NONE;
    handler->previous = HANDLER_NONE;
}

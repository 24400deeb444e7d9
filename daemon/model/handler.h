/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_HANDLER_H
#define FIPC_DAEMON_MODEL_HANDLER_H

/*
 * A handler is the life of ONE message in the broker. It ends with exactly one outcome; at all
 * times started = ended + live.
 *
 *      taken -> routed -> running -> replying -> done
 *
 * From each of the first four it can fail. It goes back from running to routed when its worker is
 * lost, and another one can take it.
 *
 * Handlers live in one flat array that never moves, and refer to their slot by index and
 * generation.
 */
#include "daemon/base/deadline.h"
#include "daemon/base/table.h"
#include "daemon/model/lines.h"
#include "daemon/model/outbound_item.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define HANDLER_NONE UINT32_MAX

struct delivery;
struct service;

enum handler_state {
    HANDLER_FREE,
    HANDLER_TAKEN,    /* the request was read */
    HANDLER_ROUTED,   /* its service is known; it may wait in that service's queue */
    HANDLER_RUNNING,  /* the service works on it */
    HANDLER_REPLYING, /* the reply is known; it may wait for room */
    HANDLER_DONE,
    HANDLER_FAILED,
    HANDLER_STATE_COUNT,
};

enum handler_outcome {
    HANDLER_REPLIED,
    HANDLER_ERROR,   /* the caller sees an errno */
    HANDLER_DROPPED, /* the caller is gone */
    HANDLER_OUTCOME_COUNT,
};

/* Of handlers of one slot, linked by index. */
struct handler_list {
    uint32_t first, last;
};

#define HANDLER_LIST_EMPTY ((struct handler_list){HANDLER_NONE, HANDLER_NONE})

struct handler {
    uint32_t index;
    enum handler_state state;
    uint32_t slot;
    uint32_t slot_generation;
    uint32_t next, previous; /* in the slot's live */
    uint64_t id;             /* of the request */
    uint64_t started_ns;
    uint64_t deadline_ns;
    struct deadline deadline; /* of the call, or of a service that answers later */
    uint16_t flags;           /* of the request: enum fipc_request_flag */
    uint16_t place;           /* of the request, in its client's region: common/region.h */
    bool is_wait;             /* the message is WAIT: answered by WAITED */
    uint32_t first_item;      /* of the page of a report that is asked for */
    /* of a request to a service that workers serve: daemon/traffic/relay.h */
    struct service *queued;    /* the service in whose queue it is; NULL: it is not queued */
    struct line_item in_line;  /* of its account, in that queue */
    struct delivery *delivery; /* with a worker; NULL: no worker has it */
    uint8_t n_worker_deaths;   /* how many workers took it and are gone: they may have done it */
    void *request;             /* owned: its payload, while that may have to be delivered again */
    uint32_t request_bytes;
    struct outbound_item answer; /* flags and target are set before it is sent */
    bool is_unsent;              /* the answer waits for room */
};

struct handler_table {
    struct table places;
    struct handler *handlers; /* the elements of places */
    uint64_t n_started;
    uint64_t n_ended[HANDLER_OUTCOME_COUNT];
    uint32_t n_live;
};

/* Return: 0; -ENOMEM. Only the pages of handlers that were used once are resident. */
int handler_table_init(struct handler_table *table, uint32_t count);
void handler_table_deinit(struct handler_table *table);

/* Starts a life in HANDLER_TAKEN, in no list, for a slot of this generation. Return: the handler;
 * NULL if all are live */
struct handler *handler_start(struct handler_table *table, uint32_t slot, uint32_t slot_generation);

/* Ends a life in HANDLER_DONE or HANDLER_FAILED: counts it and frees what it owns. It is in no list
 * and has no deadline set. */
void handler_end(struct handler_table *table, struct handler *handler,
                 enum handler_outcome outcome);

/* Copies the payload of the request into the handler, unless it is there already. Return: 0;
 * -ENOMEM
 */
int handler_keep_request(struct handler *handler, const void *payload, size_t size);
void handler_drop_request(struct handler *handler);

/* The one setter of the state; asserts that the table of states allows the move. */
void handler_set_state(struct handler *handler, enum handler_state state);

const char *handler_state_name(enum handler_state state);
bool handler_state_allows(enum handler_state from, enum handler_state to);

void handler_list_append(struct handler_table *table, struct handler_list *list,
                         struct handler *handler);
void handler_list_remove(struct handler_table *table, struct handler_list *list,
                         struct handler *handler);

#endif

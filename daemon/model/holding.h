/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_HOLDING_H
#define FIPC_DAEMON_MODEL_HOLDING_H

/*
 * Memory that clients can hold after the broker has given it up: the region of a slot. It counts to
 * its account until it is gone, wherever it is: mapped, open, or in a packet that was never read.
 * Until then its former slot counts as one that is taken, for the account and for all together: so
 * what bounds slots also bounds such memory, and the fds in such packets.
 */
#include "daemon/base/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct account;
struct account_table;

#define HOLDING_NONE TABLE_NONE

struct holding {
    struct account *account;
    uint64_t bytes;
    bool has_slot; /* it is the region of a slot still */
    bool is_timed; /* it ends by time: nothing tells when it is gone */
    uint64_t until_ns;
    TAILQ_ENTRY(holding) in_timed; /* holding_table.timed */
};

struct holding_table {
    struct table places;
    struct holding *holdings; /* the elements of places */
    uint32_t n_left;          /* whose slots have ended */
    TAILQ_HEAD(, holding) timed;
};

/* Return: 0; -ENOMEM */
int holding_table_init(struct holding_table *table, uint32_t capacity);
void holding_table_deinit(struct holding_table *table);

/* Memory is about to be handed out for a slot of @account. Return: its number; HOLDING_NONE if
 * there is no place */
uint32_t holding_begin(struct holding_table *table, struct account *account, uint64_t bytes);

/* Nothing tells when this memory is gone. @until_ns: when it counts as gone, if it has left already
 */
void holding_set_timed(struct holding_table *table, uint32_t number, uint64_t until_ns);

/* The broker has no more use for it. @until_ns: when it counts as gone, if it is timed */
void holding_leave(struct holding_table *table, uint32_t number, uint64_t until_ns);

/* It is gone, and counts no more. */
void holding_end(struct holding_table *table, struct account_table *accounts, uint32_t number,
                 uint64_t now_ns);

/* When the next one counts as gone that is timed and has left; FIPC_NEVER: there is none */
uint64_t holding_due_ns(const struct holding_table *table);

/* Ends some that are due. */
void holding_end_due(struct holding_table *table, struct account_table *accounts, uint64_t now_ns);

#endif

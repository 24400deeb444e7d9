/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_WORKER_H
#define FIPC_DAEMON_MODEL_WORKER_H

/*
 * A worker is a session that serves a name, up to its concurrency at once. A delivery is one
 * request in its hands: from when it is put into its ring until it answers, or ends. The handler of
 * the request can end before that: then the worker gets a CANCEL, and its answer is dropped.
 */
#include "daemon/base/table.h"
#include "daemon/model/handler.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct service;
struct slot;

struct delivery {
    uint32_t number;                 /* the worker's name for it: its place in the table */
    uint64_t id;                     /* of the request */
    struct worker *worker;           /* that has it in its hands */
    struct handler *handler;         /* NULL: it has ended */
    uint64_t until;                  /* the tail of the worker's ring right after the request */
    TAILQ_ENTRY(delivery) of_worker; /* worker.deliveries */
};

TAILQ_HEAD(delivery_list, delivery);

struct worker {
    struct service *service;
    struct slot *slot;
    uint64_t handle; /* of its client, as SERVE says */
    uint32_t concurrency;
    uint32_t n_deliveries;
    struct delivery_list deliveries; /* oldest first */
    TAILQ_ENTRY(worker) of_service;
    TAILQ_ENTRY(worker) of_slot;
};

struct delivery_table {
    struct table places;
    struct delivery *deliveries; /* the elements of places */
    uint64_t n_made;
    uint64_t n_late;    /* answers to requests whose handlers had ended */
    uint64_t n_unknown; /* answers under a number that the worker was not given, or had answered */
};

/* Return: 0; -ENOMEM. Only the pages of deliveries that were used once are resident. */
int delivery_table_init(struct delivery_table *table);
void delivery_table_deinit(struct delivery_table *table);

/* Has @slot serve @service. Return: the worker; NULL if there is no memory */
struct worker *worker_add(struct service *service, struct slot *slot, uint32_t concurrency);

/* Ends a worker that has no deliveries left. */
void worker_remove(struct worker *worker);

enum worker_choice {
    WORKER_FOUND,
    WORKER_NONE_FREE,
    WORKER_NONE_LARGE, /* those that are free have rings that are too small */
    WORKER_TOO_LARGE,  /* the rings of all workers are too small */
};

/**
 * worker_find() - find the least busy worker that can be given one more request
 * @bytes:       payload of the record that the request becomes
 * @ret_worker:  on WORKER_FOUND
 */
enum worker_choice worker_find(const struct service *service, size_t bytes,
                               struct worker **ret_worker);

/* Puts a request into a worker's hands. Return: the delivery; NULL if there is no place for it */
struct delivery *delivery_begin(struct delivery_table *table, struct worker *worker,
                                struct handler *handler);

/* Takes it out of them, and lets go of the handler if that has not ended. */
void delivery_end(struct delivery_table *table, struct delivery *delivery);

/* Return: the delivery that this slot was given under this number; NULL if there is none, or it was
 * answered */
struct delivery *delivery_of(const struct delivery_table *table, const struct slot *slot,
                             uint32_t number);

#endif

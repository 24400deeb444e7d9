/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_SERVICE_H
#define FIPC_DAEMON_MODEL_SERVICE_H

/*
 * Names that answer requests: built in, or served by workers. A target is the number of a name,
 * which OPENED tells the client: it never comes to mean another name.
 */
#include "daemon/base/table.h"
#include "daemon/model/handler.h"
#include "daemon/model/lines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct account;
struct account_table;
struct core;
struct room_wish;
struct worker;

#define SERVICE_NONE UINT32_C(0)

/**
 * Serves one request, in HANDLER_RUNNING: ends it by reply_data() or reply_error(), now or
 * later.
 * @payload: in shared memory, or in the packet of a one-shot: valid until the function returns, and
 * its bytes can change meanwhile
 */
typedef void service_fn(struct core *core, struct handler *handler, const void *payload,
                        size_t size);

/* A service of the broker itself. */
struct builtin {
    const char *name;
    service_fn *serve;
};

struct service {
    uint32_t index;
    uint32_t generation; /* of its place, for its target */
    bool was_served;     /* a client knows its target */
    const char *name;    /* not terminated; owned unless built in; NULL: the place is free */
    size_t name_bytes;
    service_fn *serve;       /* built in; NULL: workers do */
    struct account *account; /* whose n_names counts this name; NULL: built in */
    TAILQ_HEAD(, worker) workers;
    uint32_t n_workers;
    struct lines queue;                  /* requests that no worker could be given yet */
    struct lines waits;                  /* handlers: for a worker to serve this name */
    struct deadline drain;               /* set: some of what waits can go on */
    TAILQ_HEAD(, room_wish) room_wishes; /* of slots that found no room in the queue */
};

struct service_table {
    struct table places;
    struct service *services; /* the elements of places */
    uint32_t *generations;    /* of each place: counts the names that were served there */
    uint32_t n_names;         /* places that are in use, or used up */
    void *by_name;            /* of tsearch(3) */
};

/**
 * service_table_init() - make a table that holds the built-in services
 * @builtins:  their names stay valid
 *
 * Return: 0; -ENOMEM
 */
int service_table_init(struct service_table *table, const struct builtin *builtins,
                       uint32_t n_builtins);
void service_table_deinit(struct service_table *table);

/* The number in OPENED. */
uint32_t service_target(const struct service *service);

/* Return: the service; NULL if there is no such target, or not any more */
struct service *service_of_target(struct service_table *table, uint32_t target);

/* Return: the service of this name; NULL if no worker serves it and no handler waits for it */
struct service *service_find(struct service_table *table, const char *name, size_t name_bytes);

/* As service_find(), but makes the service if there is none, at the expense of @account. Return:
 * the service; NULL if there is no memory, or no place */
struct service *service_open(struct service_table *table, const char *name, size_t name_bytes,
                             struct account *account);

/* Forgets the name if no worker serves it and no handler waits: call after one has left. */
void service_release_if_unused(struct service_table *table, struct account_table *accounts,
                               struct service *service, uint64_t now_ns);

/* Whether a worker, or the broker itself, can answer a request now. */
bool service_is_served(const struct service *service);

#endif

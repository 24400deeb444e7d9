/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_SERVED_H
#define FIPC_CLIENT_SESSION_SERVED_H

/* The names that a client serves: the broker is asked to agree again on each connection. Guarded by
 * the handle's lock. */
#include "client/base/pending.h"

#include <fipc/service.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_connection;

/* Of a name, on the open connection. */
enum fipc_served_state {
    FIPC_SERVED_UNKNOWN, /* to the broker */
    FIPC_SERVED_ASKED,
    FIPC_SERVED_AGREED,
    FIPC_SERVED_REFUSED,
};

/* A name that is served. */
struct fipc_served {
    TAILQ_ENTRY(fipc_served) link;   /* fipc_served_names.list */
    struct fipc_served_names *names; /* borrowed */
    enum fipc_served_state state;
    bool has_agreed; /* the broker did once: the user relies on it */
    struct fipc_pending question;
    int error; /* why it was refused */
    uint32_t target;
    uint32_t concurrency;
    fipc_request_fn *fn;
    void *userdata;
    size_t name_bytes;
    char name[];
};

struct fipc_served_names {
    uint64_t handle; /* random: the broker writes it into the places of callers */
    TAILQ_HEAD(, fipc_served) list;
    unsigned n_revoked; /* of them: those refused after the broker had agreed once */
    bool has_news;      /* the broker has answered since the session looked */
};

/* Return: 0; the errno of getrandom(2) */
int fipc_served_init(struct fipc_served_names *names);
void fipc_served_deinit(struct fipc_served_names *names);

/* Return: the name; NULL if it is not served */
struct fipc_served *fipc_served_find(const struct fipc_served_names *names, const char *name,
                                     size_t name_bytes);

/* Return: the name that the broker gave this number; NULL if there is none */
const struct fipc_served *fipc_served_of_target(const struct fipc_served_names *names,
                                                uint32_t target);

/* Adds a name that the broker does not know yet. Return: it, for fipc_served_remove(), the user's
 * function to be filled in; NULL no memory */
struct fipc_served *fipc_served_add(struct fipc_served_names *names, const char *name,
                                    size_t name_bytes);

/* Removes a name that is not being asked about. */
void fipc_served_remove(struct fipc_served *served);

/* Asks the broker to agree to the names that it does not know yet. Return: as
 * fipc_outgoing_send() */
int fipc_served_go_on(struct fipc_served_names *names, struct fipc_connection *connection);

/* The connection is lost: the next broker knows no name. */
void fipc_served_lost(struct fipc_served_names *names);

/* Removes all names, without a word to the broker: there is no connection. */
void fipc_served_forget_all(struct fipc_served_names *names);

/* Removes one of the names that were revoked. Return: why the broker refused it; 0 if there is none
 */
int fipc_served_take_revoked(struct fipc_served_names *names);

#endif

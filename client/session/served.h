/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_SESSION_SERVED_H
#define FIPC_CLIENT_SESSION_SERVED_H

/* The names that a client serves: the broker is told again on each connection. Guarded by the
 * client's lock. */
#include "client/base/pending.h"

#include <fipc/service.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_client;

/* Of a name, as far as the broker is told. */
enum fipc_served_state {
    FIPC_SERVED_UNKNOWN, /* to the broker, on this connection */
    FIPC_SERVED_ASKED,
    FIPC_SERVED_AGREED,
    FIPC_SERVED_REFUSED,
};

/* A name that is served. */
struct fipc_served {
    TAILQ_ENTRY(fipc_served) link; /* fipc_serving.names */
    enum fipc_served_state state;
    bool has_agreed; /* the broker did once: the user relies on it */
    struct fipc_pending question;
    int error; /* why it was refused */
    uint32_t target;
    uint32_t concurrency;
    fipc_handler_fn *fn;
    void *userdata;
    size_t name_bytes;
    char name[];
};

TAILQ_HEAD(fipc_request_list, fipc_request);

struct fipc_serving {
    TAILQ_HEAD(, fipc_served) names;
    struct fipc_request_list inbox; /* their handlers are due */
    unsigned n_inbox;
    struct fipc_request_list in_hand; /* not answered yet: client/session/inbox.h */
    unsigned n_in_hand;
    unsigned n_lost; /* of the names: those refused after the broker had agreed once */
};

void fipc_serving_init(struct fipc_serving *serving);
void fipc_serving_deinit(struct fipc_serving *serving);

/* Return: the name; NULL if it is not served */
struct fipc_served *fipc_served_find(const struct fipc_serving *serving, const char *name,
                                     size_t name_bytes);

/* Adds a name that the broker does not know yet. Return: it, for fipc_served_remove(), to be filled
 * in; NULL no memory */
struct fipc_served *fipc_served_add(struct fipc_serving *serving, const char *name,
                                    size_t name_bytes);
void fipc_served_remove(struct fipc_serving *serving, struct fipc_served *served);

/* Tells the broker of names that it does not know yet. Return: as fipc_backlog_send() */
int fipc_serving_go_on(struct fipc_client *client);

/* The connection is lost, and with it all requests. */
void fipc_serving_lost(struct fipc_client *client);

/* Forgets all names, without a word to the broker: there is no connection any more. */
void fipc_serving_forget_all(struct fipc_serving *serving);

/* Forgets one name that the broker refuses after it had agreed. Return: why; 0 there is none */
int fipc_serving_take_lost(struct fipc_serving *serving);

/* Return: the name that the broker gave this number; NULL none */
const struct fipc_served *fipc_served_of_target(const struct fipc_serving *serving,
                                                uint32_t target);

#endif

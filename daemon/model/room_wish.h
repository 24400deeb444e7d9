/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_ROOM_WISH_H
#define FIPC_DAEMON_MODEL_ROOM_WISH_H

/* A slot found no room for a request to a service: it is told when there is some again. There is
 * one wish at most for each slot and service, and so few for each slot and uid that all of them can
 * be looked through at once. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct core;
struct quota;
struct service;
struct slot;

struct room_wish {
    struct service *service;
    struct slot *slot;
    /* the room_wishes of the service, of the slot, and of its account: */
    TAILQ_ENTRY(room_wish) of_service, of_slot, of_account;
};

/* For a request of this size.
 * Return: 0, also where there is one already; -EDQUOT the slot, or its uid, has too many; -ENOMEM
 */
int room_wish_make(const struct quota *quota, struct service *service, struct slot *slot,
                   size_t size);

bool room_wish_exists(const struct service *service, const struct slot *slot);

/* Tells the slot, and ends the wish. */
void room_wish_fulfil(struct core *core, struct room_wish *wish);

/* Likewise for all who wait for this service. */
void room_wish_fulfil_all(struct core *core, struct service *service);

/* A slot ends. */
void room_wish_forget_all(struct slot *slot);

#endif

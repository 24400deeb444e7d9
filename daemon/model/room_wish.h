/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_ROOM_WISH_H
#define FIPC_DAEMON_MODEL_ROOM_WISH_H

/* A slot found no room for a request to a service: its client is notified when there is some again.
 * There is one wish at most for each slot and service, and the quota keeps them so few that all of
 * them can be looked through at once. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct quota;
struct service;
struct slot;

struct room_wish {
    struct service *service;
    struct slot *slot;
    TAILQ_ENTRY(room_wish) of_service; /* service.room_wishes; a list of granted ones later */
    TAILQ_ENTRY(room_wish) of_slot;    /* slot.room_wishes */
    TAILQ_ENTRY(room_wish) of_account; /* account.room_wishes */
};

/* Wishes that are fulfilled, in the order in which their slots are to be notified. */
TAILQ_HEAD(room_wish_list, room_wish);

/**
 * room_wish_make() - note that a slot found no room
 * @size:  of its request, in bytes
 *
 * Return: 0, also if there is such a wish already; -EDQUOT the slot, or its uid, has too many;
 * -ENOMEM
 */
int room_wish_make(const struct quota *quota, struct service *service, struct slot *slot,
                   size_t size);

bool room_wish_exists(const struct service *service, const struct slot *slot);

/* Ends a wish: there is room. @granted keeps it until its slot is notified. */
void room_wish_grant(struct room_wish *wish, struct room_wish_list *granted);

/* Likewise all wishes for this service, the oldest first. */
void room_wish_grant_all(struct service *service, struct room_wish_list *granted);

/**
 * room_wish_take_granted() - take the first one out of the list
 * @ret_service:  that has room
 *
 * Return: the slot to notify; NULL if the list is empty
 */
struct slot *room_wish_take_granted(struct room_wish_list *granted, struct service **ret_service);

/* The slot ends. */
void room_wish_forget_all(struct slot *slot);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_QUEUE_H
#define FIPC_DAEMON_MODEL_QUEUE_H

/* The queue of a service: requests that no worker could be given yet, at the expense of their
 * callers' accounts, which take turns; and the handlers that wait for a worker to serve the name.
 */
#include "daemon/model/handler.h"

#include <stddef.h>

struct quota;
struct room_wish_list;
struct service;
struct slot;

/**
 * queue_put() - put a request at the end of its account's line in the queue
 * @caller:   the handler's slot
 * @payload:  copied
 *
 * Return: 0; -EAGAIN no room: the caller's slot has a room wish from here on, unless the caller
 * does not want to wait, and never if the slot has nothing in any queue; else as room_wish_make()
 */
int queue_put(const struct quota *quota, struct service *service, struct slot *caller,
              struct handler *handler, const void *payload, size_t size);

/* Puts a request back before all others, whose payload the handler keeps. Return: 0; -ENOMEM */
int queue_put_first(struct service *service, struct slot *caller, struct handler *handler);

/* Has a handler wait for a worker to serve the name. Return: 0; -ENOMEM */
int queue_wait(struct service *service, const struct slot *caller, struct handler *handler);

/* Takes a handler out of the queue that it is in. @granted: gets the room wishes that this
 * fulfils, in the order in which their slots are to be notified */
void queue_remove(const struct quota *quota, struct slot *caller, struct handler *handler,
                  struct room_wish_list *granted);

/**
 * queue_keep_copy() - keep a copy of a request that a worker is about to get
 *
 * Return: 0; -EAGAIN no room: as queue_put(), but never if the slot has no other copy; -ENOMEM
 */
int queue_keep_copy(const struct quota *quota, struct service *service, struct slot *caller,
                    struct handler *handler, const void *payload, size_t size);

/* Drops the copy of a request that is in no queue, if there is one. @granted: as queue_remove() */
void queue_drop_copy(const struct quota *quota, struct slot *caller, struct handler *handler,
                     struct room_wish_list *granted);

/* The request whose turn is next, and the ones after it, account by account. Return: NULL if there
 * is none */
struct handler *queue_first(const struct service *service);
struct handler *queue_next(const struct handler *handler);

#endif

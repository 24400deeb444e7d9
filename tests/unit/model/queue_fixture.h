/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_UNIT_MODEL_QUEUE_FIXTURE_H
#define FIPC_TESTS_UNIT_MODEL_QUEUE_FIXTURE_H

/* Slots of several accounts, and requests that they put into the queues of two services. */
#include "common/message.h"
#include "daemon/model/account.h"
#include "daemon/model/queue.h"
#include "daemon/model/quota.h"
#include "daemon/model/room_wish.h"
#include "daemon/model/service.h"
#include "daemon/model/slot.h"
#include "tests/suite.h"

#include <string.h>

#define UIDS 5
#define SLOTS_PER_UID 4
#define SLOTS (UIDS * SLOTS_PER_UID)
#define SERVICES 2
#define HANDLERS (QUEUE_MAX + UIDS * SLOTS_PER_UID)

static struct quota quota;
static struct account accounts[UIDS];
static struct slot slots[SLOTS]; /* of a uid: one after the other */
static struct service services[SERVICES];
static struct handler handlers[HANDLERS];
static struct room_wish_list granted;

static inline void set_up(void)
{
    quota = (struct quota){.queue = share_of(QUEUE_MAX, 1024, 64),
                           .queued = 8,
                           .copy_bytes = 100,
                           .room_wishes = 100,
                           .room_wishes_per_slot = 10};
    for (int i = 0; i < UIDS; i++) {
        accounts[i] = (struct account){.uid = 1000 + (uid_t)i};
        TAILQ_INIT(&accounts[i].room_wishes);
    }
    for (int i = 0; i < SLOTS; i++) {
        slots[i] = (struct slot){.index = (uint32_t)i, .account = &accounts[i / SLOTS_PER_UID]};
        TAILQ_INIT(&slots[i].room_wishes);
    }
    for (int i = 0; i < SERVICES; i++) {
        services[i] = (struct service){.index = (uint32_t)i};
        lines_init(&services[i].queue);
        lines_init(&services[i].waits);
        TAILQ_INIT(&services[i].room_wishes);
    }
    TAILQ_INIT(&granted);
    memset(handlers, 0, sizeof(handlers));
}

/* Frees what a case has left. */
static inline void tear_down(void)
{
    struct service *service;

    while (room_wish_take_granted(&granted, &service) != NULL)
        ;
    for (int i = 0; i < SLOTS; i++)
        room_wish_forget_all(&slots[i]);
    for (int i = 0; i < SERVICES; i++)
        for (struct line_item *item; (item = lines_first(&services[i].queue)) != NULL;)
            lines_remove(&services[i].queue, item);
    for (int i = 0; i < HANDLERS; i++)
        handler_drop_request(&handlers[i]);
}

static inline struct slot *caller_of(const struct handler *handler)
{
    return &slots[handler->slot];
}

/* The handler's number is where it is in handlers. */
static inline int put(int service, int slot, int number, size_t size)
{
    static const char payload[4096];

    handlers[number].slot = (uint32_t)slot;
    return queue_put(&quota, &services[service], &slots[slot], &handlers[number], payload, size);
}

static inline void take_out(int number)
{
    queue_remove(&quota, caller_of(&handlers[number]), &handlers[number], &granted);
    queue_drop_copy(&quota, caller_of(&handlers[number]), &handlers[number], &granted);
}

#endif

/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/queueing.h"

#include "daemon/model/core.h"
#include "daemon/model/queue.h"
#include "daemon/model/room_wish.h"
#include "daemon/model/worker.h"
#include "daemon/traffic/outbound.h"

#define GRANTED_AT_ONCE 64

static void notify_granted(struct core *core, struct room_wish_list *granted)
{
    struct service *service;
    struct slot *slot;

    while ((slot = room_wish_take_granted(granted, &service)) != NULL)
        outbound_room(core, slot, service_target(service));
}

bool queueing_grant_some(struct core *core, struct service *service)
{
    struct room_wish_list granted = TAILQ_HEAD_INITIALIZER(granted);
    struct room_wish *wish;

    for (int n = 0; n < GRANTED_AT_ONCE; n++) {
        wish = TAILQ_FIRST(&service->room_wishes);
        if (wish != NULL)
            room_wish_grant(wish, &granted);
    }
    notify_granted(core, &granted);
    return !TAILQ_EMPTY(&service->room_wishes);
}

void queueing_grant_all(struct core *core, struct service *service)
{
    struct room_wish_list granted = TAILQ_HEAD_INITIALIZER(granted);

    room_wish_grant_all(service, &granted);
    notify_granted(core, &granted);
}

void queueing_leave(struct core *core, struct handler *handler)
{
    struct room_wish_list granted = TAILQ_HEAD_INITIALIZER(granted);

    queue_remove(&core->quota, slot_of_caller(&core->slots, handler), handler, &granted);
    notify_granted(core, &granted);
}

void queueing_drop_copy(struct core *core, struct handler *handler)
{
    struct room_wish_list granted = TAILQ_HEAD_INITIALIZER(granted);

    if (handler->request == NULL)
        return;
    queue_drop_copy(&core->quota, slot_of_caller(&core->slots, handler), handler, &granted);
    notify_granted(core, &granted);
}

void queueing_release_if_unused(struct core *core, struct service *service)
{
    if (service->n_workers == 0 && service->queue.n_items == 0) {
        queueing_grant_all(core, service); /* it is opened anew, or there is none */
        deadline_clear(core->deadlines, &service->drain);
    }
    service_release_if_unused(&core->services, &core->accounts, service, core->now_ns);
}

void queueing_forget(struct core *core, struct handler *handler)
{
    struct delivery *delivery = handler->delivery;
    struct service *service = handler->queued;

    if (service != NULL) {
        queueing_leave(core, handler);
        queueing_release_if_unused(core, service);
    }
    queueing_drop_copy(core, handler);
    if (delivery != NULL) {
        handler->delivery = NULL;
        delivery->handler = NULL;
        outbound_cancel(core, delivery->worker->slot, delivery->number, delivery->id);
    }
}

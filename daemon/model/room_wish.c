/* SPDX-License-Identifier: MIT */
#include "daemon/model/room_wish.h"

#include "daemon/model/account.h"
#include "daemon/model/quota.h"
#include "daemon/model/service.h"
#include "daemon/model/slot.h"

#include <errno.h>
#include <stdlib.h>

bool room_wish_exists(const struct service *service, const struct slot *slot)
{
    const struct room_wish *wish;

    TAILQ_FOREACH(wish, &slot->room_wishes, of_slot) {
        if (wish->service == service)
            return true;
    }
    return false;
}

/* Return: as room_wish_make() */
static int wish_begin(const struct quota *quota, struct service *service, struct slot *slot)
{
    struct room_wish *wish;

    if (!quota_allows_room_wish(quota, slot))
        return -EDQUOT;
    wish = malloc(sizeof(*wish));
    if (wish == NULL)
        return -ENOMEM;
    *wish = (struct room_wish){.service = service, .slot = slot};
    TAILQ_INSERT_TAIL(&service->room_wishes, wish, of_service);
    TAILQ_INSERT_TAIL(&slot->room_wishes, wish, of_slot);
    TAILQ_INSERT_TAIL(&slot->account->room_wishes, wish, of_account);
    slot->n_room_wishes++;
    slot->account->n_room_wishes++;
    return 0;
}

int room_wish_make(const struct quota *quota, struct service *service, struct slot *slot,
                   size_t size)
{
    struct account *account = slot->account;
    int r = room_wish_exists(service, slot) ? 0 : wish_begin(quota, service, slot);

    if (r == 0 && size > account->wished_bytes)
        account->wished_bytes = size;
    return r;
}

/* Takes the wish out of all lists; it is the caller's. */
static void wish_end(struct room_wish *wish)
{
    struct account *account = wish->slot->account;

    TAILQ_REMOVE(&wish->service->room_wishes, wish, of_service);
    TAILQ_REMOVE(&wish->slot->room_wishes, wish, of_slot);
    TAILQ_REMOVE(&account->room_wishes, wish, of_account);
    wish->slot->n_room_wishes--;
    account->n_room_wishes--;
    if (account->n_room_wishes == 0)
        account->wished_bytes = 0;
}

void room_wish_grant(struct room_wish *wish, struct room_wish_list *granted)
{
    wish_end(wish);
    TAILQ_INSERT_TAIL(granted, wish, of_service);
}

void room_wish_grant_all(struct service *service, struct room_wish_list *granted)
{
    struct room_wish *wish;

    while ((wish = TAILQ_FIRST(&service->room_wishes)) != NULL)
        room_wish_grant(wish, granted);
}

struct slot *room_wish_take_granted(struct room_wish_list *granted, struct service **ret_service)
{
    struct room_wish *wish = TAILQ_FIRST(granted);
    struct slot *slot;

    if (wish == NULL)
        return NULL;
    TAILQ_REMOVE(granted, wish, of_service);
    *ret_service = wish->service;
    slot = wish->slot;
    free(wish);
    return slot;
}

void room_wish_forget_all(struct slot *slot)
{
    struct room_wish *wish, *next;

    for (wish = TAILQ_FIRST(&slot->room_wishes); wish != NULL; wish = next) {
        next = TAILQ_NEXT(wish, of_slot);
        wish_end(wish);
        free(wish);
    }
}

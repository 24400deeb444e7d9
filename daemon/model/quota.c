/* SPDX-License-Identifier: MIT */
#include "daemon/model/quota.h"

#include "common/region.h"
#include "daemon/config/config.h"
#include "daemon/model/account.h"
#include "daemon/model/slot.h"

/* What each account should be able to have while others hold much. */
#define SLOTS_FEW 4
#define CALLS_FEW 64
#define NAMES_FEW 8
#define UNSENT_BYTES_MAX (UINT64_C(64) << 20)
#define QUEUED_MAX 1024
#define COPY_BYTES_MAX (UINT64_C(8) << 20)
#define ROOM_WISHES_MAX 4096
#define ROOM_WISHES_PER_SLOT_MAX 64
#define NAMES_MAX 4096
#define NAMES_PER_SLOT_MAX 64

static uint32_t places_of(uint32_t n_places, const struct share *slots)
{
    uint64_t places = (uint64_t)n_places * slots->per_account / slots->count;

    return places > 0 ? (uint32_t)places : 1;
}

/* As much as its sessions of the default size take, and one of the largest size in any case. */
static uint64_t region_bytes_of(const struct config *config, uint32_t n_slots)
{
    uint64_t largest = fipc_region_size(config->slots.ring_bytes_max, config->slots.ring_bytes_max,
                                        FIPC_PLACES_MAX);
    uint64_t usual = (uint64_t)fipc_region_size(config->slots.request_ring_bytes,
                                                config->slots.reply_ring_bytes, FIPC_PLACES_MAX) *
                     n_slots;

    return usual > largest ? usual : largest;
}

struct quota quota_of(const struct config *config, uint32_t n_places, uint32_t n_handlers,
                      uint32_t n_names)
{
    struct share slots = share_of(config->slots.count, config->slots.per_uid, SLOTS_FEW);

    return (struct quota){
        .slots = slots,
        .places = share_of(n_places, places_of(n_places, &slots), SLOTS_FEW),
        .handlers = share_of(n_handlers, 0, CALLS_FEW),
        .names = share_of(n_names, NAMES_MAX, NAMES_FEW),
        .queue = share_of(QUEUE_MAX, QUEUED_MAX, CALLS_FEW),
        .region_bytes = region_bytes_of(config, slots.per_account),
        .unsent_bytes = UNSENT_BYTES_MAX,
        .queued = QUEUED_MAX,
        .copy_bytes = COPY_BYTES_MAX,
        .room_wishes = ROOM_WISHES_MAX,
        .room_wishes_per_slot = ROOM_WISHES_PER_SLOT_MAX,
        .names_per_slot = NAMES_PER_SLOT_MAX,
    };
}

bool quota_allows_slot(const struct quota *quota, const struct account *account, uint32_t n_taken)
{
    return share_allows(&quota->slots, account->n_slots + account->n_closing, n_taken,
                        account->is_trusted);
}

bool quota_allows_place(const struct quota *quota, const struct account *account,
                        uint32_t n_waiting)
{
    return share_allows(&quota->places, account->n_waiting, n_waiting, account->is_trusted);
}

bool quota_allows_handler(const struct quota *quota, const struct account *account, uint32_t n_live)
{
    return share_allows(&quota->handlers, account->n_handlers, n_live, account->is_trusted);
}

bool quota_allows_name(const struct quota *quota, const struct account *account, uint32_t n_names)
{
    return share_allows(&quota->names, account->n_names, n_names, account->is_trusted);
}

bool quota_allows_region(const struct quota *quota, const struct account *account, uint64_t bytes)
{
    /* a trusted account may have all slots */
    uint64_t limit = account->is_trusted
                         ? quota->region_bytes * quota->slots.count / quota->slots.per_account
                         : quota->region_bytes;

    return account->region_bytes + bytes <= limit;
}

bool quota_allows_unsent(const struct quota *quota, const struct account *account, size_t bytes)
{
    return account->unsent_bytes + bytes <= quota->unsent_bytes;
}

bool quota_allows_room_wish(const struct quota *quota, const struct slot *slot)
{
    return slot->n_room_wishes < quota->room_wishes_per_slot &&
           slot->account->n_room_wishes < quota->room_wishes;
}

bool quota_allows_worker(const struct quota *quota, const struct slot *slot)
{
    return slot->n_workers < quota->names_per_slot;
}

bool quota_allows_queued(const struct quota *quota, const struct account *account)
{
    return account->n_queued < quota->queued;
}

bool quota_allows_copy(const struct quota *quota, const struct account *account, size_t bytes)
{
    return account->copy_bytes == 0 || account->copy_bytes + bytes <= quota->copy_bytes;
}

bool quota_allows_queue_place(const struct quota *quota, const struct account *account,
                              uint32_t held, uint32_t n_queued)
{
    return share_allows(&quota->queue, held, n_queued, account->is_trusted);
}

bool quota_is_queued_low(const struct quota *quota, const struct account *account)
{
    return account->n_queued <= quota->queued / 2 && account->copy_bytes <= quota->copy_bytes / 2 &&
           quota_allows_copy(quota, account, account->wished_bytes);
}

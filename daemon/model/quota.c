/* SPDX-License-Identifier: MIT */
#include "daemon/model/quota.h"

#include "common/region.h"
#include "daemon/config/config.h"
#include "daemon/model/account.h"
#include "daemon/model/slot.h"

/* Of slots.count, where slots.per_uid is 0. */
#define SLOTS_SHARE 4
/* Of all handlers. */
#define HANDLERS_SHARE 4
#define UNSENT_BYTES_MAX (UINT64_C(64) << 20)
#define QUEUED_MAX 1024
#define QUEUED_BYTES_MAX (UINT64_C(8) << 20)
#define ROOM_WISHES_MAX 4096
#define ROOM_WISHES_PER_SLOT_MAX 64
#define NAMES_MAX 4096
#define NAMES_PER_SLOT_MAX 64

static uint32_t share_of(uint32_t count, uint32_t share)
{
    return count / share > 0 ? count / share : 1;
}

static uint32_t slots_of(const struct config *config)
{
    uint32_t count = config->slots.count;
    uint32_t per_uid = config->slots.per_uid;

    if (per_uid == 0)
        per_uid = share_of(count, SLOTS_SHARE);
    return per_uid < count ? per_uid : count;
}

static uint32_t places_of(const struct config *config, uint32_t n_places, uint32_t n_slots)
{
    uint64_t places = (uint64_t)n_places * n_slots / config->slots.count;

    return places > 0 ? (uint32_t)places : 1;
}

/* As much as its sessions of the default size take, and one of the largest size in any case. */
static uint64_t region_bytes_of(const struct config *config, uint32_t n_slots)
{
    uint64_t largest = fipc_region_size(config->slots.ring_bytes_max, config->slots.ring_bytes_max);
    uint64_t usual = (uint64_t)fipc_region_size(config->slots.request_ring_bytes,
                                                config->slots.reply_ring_bytes) *
                     n_slots;

    return usual > largest ? usual : largest;
}

struct quota quota_of(const struct config *config, uint32_t n_places, uint32_t n_handlers)
{
    uint32_t n_slots = slots_of(config);

    return (struct quota){
        .slots = n_slots,
        .places = places_of(config, n_places, n_slots),
        .region_bytes = region_bytes_of(config, n_slots),
        .handlers = share_of(n_handlers, HANDLERS_SHARE),
        .unsent_bytes = UNSENT_BYTES_MAX,
        .queued = QUEUED_MAX,
        .queued_bytes = QUEUED_BYTES_MAX,
        .room_wishes = ROOM_WISHES_MAX,
        .room_wishes_per_slot = ROOM_WISHES_PER_SLOT_MAX,
        .names = NAMES_MAX,
        .names_per_slot = NAMES_PER_SLOT_MAX,
    };
}

bool quota_allows_slot(const struct quota *quota, const struct account *account)
{
    return account->n_slots + account->n_closing < quota->slots;
}

bool quota_allows_place(const struct quota *quota, const struct account *account)
{
    return account->n_waiting < quota->places;
}

bool quota_allows_region(const struct quota *quota, const struct account *account, uint64_t bytes)
{
    return account->region_bytes + bytes <= quota->region_bytes;
}

bool quota_allows_handler(const struct quota *quota, const struct account *account)
{
    return account->n_handlers < quota->handlers;
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

bool quota_allows_name(const struct quota *quota, const struct account *account)
{
    return account->n_names < quota->names;
}

bool quota_allows_worker(const struct quota *quota, const struct slot *slot)
{
    return slot->n_workers < quota->names_per_slot;
}

static bool has_bytes_for(const struct quota *quota, const struct account *account, uint64_t bytes)
{
    return account->queued_bytes == 0 || account->queued_bytes + bytes <= quota->queued_bytes;
}

bool quota_allows_queued(const struct quota *quota, const struct account *account, size_t bytes)
{
    return account->n_queued < quota->queued && has_bytes_for(quota, account, bytes);
}

bool quota_is_queued_low(const struct quota *quota, const struct account *account)
{
    return account->n_queued <= quota->queued / 2 &&
           account->queued_bytes <= quota->queued_bytes / 2 &&
           has_bytes_for(quota, account, account->wished_bytes);
}

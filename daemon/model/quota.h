/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_QUOTA_H
#define FIPC_DAEMON_MODEL_QUOTA_H

/*
 * The limits of one uid, and of one slot within them. Each function answers whether an account may
 * hold one thing more. None of them changes anything: their callers count.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct account;
struct config;
struct slot;

/* The limits of each uid; those of a slot say so. */
struct quota {
    uint32_t slots;        /* and the fds and regions still to be closed of former ones */
    uint32_t places;       /* of the waiting room: the same share of it as of the slots */
    uint64_t region_bytes; /* of the channels of its slots */
    uint32_t handlers;     /* live */
    uint64_t unsent_bytes; /* of replies that wait for room in the rings of its slots */
    uint32_t queued;       /* requests in the queues of all services */
    uint64_t queued_bytes; /* of these */
    uint32_t room_wishes, room_wishes_per_slot;
    uint32_t names;          /* that its slots were the first to serve, or to wait for */
    uint32_t names_per_slot; /* that it serves */
};

/**
 * quota_of() - the limits under a config
 * @n_places:    of the waiting room
 * @n_handlers:  that can be live at once, of all uids together
 */
struct quota quota_of(const struct config *config, uint32_t n_places, uint32_t n_handlers);

bool quota_allows_slot(const struct quota *quota, const struct account *account);
bool quota_allows_place(const struct quota *quota, const struct account *account);
bool quota_allows_region(const struct quota *quota, const struct account *account, uint64_t bytes);
bool quota_allows_handler(const struct quota *quota, const struct account *account);
bool quota_allows_unsent(const struct quota *quota, const struct account *account, size_t bytes);
bool quota_allows_room_wish(const struct quota *quota, const struct slot *slot);
bool quota_allows_name(const struct quota *quota, const struct account *account);

/* Whether a slot may serve one name more. */
bool quota_allows_worker(const struct quota *quota, const struct slot *slot);

/* Whether a request of this size may be queued. One that is larger than the whole share goes
 * alone. */
bool quota_allows_queued(const struct quota *quota, const struct account *account, size_t bytes);

/* Whether the share of the queues is half empty, and has room for the largest request that a room
 * wish of this account is for. */
bool quota_is_queued_low(const struct quota *quota, const struct account *account);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_QUOTA_H
#define FIPC_DAEMON_MODEL_QUOTA_H

/*
 * The limits of one account, and of one slot within them. Each function answers whether an account
 * may hold one thing more. None of them changes anything: their callers count.
 */
#include "daemon/model/share.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests of all callers in the queue of one service. */
#define QUEUE_MAX 4096

struct account;
struct config;
struct slot;

/* The limits of each account; those of a slot say so. Of what is countable each has a share. */
struct quota {
    struct share slots;    /* the fds and regions still to be closed of former ones count too */
    struct share places;   /* of the waiting room: the same part of it as of the slots */
    struct share handlers; /* live */
    struct share names;    /* that its slots were the first to serve, or to wait for */
    struct share queue;    /* places in the queue of one service */
    uint64_t region_bytes; /* of the channels of its slots, as many as its slots need */
    uint64_t unsent_bytes; /* of replies that wait for room in the rings of its slots */
    uint32_t queued;       /* requests in the queues of all services */
    uint64_t copy_bytes;   /* of all requests of which the broker keeps a copy, queued or not */
    uint32_t room_wishes, room_wishes_per_slot;
    uint32_t names_per_slot; /* that it serves */
};

/**
 * quota_of() - the limits under a config
 * @n_places:    of the waiting room
 * @n_handlers:  that can be live at once, of all accounts together
 * @n_names:     likewise, that can be known
 */
struct quota quota_of(const struct config *config, uint32_t n_places, uint32_t n_handlers,
                      uint32_t n_names);

/* The last number is what all accounts hold together. */
bool quota_allows_slot(const struct quota *quota, const struct account *account, uint32_t n_taken);
bool quota_allows_place(const struct quota *quota, const struct account *account,
                        uint32_t n_waiting);
bool quota_allows_handler(const struct quota *quota, const struct account *account,
                          uint32_t n_live);
bool quota_allows_name(const struct quota *quota, const struct account *account, uint32_t n_names);

bool quota_allows_region(const struct quota *quota, const struct account *account, uint64_t bytes);
bool quota_allows_unsent(const struct quota *quota, const struct account *account, size_t bytes);
bool quota_allows_room_wish(const struct quota *quota, const struct slot *slot);

/* Whether a slot may serve one name more. */
bool quota_allows_worker(const struct quota *quota, const struct slot *slot);

/* Whether one request more may be queued. */
bool quota_allows_queued(const struct quota *quota, const struct account *account);

/* Whether a copy of this size may be kept. One that is larger than the whole share goes alone. */
bool quota_allows_copy(const struct quota *quota, const struct account *account, size_t bytes);

/* Whether an account that holds this many of the @n_queued requests in one queue may add one. */
bool quota_allows_queue_place(const struct quota *quota, const struct account *account,
                              uint32_t held, uint32_t n_queued);

/* Whether the shares of the queues and of copies are half empty, and have room for the largest
 * request that a room wish of this account is for. */
bool quota_is_queued_low(const struct quota *quota, const struct account *account);

#endif

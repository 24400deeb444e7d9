/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_ACCOUNT_H
#define FIPC_DAEMON_MODEL_ACCOUNT_H

/* Each person's holdings in the broker: a uid has an account with all others of its owner.
 * daemon/model/quota.h has the limits, so that no user can take it all. */
#include "common/bucket.h"
#include "common/hot_set.h"
#include "daemon/base/deadline.h"
#include "daemon/config/owners.h"
#include "daemon/model/toll.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct room_wish;

struct account {
    uid_t uid;       /* of the owner */
    bool is_trusted; /* root's, or the broker's user's */
    uint32_t n_slots;
    uint32_t n_waiting;  /* connections in the waiting room */
    uint32_t n_closing;  /* lanes and regions that are slow to close: daemon/life/closer.h */
    uint32_t n_handlers; /* live, of its slots */
    uint32_t n_queued;   /* of these: in the queues of services */
    uint64_t copy_bytes; /* of requests: of these, and of those in the hands of workers */
    TAILQ_HEAD(, room_wish) room_wishes; /* of its slots */
    uint32_t n_room_wishes;
    uint64_t wished_bytes; /* of the largest request that these are for */
    uint32_t n_names;      /* that its slots were the first to serve, or to wait for */
    uint64_t unsent_bytes; /* of replies that wait for room in the rings of its slots */
    uint64_t region_bytes; /* of the channels of its slots */
    struct toll_due toll;
    struct fipc_bucket reports; /* CPU time of the broker, for pages of fipc.list and fipc.stats */
    struct fipc_hot_group hot;  /* its slots that are */
    struct deadline_group deadlines; /* of its slots, handlers, names */
};

/* All accounts that hold something. Empty: all zero. */
struct account_table {
    void *tree;           /* of tsearch(3) */
    struct owners owners; /* of uids */
    uid_t own_uid;        /* that the broker runs as */
};

/**
 * account_open() - find the account that is charged for what @uid takes
 *
 * It is that of the uid's owner; an owner can have an owner in turn. Root and the broker's user
 * have accounts of their own, whatever the owners say. A uid that belongs to one of these two is
 * not trusted as they are: it has an account together with the others of its range, under the first
 * of them.
 *
 * Return: the account, a new one if there is none yet; NULL if there is no memory
 */
struct account *account_open(struct account_table *table, uid_t uid);

/* Has the table look at these @owners from now on, which are consumed. An account that is open, and
 * all that it holds, stays what it is: only what comes later is charged by the new ones. */
void account_table_set_owners(struct account_table *table, struct owners *owners);

/* Forgets the account if its uid holds nothing and owes nothing: call after each decrease. One that
 * owes something stays, at most until its uid has come again and left. */
void account_release_if_unused(struct account_table *table, struct account *account,
                               uint64_t now_ns);

/* Forgets all of them. */
void account_table_deinit(struct account_table *table);

#endif

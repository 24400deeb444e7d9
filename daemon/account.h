/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_ACCOUNT_H
#define FIPC_DAEMON_ACCOUNT_H

/* What each uid holds of the broker, so that no user can take it all. */
#include "daemon/toll.h"

#include <stdint.h>
#include <sys/types.h>

struct account {
    uid_t uid;
    uint32_t n_slots;
    uint32_t n_waiting;    /* connections in the waiting room */
    uint64_t region_bytes; /* of the channels of its slots */
    struct toll toll;
};

/* All uids that hold something. Empty: all zero. */
struct account_table {
    void *tree; /* of tsearch(3) */
};

/* Return: the uid's account, a new one if it has none yet; NULL no memory. */
struct account *account_open(struct account_table *table, uid_t uid);

/* Forgets the account once its uid holds nothing: call after each decrease. */
void account_settle(struct account_table *table, struct account *account);

#endif

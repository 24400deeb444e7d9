/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_SHARE_H
#define FIPC_DAEMON_MODEL_SHARE_H

/*
 * How much of a countable thing (slots, places of the waiting room, names, open calls, places of a
 * queue) one account may take, so that no set of accounts can take the last part of it.
 *
 * An account takes one more below its limit, and below the number that is free beside a sixteenth
 * of all and the seats: so each account leaves the next one about as much as it took. An account
 * that holds few takes one more while more than the seats are free: so the last sixteenth is for
 * those. A trusted account takes one more while any is free: the seats are for root and the
 * broker's user.
 */
#include <stdbool.h>
#include <stdint.h>

/* The most seats there are. */
#define SHARE_SEATS_MAX 16

struct share {
    uint32_t count;       /* of all there are */
    uint32_t per_account; /* the limit of each account but the trusted ones; at least 1 */
    uint32_t few;         /* an account that holds less has a part of the last ones */
};

/**
 * share_of() - the shares of a thing of which there are @count
 * @limit:  of each account; 0: a quarter of @count
 * @few:    what each account should be able to have, cut to the limit
 */
struct share share_of(uint32_t count, uint32_t limit, uint32_t few);

/**
 * share_allows() - find out whether an account may take one more
 * @held:   by this account
 * @taken:  by all
 */
bool share_allows(const struct share *share, uint32_t held, uint32_t taken, bool is_trusted);

#endif

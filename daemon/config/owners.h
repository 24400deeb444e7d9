/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CONFIG_OWNERS_H
#define FIPC_DAEMON_CONFIG_OWNERS_H

/*
 * Which person a uid belongs to. An ordinary user may have 65536 uids by /etc/subuid: all of them
 * count as one account. Nothing is guessed: a uid that no range names belongs to itself.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct owner_range {
    uid_t first, last; /* inclusive */
    uid_t owner;
};

/* Ranges that do not overlap, in order. {0} is the empty state. */
struct owners {
    struct owner_range *ranges;
    size_t n_ranges;
    size_t capacity;
};

/**
 * owners_add() - note that uids belong to @owner
 * @count:  of uids from @first on, cut where the numbers end; 0: nothing changes
 *
 * Uids that a range has already keep their owner: the first one that is added wins.
 *
 * Return: 0; -ENOMEM, nothing changed
 */
int owners_add(struct owners *owners, uid_t first, uint64_t count, uid_t owner);

/* Return: the range that names @uid; NULL if none does */
const struct owner_range *owners_find(const struct owners *owners, uid_t uid);

/* The empty state stays. */
void owners_deinit(struct owners *owners);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_GONE_H
#define FIPC_DAEMON_BASE_GONE_H

/*
 * Tells when memory that was handed out is really gone: when its last fd, mapping, fd in flight and
 * O_PATH is, in whatever process. Memory here is a file without a name, such as memfd_create(2)
 * makes. A watch keeps nothing alive.
 */
#include "daemon/base/table.h"

#include <stdbool.h>
#include <stdint.h>

struct gone_watch;
struct poller;

#define GONE_SETS_MAX 16

/* {.n_sets = 0} is the empty state. */
struct gone {
    struct poller *poller;
    struct gone_set {
        int fd;             /* of inotify(7) */
        uint32_t n_watches; /* whose last event was not read yet */
    } sets[GONE_SETS_MAX];  /* the poller knows them by their index, as POLLER_GONE */
    uint32_t n_sets;
    uint32_t watches_per_set; /* so many that the queue of a set does not overflow */
    struct table places;
    struct gone_watch *watches; /* the elements of places */
    uint32_t *first;            /* of each bucket of watches: its place + 1; 0: none */
};

/**
 * gone_init() - watch nothing yet
 * @poller:    wakes up for POLLER_GONE: gone_take() comes next
 * @capacity:  the most that can be watched at once
 *
 * Return: 0; -ENOMEM
 */
int gone_init(struct gone *gone, struct poller *poller, uint32_t capacity);
void gone_deinit(struct gone *gone);

/**
 * gone_watch() - have gone_take() tell when the memory behind @fd is gone
 * @fd:     borrowed; this process may still open the file for reading: fipc_memory_hide() comes
 *          later
 * @owner:  the caller's name for it
 *
 * Return: 0; -ENOSPC, -EMFILE, -ENOMEM: the system, or this module, has no watch left
 */
int gone_watch(struct gone *gone, int fd, uint32_t owner);

/* @is_lost: it is not gone, but nothing will tell when it is */
typedef void gone_fn(void *context, uint32_t owner, bool is_lost);

/* Calls @fn for some of those that are gone, of one set; once for each. Never blocks. */
void gone_take(struct gone *gone, uint32_t set, gone_fn *fn, void *context);

#endif

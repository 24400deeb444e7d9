/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_HOT_SET_H
#define FIPC_COMMON_HOT_SET_H

/*
 * The channels that are active now, out of many: their owner polls them, and their peers need not
 * ring. All other channels are armed: their peers ring. A member is a small number that its owner
 * chose, such as the index of a slot. Members are in groups, such as those of one user: each group
 * has the same slice of a round, however many members it has.
 */
#include "common/end.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_hot_set_ops {
    /* Serves a member, at most its share of a turn, and not much longer than until @end_ns. May add
     * and remove members. Return: the number of records served */
    unsigned (*serve)(void *owner, uint32_t member, uint64_t end_ns);
    /* Whether serving a member would do anything now. */
    bool (*has_work)(void *owner, uint32_t member);
    /* The end of a member, and its word while the member is asleep. */
    struct fipc_end *(*end)(void *owner, uint32_t member, uint32_t *ret_asleep);
};

struct fipc_hot_group;

struct fipc_hot_member {
    struct fipc_hot_group *group; /* NULL: it is not hot */
    TAILQ_ENTRY(fipc_hot_member) in_group;
    uint64_t served_ns; /* when there was work last */
    size_t place;       /* in fipc_hot_set.hot */
};

/* Lives where its owner keeps it, at least while one of its members is hot. */
struct fipc_hot_group {
    TAILQ_ENTRY(fipc_hot_group) in_set;                    /* while one of them is hot */
    TAILQ_HEAD(fipc_hot_members, fipc_hot_member) members; /* the next one to be served first */
    size_t count;
};

struct fipc_hot_set {
    const struct fipc_hot_set_ops *ops;
    void *owner;
    struct fipc_hot_member *members; /* all that there can be */
    size_t capacity;
    uint32_t *hot; /* the numbers of those that are */
    size_t count;
    TAILQ_HEAD(fipc_hot_groups, fipc_hot_group) groups; /* likewise */
    size_t n_groups;
    const struct fipc_hot_group *serving; /* NULL: none, or it has no hot member any more */
    size_t n_idle;                        /* members in a row that had no work */
    size_t cooled;                        /* the place in hot to cool from the next time */
};

void fipc_hot_group_init(struct fipc_hot_group *group);

/**
 * fipc_hot_set_init() - make an empty set
 * @capacity:  members are 0 to @capacity - 1
 *
 * Return: 0; -ENOMEM
 */
int fipc_hot_set_init(struct fipc_hot_set *set, size_t capacity, const struct fipc_hot_set_ops *ops,
                      void *owner);
void fipc_hot_set_deinit(struct fipc_hot_set *set);

/* Takes a member in, awake from here on. It may be hot already, in the same group. */
void fipc_hot_set_add(struct fipc_hot_set *set, struct fipc_hot_group *group, uint32_t member,
                      uint64_t now_ns);

/* Forgets a member without touching its end. It need not be hot. */
void fipc_hot_set_remove(struct fipc_hot_set *set, uint32_t member);

/**
 * fipc_hot_set_serve() - have a round
 * @slice_ns:  the time of one group; its members that had no turn come first in the next round
 * @end_ns:    nothing is begun after that but one member of a group; those that had no turn come
 *             first likewise
 * @now_ns:    when the round begins; after the call, when the clock was looked at last
 *
 * Serves each member once, while its group has time. Return: the sum of the members' work
 */
unsigned fipc_hot_set_serve(struct fipc_hot_set *set, uint64_t slice_ns, uint64_t end_ns,
                            uint64_t *now_ns);

/**
 * fipc_hot_set_cool() - put to sleep the members that had no work since @before_ns
 *
 * One fence for all, then a last look at each: a member that has work after all stays hot. Looks at
 * a few hundred members, at others the next time. The owner may block only when the set is empty
 * afterwards.
 */
void fipc_hot_set_cool(struct fipc_hot_set *set, uint64_t before_ns);

#endif

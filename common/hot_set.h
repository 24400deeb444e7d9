/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_HOT_SET_H
#define FIPC_COMMON_HOT_SET_H

/*
 * The channels that are active now, out of many: their owner polls them and their peers need not
 * ring. All others are armed, and ring. A member is a small number that its owner gave, such as the
 * index of a slot.
 */
#include "common/bell.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fipc_hot_set_ops {
    /* Serves a member, at most its share of a turn. Return: how much was done. May add and remove
     * members. */
    unsigned (*serve)(void *owner, uint32_t member, uint64_t now_ns);
    /* Whether serving a member would do anything now. */
    bool (*has_work)(void *owner, uint32_t member);
    /* The end word of a member, and what it is to be while the member is asleep. */
    struct fipc_end *(*end)(void *owner, uint32_t member, uint32_t *ret_asleep);
};

struct fipc_hot_member {
    uint32_t member;
    uint64_t served_ns; /* when there was work last */
};

struct fipc_hot_set {
    const struct fipc_hot_set_ops *ops;
    void *owner;
    struct fipc_hot_member *hot;
    size_t count;
    uint32_t *place; /* of each possible member in hot, plus one; 0: it is not hot */
    size_t capacity;
};

/**
 * fipc_hot_set_init() - make an empty set
 * @capacity:  members are 0 to @capacity - 1
 *
 * Return: 0; -ENOMEM
 */
int fipc_hot_set_init(struct fipc_hot_set *set, size_t capacity, const struct fipc_hot_set_ops *ops,
                      void *owner);
void fipc_hot_set_deinit(struct fipc_hot_set *set);

/* Takes a member in, awake from here on. It may be hot already. */
void fipc_hot_set_add(struct fipc_hot_set *set, uint32_t member, uint64_t now_ns);

/* Forgets a member without touching its end. It need not be hot. */
void fipc_hot_set_remove(struct fipc_hot_set *set, uint32_t member);

/* Serves each member once. Return: how much was done by all. */
unsigned fipc_hot_set_serve(struct fipc_hot_set *set, uint64_t now_ns);

/**
 * fipc_hot_set_cool() - put to sleep the members that had no work since @before_ns
 *
 * One fence for all, then a last look at each: who has work after all stays hot. The owner may
 * block only when the set is empty afterwards.
 */
void fipc_hot_set_cool(struct fipc_hot_set *set, uint64_t before_ns);

#endif

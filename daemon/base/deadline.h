/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_DEADLINE_H
#define FIPC_DAEMON_BASE_DEADLINE_H

/*
 * Deadlines, and work that goes on as soon as its turn comes: a deadline that is due now. Each is a
 * part of what it belongs to, and can be moved or cleared at any time. Deadlines are in groups,
 * such as those of one account: groups that have something due take turns, one deadline each,
 * however many are due in each. There is no clock here.
 */
#include "daemon/base/heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct deadline;

/* @context: the caller of deadline_take() gives it. The deadline is not set any more, and may be
 * set again. */
typedef void deadline_fn(void *context, struct deadline *deadline);

/* {0}: not set */
struct deadline {
    struct heap_node node; /* in deadline_group.deadlines, by its time */
    struct deadline_group *group;
    deadline_fn *over;
};

/* What the deadline is a part of. */
#define DEADLINE_OWNER(deadline, type, member)                                                     \
    ((type *)(void *)((char *)(deadline)-offsetof(type, member)))

/* {0}: without deadlines. Lives where its owner keeps it, at least while one of them is set. */
struct deadline_group {
    struct heap deadlines;
    struct heap_node node; /* in deadline_heap.later, by the earliest of them */
    TAILQ_ENTRY(deadline_group) in_due;
    bool is_due; /* it is in deadline_heap.due instead */
};

struct deadline_heap {
    struct heap later;
    TAILQ_HEAD(, deadline_group) due; /* the next one to take from first */
};

void deadline_heap_init(struct deadline_heap *heap);

/* @due_ns: absolute nanoseconds; a deadline that is set is moved */
void deadline_set(struct deadline_heap *heap, struct deadline_group *group,
                  struct deadline *deadline, uint64_t due_ns, deadline_fn *over);

/* Does nothing to one that is not set. */
void deadline_clear(struct deadline_heap *heap, struct deadline *deadline);

static inline bool deadline_is_set(const struct deadline *deadline)
{
    return heap_node_is_in(&deadline->node);
}

/* When the next one is due; FIPC_NEVER if none is set. */
uint64_t deadline_next_ns(const struct deadline_heap *heap);

/* Takes out one that is due at @now_ns: the earliest of the group that has waited longest for its
 * turn. Return: NULL if none is */
struct deadline *deadline_take(struct deadline_heap *heap, uint64_t now_ns);

/* Likewise, but of this group, out of its turn. */
struct deadline *deadline_take_of(struct deadline_heap *heap, struct deadline_group *group,
                                  uint64_t now_ns);

#endif

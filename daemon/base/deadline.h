/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_DEADLINE_H
#define FIPC_DAEMON_BASE_DEADLINE_H

/* Deadlines in a heap, the earliest first. Each is a part of what it belongs to, and knows its
 * place in the heap, so that it can be moved or cleared at any time. The heap has no clock of its
 * own. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline;

/* @context: the caller of deadline_take() gives it. The deadline is not set any more, and may be
 * set again. */
typedef void deadline_fn(void *context, struct deadline *deadline);

/* {0}: not set */
struct deadline {
    deadline_fn *over;
    uint32_t place; /* in the heap, from 1 on; 0: not set */
};

/* What the deadline is a part of. */
#define DEADLINE_OWNER(deadline, type, member)                                                     \
    ((type *)(void *)((char *)(deadline)-offsetof(type, member)))

struct deadline_node {
    uint64_t due_ns;
    struct deadline *deadline;
};

struct deadline_heap {
    struct deadline_node *nodes; /* from 1 on */
    uint32_t count;
    uint32_t capacity;
};

/* @capacity: the most deadlines that can be set at once; pages are used as the heap grows.
 * Return: 0; -ENOMEM */
int deadline_heap_init(struct deadline_heap *heap, uint32_t capacity);

/* Forgets the deadlines that are still set. */
void deadline_heap_deinit(struct deadline_heap *heap);

/* @due_ns: absolute nanoseconds; a deadline that is set is moved */
void deadline_set(struct deadline_heap *heap, struct deadline *deadline, uint64_t due_ns,
                  deadline_fn *over);

/* Does nothing to one that is not set. */
void deadline_clear(struct deadline_heap *heap, struct deadline *deadline);

static inline bool deadline_is_set(const struct deadline *deadline) { return deadline->place != 0; }

/* When the next one is due; FIPC_NEVER if none is set. */
uint64_t deadline_next_ns(const struct deadline_heap *heap);

/* Takes out the earliest one that is due at @now_ns. Return: NULL if none is */
struct deadline *deadline_take(struct deadline_heap *heap, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: MIT */
#include "daemon/base/deadline.h"

#include "common/clock.h"

#define NODE_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

void deadline_heap_init(struct deadline_heap *heap)
{
    *heap = (struct deadline_heap){.later = {NULL}};
    TAILQ_INIT(&heap->due);
}

static uint64_t first_ns(const struct deadline_group *group)
{
    return group->deadlines.first == NULL ? FIPC_NEVER : group->deadlines.first->key;
}

/* ---- where a group is ---- */

static void group_leave(struct deadline_heap *heap, struct deadline_group *group)
{
    if (group->is_due)
        TAILQ_REMOVE(&heap->due, group, in_due);
    else if (heap_node_is_in(&group->node))
        heap_remove(&heap->later, &group->node);
    group->is_due = false;
}

static void group_queue(struct deadline_heap *heap, struct deadline_group *group)
{
    group->is_due = true;
    TAILQ_INSERT_TAIL(&heap->due, group, in_due);
}

static void group_wait(struct deadline_heap *heap, struct deadline_group *group)
{
    if (group->deadlines.first != NULL)
        heap_insert(&heap->later, &group->node, first_ns(group));
}

/* To be called after a change, with the time of the earliest one before. */
static void group_changed(struct deadline_heap *heap, struct deadline_group *group,
                          uint64_t before_ns)
{
    if (first_ns(group) == before_ns || (group->is_due && first_ns(group) < before_ns))
        return;
    group_leave(heap, group);
    group_wait(heap, group);
}

/* ---- set and clear ---- */

void deadline_set(struct deadline_heap *heap, struct deadline_group *group,
                  struct deadline *deadline, uint64_t due_ns, deadline_fn *over)
{
    uint64_t before_ns;

    if (deadline_is_set(deadline) && deadline->group != group)
        deadline_clear(heap, deadline);
    before_ns = first_ns(group);
    if (deadline_is_set(deadline))
        heap_remove(&group->deadlines, &deadline->node);
    deadline->group = group;
    deadline->over = over;
    heap_insert(&group->deadlines, &deadline->node, due_ns);
    group_changed(heap, group, before_ns);
}

void deadline_clear(struct deadline_heap *heap, struct deadline *deadline)
{
    struct deadline_group *group = deadline->group;
    uint64_t before_ns;

    if (!deadline_is_set(deadline))
        return;
    before_ns = first_ns(group);
    heap_remove(&group->deadlines, &deadline->node);
    group_changed(heap, group, before_ns);
}

/* ---- what is due ---- */

uint64_t deadline_next_ns(const struct deadline_heap *heap)
{
    if (!TAILQ_EMPTY(&heap->due))
        return first_ns(TAILQ_FIRST(&heap->due));
    return heap->later.first == NULL ? FIPC_NEVER : heap->later.first->key;
}

/* One group at most, so that it never takes long: each that is due comes in before those that are
 * in already have had two turns. */
static void let_one_in(struct deadline_heap *heap, uint64_t now_ns)
{
    struct heap_node *first = heap->later.first;
    struct deadline_group *group;

    if (first == NULL || first->key > now_ns)
        return;
    group = NODE_OWNER(first, struct deadline_group, node);
    group_leave(heap, group);
    group_queue(heap, group);
}

struct deadline *deadline_take_of(struct deadline_heap *heap, struct deadline_group *group,
                                  uint64_t now_ns)
{
    struct heap_node *first = group->deadlines.first;

    if (first == NULL || first->key > now_ns)
        return NULL;
    heap_remove(&group->deadlines, first);
    group_leave(heap, group);
    if (first_ns(group) <= now_ns && first_ns(group) != FIPC_NEVER)
        group_queue(heap, group);
    else
        group_wait(heap, group);
    return NODE_OWNER(first, struct deadline, node);
}

struct deadline *deadline_take(struct deadline_heap *heap, uint64_t now_ns)
{
    let_one_in(heap, now_ns);
    if (TAILQ_EMPTY(&heap->due))
        return NULL;
    return deadline_take_of(heap, TAILQ_FIRST(&heap->due), now_ns);
}

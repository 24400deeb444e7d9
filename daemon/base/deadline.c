/* SPDX-License-Identifier: MIT */
#include "daemon/base/deadline.h"

#include "common/clock.h"
#include "daemon/base/table.h"

#include <assert.h>

int deadline_heap_init(struct deadline_heap *heap, uint32_t capacity)
{
    void *nodes;
    int r;

    r = flat_array_map((size_t)capacity + 1, sizeof(*heap->nodes), &nodes);
    if (r < 0)
        return r;
    *heap = (struct deadline_heap){.nodes = nodes, .capacity = capacity};
    return 0;
}

void deadline_heap_deinit(struct deadline_heap *heap)
{
    flat_array_unmap(heap->nodes, (size_t)heap->capacity + 1, sizeof(*heap->nodes));
    *heap = (struct deadline_heap){.nodes = NULL};
}

static void put(struct deadline_heap *heap, uint32_t place, struct deadline_node node)
{
    heap->nodes[place] = node;
    node.deadline->place = place;
}

/* Puts a node where a hole is, or above it. */
static void sift_up(struct deadline_heap *heap, uint32_t place, struct deadline_node node)
{
    for (; place > 1 && heap->nodes[place / 2].due_ns > node.due_ns; place /= 2)
        put(heap, place, heap->nodes[place / 2]);
    put(heap, place, node);
}

/* Puts a node where a hole is, or below it. */
static void sift_down(struct deadline_heap *heap, uint32_t place, struct deadline_node node)
{
    for (;;) {
        uint32_t child = 2 * place;

        if (child < heap->count && heap->nodes[child + 1].due_ns < heap->nodes[child].due_ns)
            child++;
        if (child > heap->count || heap->nodes[child].due_ns >= node.due_ns)
            break;
        put(heap, place, heap->nodes[child]);
        place = child;
    }
    put(heap, place, node);
}

static void replace(struct deadline_heap *heap, uint32_t place, struct deadline_node node)
{
    if (place > 1 && heap->nodes[place / 2].due_ns > node.due_ns)
        sift_up(heap, place, node);
    else
        sift_down(heap, place, node);
}

void deadline_set(struct deadline_heap *heap, struct deadline *deadline, uint64_t due_ns,
                  deadline_fn *over)
{
    const struct deadline_node node = {.due_ns = due_ns, .deadline = deadline};

    deadline->over = over;
    if (deadline_is_set(deadline)) {
        replace(heap, deadline->place, node);
        return;
    }
    assert(heap->count < heap->capacity);
    sift_up(heap, ++heap->count, node);
}

void deadline_clear(struct deadline_heap *heap, struct deadline *deadline)
{
    uint32_t place = deadline->place;
    struct deadline_node last;

    if (place == 0)
        return;
    deadline->place = 0;
    last = heap->nodes[heap->count--];
    if (last.deadline != deadline)
        replace(heap, place, last);
}

uint64_t deadline_next_ns(const struct deadline_heap *heap)
{
    return heap->count > 0 ? heap->nodes[1].due_ns : FIPC_NEVER;
}

struct deadline *deadline_take(struct deadline_heap *heap, uint64_t now_ns)
{
    struct deadline *deadline;

    if (deadline_next_ns(heap) > now_ns || heap->count == 0)
        return NULL;
    deadline = heap->nodes[1].deadline;
    deadline_clear(heap, deadline);
    return deadline;
}

/* SPDX-License-Identifier: MIT */
/* A heap gives its nodes back in the order of their keys, and none of its ways is long. */
#include "daemon/base/heap.h"
#include "tests/suite.h"

#include <string.h>

#define NODES 4096
#define STEPS 50000

static struct heap heap;
static struct heap_node nodes[NODES];

static void set_up(void)
{
    heap = (struct heap){NULL};
    memset(nodes, 0, sizeof(nodes));
}

/* The nodes that a merge can pass. */
static unsigned way_down(void)
{
    unsigned length = 0;

    for (const struct heap_node *node = heap.first; node != NULL; node = node->right)
        length++;
    return length;
}

static unsigned log2_of(size_t count)
{
    unsigned log = 0;

    for (; count > 1; count /= 2)
        log++;
    return log;
}

/* Every node: not before its parent, rank as its children say, the larger one on the left. */
static void check_node(const struct heap_node *node)
{
    uint32_t left = node->left == NULL ? 0 : node->left->rank;
    uint32_t right = node->right == NULL ? 0 : node->right->rank;

    ck_assert_uint_ge(left, right);
    ck_assert_uint_eq(node->rank, right + 1);
    ck_assert(node->left == NULL || node->left->parent == node);
    ck_assert(node->right == NULL || node->right->parent == node);
    ck_assert(node->parent == NULL ? heap.first == node : node->parent->key <= node->key);
}

static void check_all(void)
{
    for (size_t i = 0; i < NODES; i++) {
        if (heap_node_is_in(&nodes[i]))
            check_node(&nodes[i]);
    }
}

GROUP(heap, .timeout = 30, .fixtures = {{set_up, NULL}});

TEST(node_is_in_from_insert_to_remove)
{
    ck_assert(!heap_node_is_in(&nodes[0]));
    heap_insert(&heap, &nodes[0], 7);
    ck_assert(heap_node_is_in(&nodes[0]));
    ck_assert_ptr_eq(heap.first, &nodes[0]);
    heap_remove(&heap, &nodes[0]);
    ck_assert(!heap_node_is_in(&nodes[0]));
    ck_assert_ptr_null(heap.first);
}

static uint64_t ascending(size_t i) { return i; }
static uint64_t descending(size_t i) { return NODES - i; }
static uint64_t equal(size_t i) { return i * 0; }
static uint64_t mixed(size_t i) { return i * 7919 % 4099; }
static uint64_t (*const orders[])(size_t) = {ascending, descending, equal, mixed};

LOOP_TEST(nodes_come_out_in_order_however_they_came, COUNT_OF(orders))
{
    uint64_t last = 0;

    for (size_t i = 0; i < NODES; i++)
        heap_insert(&heap, &nodes[i], orders[_i](i));
    check_all();
    for (size_t i = 0; i < NODES; i++) {
        ck_assert_uint_ge(heap.first->key, last);
        last = heap.first->key;
        heap_remove(&heap, heap.first);
    }
    ck_assert_ptr_null(heap.first);
}

LOOP_TEST(way_of_a_merge_is_short_however_they_came, COUNT_OF(orders))
{
    for (size_t i = 0; i < NODES; i++) {
        heap_insert(&heap, &nodes[i], orders[_i](i));
        ck_assert_uint_le(way_down(), log2_of(i + 2));
    }
    for (size_t i = 0; i < NODES - 1; i++) { /* from the middle too */
        heap_remove(&heap, &nodes[i * 5 % NODES]);
        ck_assert_uint_le(way_down(), log2_of(NODES - i));
    }
}

TEST(random_steps_keep_the_order)
{
    uint64_t random = 88172645463325252u;

    for (int step = 0; step < STEPS; step++) {
        struct heap_node *node;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        node = &nodes[random % NODES];
        if (heap_node_is_in(node))
            heap_remove(&heap, node);
        else
            heap_insert(&heap, node, random >> 20 & 1023);
        if (step % 4096 == 0)
            check_all();
    }
    check_all();
}

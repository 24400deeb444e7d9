/* SPDX-License-Identifier: MIT */
/*
 * Of two children the left one has the larger rank, so that a way down along right children has as
 * many nodes at most as the logarithm says. Where a rank changes, it changes for as many nodes at
 * most on the way up.
 */
#include "daemon/base/heap.h"

#include <assert.h>
#include <stddef.h>

static uint32_t rank_of(const struct heap_node *node) { return node == NULL ? 0 : node->rank; }

/* Return: whether the rank of the node changed */
static bool settle(struct heap_node *node)
{
    uint32_t before = node->rank;

    if (rank_of(node->left) < rank_of(node->right)) {
        struct heap_node *left = node->left;

        node->left = node->right;
        node->right = left;
    }
    node->rank = rank_of(node->right) + 1;
    return node->rank != before;
}

/* Puts @node below @parent as its right child, or on top. */
static void hang(struct heap_node **top, struct heap_node *parent, struct heap_node *node)
{
    if (parent == NULL)
        *top = node;
    else
        parent->right = node;
    if (node != NULL)
        node->parent = parent;
}

/* Merges two trees along their right children. Return: the top, without a parent; NULL: both are
 * empty */
static struct heap_node *merge(struct heap_node *one, struct heap_node *other)
{
    struct heap_node *top = NULL, *last = NULL;

    while (one != NULL && other != NULL) {
        struct heap_node **least = other->key < one->key ? &other : &one;
        struct heap_node *node = *least;

        *least = node->right;
        hang(&top, last, node);
        last = node;
    }
    hang(&top, last, one != NULL ? one : other);
    for (; last != NULL; last = last->parent)
        (void)settle(last);
    return top;
}

void heap_insert(struct heap *heap, struct heap_node *node, uint64_t key)
{
    assert(!heap_node_is_in(node));
    *node = (struct heap_node){.key = key, .rank = 1};
    heap->first = merge(heap->first, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    struct heap_node *parent = node->parent, *rest = merge(node->left, node->right);

    assert(heap_node_is_in(node));
    if (rest != NULL)
        rest->parent = parent;
    if (parent == NULL)
        heap->first = rest;
    else if (parent->left == node)
        parent->left = rest;
    else
        parent->right = rest;
    while (parent != NULL && settle(parent))
        parent = parent->parent;
    *node = (struct heap_node){.rank = 0};
}

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_HEAP_H
#define FIPC_DAEMON_BASE_HEAP_H

/* A heap whose nodes are parts of what they order: no function needs memory, so that none can fail.
 * Each takes time in proportion to the logarithm of the number of nodes, in the worst case too: it
 * is a leftist tree. */
#include <stdbool.h>
#include <stdint.h>

/* {0}: in no heap */
struct heap_node {
    uint64_t key;
    struct heap_node *left, *right, *parent;
    uint32_t rank; /* of the nearest place below it that is free, from 1 on; 0: in no heap */
};

/* {0}: empty */
struct heap {
    struct heap_node *first; /* of the least key; NULL: empty */
};

static inline bool heap_node_is_in(const struct heap_node *node) { return node->rank != 0; }

/* @node: in no heap */
void heap_insert(struct heap *heap, struct heap_node *node, uint64_t key);

/* @node: in this heap */
void heap_remove(struct heap *heap, struct heap_node *node);

#endif

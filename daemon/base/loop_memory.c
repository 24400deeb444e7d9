/* SPDX-License-Identifier: MIT */
/*
 * libev calls abort(3) when it gets no memory, also when a timer is started or an event is fed: it
 * has no way to tell. So it is given memory that was set aside when the broker started and cannot
 * run out. Its arrays only grow, each time to at least twice their size, so that all the blocks
 * that an array ever had take no more than twice its last one.
 */
#include "daemon/base/loop_memory.h"

#include "daemon/base/table.h"

#include <assert.h>
#include <ev.h>
#include <stdalign.h>
#include <string.h>
#include <unistd.h>

/* Of a timer: its places in the heap of timers, in the list of those that are over, and in that of
 * pending events. Each list is at most twice as large as what is in it. */
#define BYTES_PER_TIMER ((size_t)2 * (16 + 8 + 16))
/* The loop itself, and the arrays that don't grow with the clients. */
#define BYTES_BESIDES ((size_t)1 << 20)

struct block {
    size_t size;
    alignas(max_align_t) unsigned char bytes[];
};

static struct {
    unsigned char *bytes;
    size_t size, used;
} memory;

/* Gives the pages back that are the block's alone. Its place is not used again. */
static void block_free(struct block *block)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t start = (size_t)((unsigned char *)block - memory.bytes);
    size_t end = (start + sizeof(*block) + block->size) / page * page;

    start = (start + page - 1) / page * page;
    if (start < end)
        (void)madvise(memory.bytes + start, end - start, MADV_DONTNEED);
}

static void *memory_realloc(void *old_bytes, long size)
{
    struct block *old = NULL, *block;
    size_t taken;

    if (old_bytes != NULL)
        old = (struct block *)(void *)((unsigned char *)old_bytes - offsetof(struct block, bytes));
    if (size == 0) {
        if (old != NULL)
            block_free(old);
        return NULL;
    }
    taken = sizeof(*block) +
            ((size_t)size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    if (taken > memory.size - memory.used)
        return NULL;
    block = (struct block *)(void *)(memory.bytes + memory.used);
    memory.used += taken;
    block->size = (size_t)size;
    if (old != NULL) {
        memcpy(block->bytes, old_bytes, old->size < block->size ? old->size : block->size);
        block_free(old);
    }
    return block->bytes;
}

int loop_memory_init(size_t n_timers)
{
    void *bytes;
    int r;

    assert(memory.bytes == NULL);
    memory.size = 2 * BYTES_PER_TIMER * n_timers + BYTES_BESIDES;
    r = flat_array_map(memory.size, 1, &bytes);
    if (r < 0)
        return r;
    memory.bytes = bytes;
    memory.used = 0;
    ev_set_allocator(memory_realloc);
    return 0;
}

void loop_memory_deinit(void)
{
    flat_array_unmap(memory.bytes, memory.size, 1);
    memory.bytes = NULL;
}

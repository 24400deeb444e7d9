/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_TABLE_H
#define FIPC_DAEMON_BASE_TABLE_H

/*
 * Zeroed arrays as large as they can ever get, whose elements never move; pages cost memory once
 * they are written. A table is such an array and the set of its places that are taken.
 *
 * The lowest free place is taken first, so that after a burst the table gets short again: a scan
 * ends at @n_used, and table_trim() gives the pages behind it back.
 */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/* Return: 0; -ENOMEM */
static inline int flat_array_map(size_t count, size_t element_size, void **ret_array)
{
    void *array = mmap(NULL, count * element_size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (array == MAP_FAILED)
        return -ENOMEM;
    *ret_array = array;
    return 0;
}

static inline void flat_array_unmap(void *array, size_t count, size_t element_size)
{
    if (array != NULL)
        (void)munmap(array, count * element_size);
}

/**
 * flat_array_trim() - give pages back that are not used any more
 * @used_bytes:     of the array; the rest is not needed, and zeroed where it is given back
 * @touched_bytes:  the most that was used since the last call; updated
 *
 * Takes one bounded step, from the end of the array down. Return: whether there is more to give
 */
bool flat_array_trim(void *array, size_t used_bytes, size_t *touched_bytes);

#define TABLE_NONE UINT32_MAX
#define TABLE_LEVELS 4
#define TABLE_CAPACITY_MAX (UINT32_C(1) << (6 * TABLE_LEVELS))

/* {0} is the empty state. The owner keeps @elements in a pointer of their type. */
struct table {
    void *elements; /* zeroed until their place is first taken, then left alone until trimmed */
    /* the first level has a bit for each taken place; the next ones for each word that is full */
    uint64_t *full[TABLE_LEVELS];
    size_t element_size;
    uint32_t capacity;
    uint32_t n_used;        /* all places from this number on are free */
    uint32_t no_free_below; /* a bound, often exact */
    size_t touched_bytes;   /* of the elements, before the table got shorter */
};

/**
 * table_init() - make a table without any taken place
 * @capacity:      1 to TABLE_CAPACITY_MAX places
 * @element_size:  in bytes
 *
 * Return: 0; -ENOMEM, the table is empty
 */
int table_init(struct table *table, uint32_t capacity, size_t element_size);

/* Unmaps the elements; the empty state stays. */
void table_deinit(struct table *table);

/* Takes the lowest free place. Return: its number; TABLE_NONE if all are taken */
uint32_t table_take(struct table *table);

/* Gives a taken place back. Its element stays as it is, until table_trim() zeroes it. */
void table_give_back(struct table *table, uint32_t place);

/* Gives memory of free places at the end back to the system, a bounded piece of it. Return: whether
 * there is more to give */
bool table_trim(struct table *table);

/* How much memory table_trim() would give back. */
static inline size_t table_spare_bytes(const struct table *table)
{
    size_t used_bytes = table->n_used * table->element_size;

    return table->touched_bytes > used_bytes ? table->touched_bytes - used_bytes : 0;
}

/* @place: any number, from a peer too */
static inline bool table_is_taken(const struct table *table, uint32_t place)
{
    return place < table->n_used && (table->full[0][place / 64] >> place % 64 & 1) != 0;
}

#endif

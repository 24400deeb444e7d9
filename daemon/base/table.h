/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_TABLE_H
#define FIPC_DAEMON_BASE_TABLE_H

/* Zeroed arrays as large as they can ever get, whose elements never move; pages cost memory once
 * they are written. A table is such an array and the list of its places that are free. */
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

#define TABLE_NONE UINT32_MAX
#define TABLE_TAKEN (UINT32_MAX - 1)

/* {0} is the empty state. The owner keeps @elements in a pointer of their type. */
struct table {
    void *elements; /* zeroed until their place is first taken, then left alone by the table */
    uint32_t *next; /* of a free place: the next one; else TABLE_TAKEN */
    size_t element_size;
    uint32_t capacity;
    uint32_t n_used; /* places from this number on were never taken, and are not in the list */
    uint32_t first_free;
};

/**
 * table_init() - make a table without any taken place
 * @capacity:      1 to TABLE_TAKEN places
 * @element_size:  in bytes
 *
 * Return: 0; -ENOMEM, the table is empty
 */
int table_init(struct table *table, uint32_t capacity, size_t element_size);

/* Unmaps the elements; the empty state stays. */
void table_deinit(struct table *table);

/* Takes the place that was given back last, else the first one that was never taken. Return: its
 * number; TABLE_NONE if all are taken */
static inline uint32_t table_take(struct table *table)
{
    uint32_t place = table->first_free;

    if (place != TABLE_NONE)
        table->first_free = table->next[place];
    else if (table->n_used < table->capacity)
        place = table->n_used++;
    else
        return TABLE_NONE;
    table->next[place] = TABLE_TAKEN;
    return place;
}

/* Gives a taken place back. Its element stays as it is: a generation in it goes on counting. */
static inline void table_give_back(struct table *table, uint32_t place)
{
    assert(place < table->n_used);
    assert(table->next[place] == TABLE_TAKEN);
    table->next[place] = table->first_free;
    table->first_free = place;
}

/* @place: any number, from a peer too */
static inline bool table_is_taken(const struct table *table, uint32_t place)
{
    return place < table->n_used && table->next[place] == TABLE_TAKEN;
}

#endif

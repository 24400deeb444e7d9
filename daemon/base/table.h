/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_TABLE_H
#define FIPC_DAEMON_BASE_TABLE_H

/* Zeroed arrays as large as they can ever get, whose elements never move; pages cost memory once
 * they are written. */
#include <errno.h>
#include <stddef.h>
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

#endif

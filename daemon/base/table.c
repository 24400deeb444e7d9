/* SPDX-License-Identifier: MIT */
#include "daemon/base/table.h"

int table_init(struct table *table, uint32_t capacity, size_t element_size)
{
    struct table made = {
        .element_size = element_size,
        .capacity = capacity,
        .first_free = TABLE_NONE,
    };
    void *next;

    assert(capacity >= 1);
    assert(capacity <= TABLE_TAKEN);
    *table = (struct table){0};
    if (flat_array_map(capacity, sizeof(*made.next), &next) < 0)
        return -ENOMEM;
    made.next = next;
    if (flat_array_map(capacity, element_size, &made.elements) < 0) {
        flat_array_unmap(made.next, capacity, sizeof(*made.next));
        return -ENOMEM;
    }
    *table = made;
    return 0;
}

void table_deinit(struct table *table)
{
    flat_array_unmap(table->elements, table->capacity, table->element_size);
    flat_array_unmap(table->next, table->capacity, sizeof(*table->next));
    *table = (struct table){0};
}

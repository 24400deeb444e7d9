/* SPDX-License-Identifier: MIT */
/* The set is a tree of words, 64 children each: a word of ones is a bit of its parent. So the
 * lowest free place is found in one step a level, however many places are taken. */
#include "daemon/base/table.h"

#include <unistd.h>

#define FULL UINT64_MAX
/* Of one step of flat_array_trim(): some 50 us of the kernel's time. */
#define TRIM_BYTES ((size_t)512 << 10)

static size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

bool flat_array_trim(void *array, size_t used_bytes, size_t *touched_bytes)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t kept = round_up(used_bytes, page_bytes);
    size_t end = round_up(*touched_bytes, page_bytes);
    size_t begin = end > kept + TRIM_BYTES ? end - TRIM_BYTES : kept;

    if (end > kept)
        (void)madvise((unsigned char *)array + begin, end - begin, MADV_DONTNEED);
    *touched_bytes = begin > kept ? begin : 0;
    return begin > kept;
}

/* ---- the set ---- */

static uint32_t words_of(uint32_t n_bits) { return (n_bits + 63) / 64; }

/* All levels, the first one first. */
static uint32_t words_in_all(uint32_t capacity)
{
    uint32_t count = 0;

    for (int level = 0; level < TABLE_LEVELS; level++)
        count += capacity = words_of(capacity);
    return count;
}

static void set_place(struct table *table, uint32_t place)
{
    for (int level = 0; level < TABLE_LEVELS; level++) {
        uint64_t *word = &table->full[level][place / 64];

        *word |= UINT64_C(1) << place % 64;
        if (*word != FULL)
            return;
        place /= 64;
    }
}

static void clear_place(struct table *table, uint32_t place)
{
    for (int level = 0; level < TABLE_LEVELS; level++) {
        uint64_t *word = &table->full[level][place / 64];
        bool was_full = *word == FULL;

        *word &= ~(UINT64_C(1) << place % 64);
        if (!was_full)
            return;
        place /= 64;
    }
}

/* Places beyond the capacity are never taken, so that one is found in any case. Return: the place;
 * TABLE_CAPACITY_MAX if a table of that size is full */
static uint32_t lowest_free(const struct table *table)
{
    uint32_t place = 0;

    if (table->full[TABLE_LEVELS - 1][0] == FULL)
        return TABLE_CAPACITY_MAX;
    for (int level = TABLE_LEVELS - 1; level >= 0; level--)
        place = place * 64 + (uint32_t)__builtin_ctzll(~table->full[level][place]);
    return place;
}

/* ---- life ---- */

int table_init(struct table *table, uint32_t capacity, size_t element_size)
{
    struct table made = {.element_size = element_size, .capacity = capacity};
    uint32_t n_words = capacity;
    void *words;

    assert(capacity >= 1);
    assert(capacity <= TABLE_CAPACITY_MAX);
    *table = (struct table){0};
    if (flat_array_map(words_in_all(capacity), sizeof(uint64_t), &words) < 0)
        return -ENOMEM;
    for (int level = 0; level < TABLE_LEVELS; level++) {
        made.full[level] = words;
        n_words = words_of(n_words);
        words = made.full[level] + n_words;
    }
    if (flat_array_map(capacity, element_size, &made.elements) < 0) {
        flat_array_unmap(made.full[0], words_in_all(capacity), sizeof(uint64_t));
        return -ENOMEM;
    }
    *table = made;
    return 0;
}

void table_deinit(struct table *table)
{
    flat_array_unmap(table->elements, table->capacity, table->element_size);
    flat_array_unmap(table->full[0], words_in_all(table->capacity), sizeof(uint64_t));
    *table = (struct table){0};
}

uint32_t table_take(struct table *table)
{
    uint32_t place = table->no_free_below;

    if (place >= table->capacity || table_is_taken(table, place))
        place = lowest_free(table);
    table->no_free_below = place;
    if (place >= table->capacity)
        return TABLE_NONE;
    set_place(table, place);
    if (place >= table->n_used)
        table->n_used = place + 1;
    return place;
}

/* The last place that was used is free now. */
static void shorten(struct table *table)
{
    uint32_t n_words = words_of(table->n_used);
    size_t used_bytes = table->n_used * table->element_size;

    if (used_bytes > table->touched_bytes)
        table->touched_bytes = used_bytes;
    while (n_words > 0 && table->full[0][n_words - 1] == 0)
        n_words--;
    table->n_used =
        n_words == 0 ? 0 : n_words * 64 - (uint32_t)__builtin_clzll(table->full[0][n_words - 1]);
}

void table_give_back(struct table *table, uint32_t place)
{
    assert(place < table->n_used);
    assert(table_is_taken(table, place));
    clear_place(table, place);
    if (place < table->no_free_below)
        table->no_free_below = place;
    if (place + 1 == table->n_used)
        shorten(table);
}

bool table_trim(struct table *table)
{
    return flat_array_trim(table->elements, table->n_used * table->element_size,
                           &table->touched_bytes);
}

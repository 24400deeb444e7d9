/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_PLACES_H
#define FIPC_CLIENT_LINK_PLACES_H

/*
 * The numbers of a connection's places (common/region.h): each request that is open has one of its
 * own, into which the broker writes to whom it handed the request. A place is free again when the
 * answer came, or when the cancel stands in the ring: before, the broker could still write there.
 * Low numbers are used first, for their places lie in the page of the control block. Guarded by the
 * client's lock.
 */
#include <stdint.h>

struct fipc_places {
    uint32_t n_places;
    uint32_t n_used; /* numbers that were taken at least once */
    uint32_t n_free; /* of these */
    uint16_t *free;  /* as a stack */
};

/* Return: 0; -ENOMEM */
int fipc_places_init(struct fipc_places *places, uint32_t n_places);
void fipc_places_deinit(struct fipc_places *places);

/* How many can be taken. */
static inline uint32_t fipc_places_left(const struct fipc_places *places)
{
    return places->n_places - places->n_used + places->n_free;
}

/* The number that the next fipc_places_take() returns; one is left. */
static inline uint16_t fipc_places_next(const struct fipc_places *places)
{
    return places->n_free > 0 ? places->free[places->n_free - 1] : (uint16_t)places->n_used;
}

static inline uint16_t fipc_places_take(struct fipc_places *places)
{
    uint16_t number = fipc_places_next(places);

    if (places->n_free > 0)
        places->n_free--;
    else
        places->n_used++;
    return number;
}

static inline void fipc_places_give_back(struct fipc_places *places, uint16_t number)
{
    places->free[places->n_free++] = number;
}

#endif

/* SPDX-License-Identifier: MIT */
#include "client/link/places.h"

#include <errno.h>
#include <stdlib.h>

int fipc_places_init(struct fipc_places *places, uint32_t n_places)
{
    *places = (struct fipc_places){.n_places = n_places};
    places->free = malloc(n_places * sizeof(places->free[0]));
    return places->free == NULL ? -ENOMEM : 0;
}

void fipc_places_deinit(struct fipc_places *places)
{
    free(places->free);
    *places = (struct fipc_places){.free = NULL};
}

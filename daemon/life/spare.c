/* SPDX-License-Identifier: MIT */
#include "daemon/life/spare.h"

#include "common/clock.h"
#include "daemon/life/closer.h"
#include "daemon/model/core.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Less of a table is not worth a wake-up. */
#define SPARE_BYTES_MIN ((size_t)64 << 10)
#define WAIT_NS FIPC_NS_PER_S
#define PAUSE_NS (2 * FIPC_NS_PER_MS)
/* The allocator's own default, which it raises for good after the first larger block. */
#define MMAP_THRESHOLD (128 << 10)

static struct table *next_table(struct core *core)
{
    struct table *const tables[] = {
        &core->handlers.places, &core->deliveries.places, &core->slots.places,
        &core->services.places, &core->holdings.places,   &core->gone.places,
    };

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (table_spare_bytes(tables[i]) >= SPARE_BYTES_MIN)
            return tables[i];
    }
    return NULL;
}

static void set_step(struct spare *spare, uint64_t pause_ns);

static void give_back_step(void *context, struct deadline *deadline)
{
    struct spare *spare = DEADLINE_OWNER(deadline, struct spare, step);
    struct table *table = next_table(context);

    if (table != NULL) {
        (void)table_trim(table);
        set_step(spare, PAUSE_NS);
    } else {
        closer_trim(spare->closer);
    }
}

static void set_step(struct spare *spare, uint64_t pause_ns)
{
    struct core *core = spare->core;

    core_set_own_deadline(core, &spare->step, core->now_ns + pause_ns, give_back_step);
}

void spare_init(struct spare *spare, struct core *core, struct closer *closer)
{
    *spare = (struct spare){.core = core, .closer = closer};
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
#endif
}

void spare_look(struct spare *spare)
{
    if (!deadline_is_set(&spare->step) && next_table(spare->core) != NULL)
        set_step(spare, WAIT_NS);
}

/* SPDX-License-Identifier: MIT */
#include "common/hot_set.h"

#include <errno.h>
#include <stdlib.h>

int fipc_hot_set_init(struct fipc_hot_set *set, size_t capacity, const struct fipc_hot_set_ops *ops,
                      void *owner)
{
    *set = (struct fipc_hot_set){.ops = ops, .owner = owner, .capacity = capacity};
    set->hot = calloc(capacity, sizeof(*set->hot));
    set->place = calloc(capacity, sizeof(*set->place));
    if (set->hot == NULL || set->place == NULL) {
        fipc_hot_set_deinit(set);
        return -ENOMEM;
    }
    return 0;
}

void fipc_hot_set_deinit(struct fipc_hot_set *set)
{
    free(set->hot);
    free(set->place);
    *set = (struct fipc_hot_set){.hot = NULL};
}

void fipc_hot_set_add(struct fipc_hot_set *set, uint32_t member, uint64_t now_ns)
{
    uint32_t asleep;

    assert(member < set->capacity);
    if (set->place[member] == 0) {
        (void)fipc_end_disarm(set->ops->end(set->owner, member, &asleep));
        set->hot[set->count++].member = member;
        set->place[member] = (uint32_t)set->count;
    }
    set->hot[set->place[member] - 1].served_ns = now_ns;
}

void fipc_hot_set_remove(struct fipc_hot_set *set, uint32_t member)
{
    size_t place = set->place[member];
    struct fipc_hot_member last;

    if (place == 0)
        return;
    last = set->hot[--set->count];
    set->hot[place - 1] = last;
    set->place[last.member] = (uint32_t)place;
    set->place[member] = 0;
}

unsigned fipc_hot_set_serve(struct fipc_hot_set *set, uint64_t now_ns)
{
    unsigned work = 0;

    /* backwards, since removing moves the last member, which was served already, into the gap */
    for (size_t i = set->count; i-- > 0;) {
        uint32_t member;
        unsigned done;

        if (i >= set->count)
            continue;
        member = set->hot[i].member;
        done = set->ops->serve(set->owner, member, now_ns);
        if (done > 0 && set->place[member] != 0)
            set->hot[set->place[member] - 1].served_ns = now_ns;
        work += done;
    }
    return work;
}

void fipc_hot_set_cool(struct fipc_hot_set *set, uint64_t before_ns)
{
    bool any = false;

    for (size_t i = 0; i < set->count; i++) {
        uint32_t asleep;
        struct fipc_end *end;

        if (set->hot[i].served_ns >= before_ns)
            continue;
        end = set->ops->end(set->owner, set->hot[i].member, &asleep);
        fipc_end_set(end, asleep);
        any = true;
    }
    if (!any)
        return;

    fipc_end_fence();
    for (size_t i = set->count; i-- > 0;) {
        struct fipc_hot_member *hot = &set->hot[i];
        uint32_t asleep;

        if (hot->served_ns >= before_ns)
            continue;
        if (set->ops->has_work(set->owner, hot->member))
            (void)fipc_end_disarm(set->ops->end(set->owner, hot->member, &asleep));
        else
            fipc_hot_set_remove(set, hot->member);
    }
}

/* SPDX-License-Identifier: MIT */
#include "common/hot_set.h"

#include "common/clock.h"
#include "common/os/os.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* To look at a member that has no work takes less than a look at the clock. */
#define IDLE_PER_CLOCK_LOOK 16
/* Members that one call looks at. */
#define COOLED_MAX 256

void fipc_hot_group_init(struct fipc_hot_group *group)
{
    TAILQ_INIT(&group->members);
    group->count = 0;
}

int fipc_hot_set_init(struct fipc_hot_set *set, size_t capacity, const struct fipc_hot_set_ops *ops,
                      void *owner)
{
    *set = (struct fipc_hot_set){.ops = ops, .owner = owner, .capacity = capacity};
    TAILQ_INIT(&set->groups);
    set->members = calloc(capacity, sizeof(*set->members));
    set->hot = calloc(capacity, sizeof(*set->hot));
    if (set->members == NULL || set->hot == NULL) {
        fipc_hot_set_deinit(set);
        return -ENOMEM;
    }
    return 0;
}

void fipc_hot_set_deinit(struct fipc_hot_set *set)
{
    free(set->members);
    free(set->hot);
    *set = (struct fipc_hot_set){.members = NULL};
}

/* ---- in and out ---- */

/* A group that was asleep goes first: the others had their turns meanwhile. It falls asleep too
 * seldom to keep the others from theirs. */
static void group_join(struct fipc_hot_set *set, struct fipc_hot_group *group,
                       struct fipc_hot_member *hot)
{
    hot->group = group;
    TAILQ_INSERT_TAIL(&group->members, hot, in_group);
    if (group->count++ == 0) {
        TAILQ_INSERT_HEAD(&set->groups, group, in_set);
        set->n_groups++;
    }
}

static void group_leave(struct fipc_hot_set *set, struct fipc_hot_member *hot)
{
    struct fipc_hot_group *group = hot->group;

    TAILQ_REMOVE(&group->members, hot, in_group);
    hot->group = NULL;
    if (--group->count > 0)
        return;
    TAILQ_REMOVE(&set->groups, group, in_set);
    set->n_groups--;
    if (set->serving == group)
        set->serving = NULL;
}

void fipc_hot_set_add(struct fipc_hot_set *set, struct fipc_hot_group *group, uint32_t member,
                      uint64_t now_ns)
{
    struct fipc_hot_member *hot;
    uint32_t asleep;

    assert(member < set->capacity);
    hot = &set->members[member];
    assert(hot->group == NULL || hot->group == group);
    if (hot->group == NULL) {
        (void)fipc_end_disarm(set->ops->end(set->owner, member, &asleep));
        group_join(set, group, hot);
        hot->place = set->count++;
        set->hot[hot->place] = member;
    }
    hot->served_ns = now_ns;
}

void fipc_hot_set_remove(struct fipc_hot_set *set, uint32_t member)
{
    struct fipc_hot_member *hot = &set->members[member];
    uint32_t last;

    if (hot->group == NULL)
        return;
    group_leave(set, hot);
    last = set->hot[--set->count];
    set->hot[hot->place] = last;
    set->members[last].place = hot->place;
}

/* ---- a round ---- */

/* Serves one member, which goes behind the others of its group. Return: its work */
static unsigned serve_next(struct fipc_hot_set *set, struct fipc_hot_group *group, uint64_t end_ns,
                           uint64_t *now_ns)
{
    struct fipc_hot_member *hot = TAILQ_FIRST(&group->members);
    unsigned done;

    TAILQ_REMOVE(&group->members, hot, in_group);
    TAILQ_INSERT_TAIL(&group->members, hot, in_group);
    done = set->ops->serve(set->owner, (uint32_t)(hot - set->members), end_ns);
    if (done > 0 || ++set->n_idle % IDLE_PER_CLOCK_LOOK == 0)
        *now_ns = fipc_now_ns();
    if (done > 0)
        hot->served_ns = *now_ns;
    return done;
}

static unsigned serve_group(struct fipc_hot_set *set, struct fipc_hot_group *group,
                            uint64_t slice_ns, uint64_t round_end_ns, uint64_t *now_ns)
{
    uint64_t slice_end_ns = fipc_deadline_after(*now_ns, slice_ns);
    uint64_t end_ns = slice_end_ns < round_end_ns ? slice_end_ns : round_end_ns;
    unsigned work = 0;

    set->serving = group;
    for (size_t n = group->count; n > 0 && set->serving != NULL; n--) {
        work += serve_next(set, group, end_ns, now_ns);
        if (*now_ns >= end_ns)
            break;
    }
    set->serving = NULL;
    return work;
}

unsigned fipc_hot_set_serve(struct fipc_hot_set *set, uint64_t slice_ns, uint64_t end_ns,
                            uint64_t *now_ns)
{
    unsigned work = 0;

    for (size_t n = set->n_groups; n > 0 && set->n_groups > 0; n--) {
        struct fipc_hot_group *group = TAILQ_FIRST(&set->groups);

        TAILQ_REMOVE(&set->groups, group, in_set);
        TAILQ_INSERT_TAIL(&set->groups, group, in_set);
        work += serve_group(set, group, slice_ns, end_ns, now_ns);
        if (*now_ns >= end_ns)
            break;
    }
    return work;
}

/* ---- cooling ---- */

void fipc_hot_set_cool(struct fipc_hot_set *set, uint64_t before_ns)
{
    size_t begin = set->cooled < set->count ? set->cooled : 0;
    size_t end_place = set->count - begin < COOLED_MAX ? set->count : begin + COOLED_MAX;
    bool any = false;

    set->cooled = end_place;
    for (size_t i = begin; i < end_place; i++) {
        uint32_t asleep;
        struct fipc_end *end;

        if (set->members[set->hot[i]].served_ns >= before_ns)
            continue;
        end = set->ops->end(set->owner, set->hot[i], &asleep);
        fipc_end_set(end, asleep);
        any = true;
    }
    if (!any)
        return;

    fipc_end_fence();
    /* backwards, since removing moves the last member, which was looked at already or is not armed,
     * into the gap */
    for (size_t i = end_place; i-- > begin;) {
        uint32_t asleep, member = set->hot[i];

        if (set->members[member].served_ns >= before_ns)
            continue;
        if (set->ops->has_work(set->owner, member))
            (void)fipc_end_disarm(set->ops->end(set->owner, member, &asleep));
        else
            fipc_hot_set_remove(set, member);
    }
}

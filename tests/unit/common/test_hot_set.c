/* SPDX-License-Identifier: MIT */
#include "common/hot_set.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#define MEMBERS 8u

/* What a member has to do, and what serving it does to the set. */
static struct {
    struct fipc_end end;
    unsigned work; /* left to do */
    unsigned served;
    unsigned turn;    /* of all, when it was served last */
    uint32_t removes; /* while it is served, plus one; 0: nobody */
    uint32_t adds;    /* likewise */
    bool waits_for_room;
} members[MEMBERS];

static unsigned turns;
static struct fipc_hot_set set;
static struct fipc_hot_group group, other_group;

static void add(uint32_t member, uint64_t now_ns)
{
    fipc_hot_set_add(&set, &group, member, now_ns);
}

static unsigned serve_round(void)
{
    uint64_t now_ns = fipc_now_ns();

    return fipc_hot_set_serve(&set, FIPC_NEVER, FIPC_NEVER, &now_ns);
}

static unsigned serve(void *owner, uint32_t member, uint64_t end_ns)
{
    unsigned done = members[member].work > 0 ? 1 : 0;

    (void)end_ns;

    ck_assert_ptr_eq(owner, members);
    members[member].served++;
    members[member].turn = ++turns;
    members[member].work -= done;
    if (members[member].removes > 0)
        fipc_hot_set_remove(&set, members[member].removes - 1);
    if (members[member].adds > 0)
        add(members[member].adds - 1, 1);
    return done;
}

static bool has_work(void *owner, uint32_t member)
{
    ck_assert_ptr_eq(owner, members);
    return members[member].work > 0;
}

static struct fipc_end *end(void *owner, uint32_t member, uint32_t *ret_asleep)
{
    ck_assert_ptr_eq(owner, members);
    *ret_asleep =
        FIPC_END_ASLEEP_FD | (members[member].waits_for_room ? FIPC_END_ROOM : UINT32_C(0));
    return &members[member].end;
}

static const struct fipc_hot_set_ops ops = {.serve = serve, .has_work = has_work, .end = end};

static void make_set(void)
{
    memset(members, 0, sizeof(members));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        fipc_end_init(&members[i].end);
        fipc_end_set(&members[i].end, FIPC_END_ASLEEP_FD);
    }
    ck_assert_int_eq(fipc_hot_set_init(&set, MEMBERS, &ops, members), 0);
    fipc_hot_group_init(&group);
    fipc_hot_group_init(&other_group);
}

static void free_set(void)
{
    fipc_hot_set_deinit(&set);
    fipc_hot_set_deinit(&set); /* twice is safe */
}

static uint32_t word_of(uint32_t member) { return atomic_load(&members[member].end.word); }

GROUP(hot_set, .fixtures = {HOLDINGS_KEPT, {make_set, free_set}});

TEST(member_is_awake_from_the_moment_it_is_hot)
{
    add(3, 1);
    ck_assert_uint_eq(word_of(3), FIPC_END_AWAKE);
    ck_assert_uint_eq(word_of(2), FIPC_END_ASLEEP_FD);
    add(3, 2);
    ck_assert_uint_eq(set.count, 1);
}

TEST(each_hot_member_is_served_once_a_round)
{
    for (uint32_t i = 0; i < MEMBERS; i += 2) {
        members[i].work = i;
        add(i, 1);
    }
    ck_assert_uint_eq(serve_round(), 3); /* member 0 had nothing to do */
    for (uint32_t i = 0; i < MEMBERS; i++)
        ck_assert_uint_eq(members[i].served, i % 2 == 0 ? 1 : 0);
}

/* Any member may remove any other: no member that stays is left out. */
LOOP_TEST(member_removed_while_others_are_served_leaves_nobody_out, (MEMBERS * MEMBERS))
{
    uint32_t removing = (uint32_t)_i / MEMBERS, removed = (uint32_t)_i % MEMBERS;

    for (uint32_t i = 0; i < MEMBERS; i++)
        add(i, 1);
    members[removing].removes = removed + 1;
    (void)serve_round();
    ck_assert_uint_eq(set.count, MEMBERS - 1);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (i != removed)
            ck_assert_uint_ge(members[i].served, 1);
    }
    fipc_hot_set_remove(&set, removed); /* not hot any more: nothing happens */
    ck_assert_uint_eq(set.count, MEMBERS - 1);
}

TEST(member_added_while_others_are_served_waits_for_the_next_round)
{
    add(0, 1);
    members[0].adds = 5 + 1;
    (void)serve_round();
    ck_assert_uint_eq(members[5].served, 0);
    (void)serve_round();
    ck_assert_uint_eq(members[5].served, 1);
}

TEST(group_that_was_asleep_goes_first)
{
    add(0, 1);
    fipc_hot_set_add(&set, &other_group, 1, 1);
    (void)serve_round();
    ck_assert_uint_lt(members[1].turn, members[0].turn);
    fipc_hot_set_remove(&set, 0);
    add(0, 1);
    (void)serve_round();
    ck_assert_uint_lt(members[0].turn, members[1].turn);
}

/* Each slice is over after the first work. */
TEST(group_of_many_has_no_more_of_a_round_than_a_group_of_one)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        members[i].work = 10;
        fipc_hot_set_add(&set, i == 3 ? &other_group : &group, i, 1);
    }
    for (unsigned round = 1; round < MEMBERS; round++) {
        uint64_t now_ns = fipc_now_ns();

        ck_assert_uint_eq(fipc_hot_set_serve(&set, 1, FIPC_NEVER, &now_ns), 2);
        ck_assert_uint_eq(members[3].served, round);
    }
    for (uint32_t i = 0; i < MEMBERS; i++) /* in turn */
        ck_assert_uint_eq(members[i].served, i == 3 ? MEMBERS - 1 : 1);
}

TEST(cooling_arms_who_had_no_work_and_keeps_the_others)
{
    for (uint32_t i = 0; i < 3; i++)
        add(i, 10);
    members[1].work = 1;
    members[2].waits_for_room = true;
    (void)serve_round(); /* member 1 had work now */
    fipc_hot_set_cool(&set, 15);
    ck_assert_uint_eq(set.count, 1);
    ck_assert_uint_eq(word_of(0), FIPC_END_ASLEEP_FD);
    ck_assert_uint_eq(word_of(1), FIPC_END_AWAKE);
    ck_assert_uint_eq(word_of(2), FIPC_END_ASLEEP_FD | FIPC_END_ROOM);
}

TEST(member_found_with_work_at_the_last_look_stays_hot_and_awake)
{
    add(4, 10);
    members[4].work = 1;
    fipc_hot_set_cool(&set, UINT64_MAX);
    ck_assert_uint_eq(set.count, 1);
    ck_assert_uint_eq(word_of(4), FIPC_END_AWAKE);
    ck_assert_uint_eq(serve_round(), 1);
    fipc_hot_set_cool(&set, UINT64_MAX);
    ck_assert_uint_eq(set.count, 0);
    ck_assert_uint_eq(word_of(4), FIPC_END_ASLEEP_FD);
}

TEST(round_that_is_over_goes_on_with_the_group_after_the_last)
{
    struct fipc_hot_group groups[3];

    for (uint32_t i = 0; i < 3; i++) {
        fipc_hot_group_init(&groups[i]);
        members[i].work = 10;
        fipc_hot_set_add(&set, &groups[i], i, 1);
    }
    for (unsigned round = 0; round < 6; round++) {
        uint64_t now_ns = fipc_now_ns();

        ck_assert_uint_eq(fipc_hot_set_serve(&set, FIPC_NEVER, now_ns, &now_ns), 1);
    }
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(members[i].served, 2);
        fipc_hot_set_remove(&set, i);
    }
}

/* ---- many ---- */

#define MANY 1000

static struct fipc_end ends[MANY];
static unsigned n_looks;

static unsigned serve_none(void *owner, uint32_t member, uint64_t end_ns)
{
    (void)owner;
    (void)member;
    (void)end_ns;
    return 0;
}

/* Each tenth has. */
static bool look_at_one(void *owner, uint32_t member)
{
    (void)owner;
    n_looks++;
    return member % 10 == 0;
}

static struct fipc_end *end_of_many(void *owner, uint32_t member, uint32_t *ret_asleep)
{
    (void)owner;
    *ret_asleep = FIPC_END_ASLEEP_FD;
    return &ends[member];
}

TEST(many_members_are_cooled_some_at_a_time_and_each_in_the_end)
{
    static const struct fipc_hot_set_ops many_ops = {serve_none, look_at_one, end_of_many};
    struct fipc_hot_set many;
    struct fipc_hot_group all;

    fipc_hot_group_init(&all);
    ck_assert_int_eq(fipc_hot_set_init(&many, MANY, &many_ops, NULL), 0);
    for (uint32_t i = 0; i < MANY; i++)
        fipc_hot_set_add(&many, &all, i, 1);
    for (int call = 0; call < 12; call++) {
        n_looks = 0;
        fipc_hot_set_cool(&many, UINT64_MAX);
        ck_assert_uint_le(n_looks, 256);
    }
    ck_assert_uint_eq(many.count, MANY / 10);
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_uint_eq(atomic_load(&ends[i].word),
                          i % 10 == 0 ? FIPC_END_AWAKE : FIPC_END_ASLEEP_FD);
    fipc_hot_set_deinit(&many);
}

/* A round over many that have nothing to do takes time too. */
TEST(round_over_idle_members_looks_at_the_clock)
{
    static const struct fipc_hot_set_ops many_ops = {serve_none, look_at_one, end_of_many};
    struct fipc_hot_set many;
    struct fipc_hot_group all;
    uint64_t now_ns = 1;

    fipc_hot_group_init(&all);
    ck_assert_int_eq(fipc_hot_set_init(&many, MANY, &many_ops, NULL), 0);
    for (uint32_t i = 0; i < MANY; i++)
        fipc_hot_set_add(&many, &all, i, 1);
    ck_assert_uint_eq(fipc_hot_set_serve(&many, 1, FIPC_NEVER, &now_ns), 0);
    ck_assert_uint_gt(now_ns, 1);
    fipc_hot_set_deinit(&many);
}

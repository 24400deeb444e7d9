/* SPDX-License-Identifier: MIT */
/*
 * A turn does these things, in this order. Each has a share of the turn's time, and does one thing
 * before it asks for the time; what it has no time for it does in the next turn.
 *
 *      call_what_is_due     deadlines, slots that ended, drains: accounts take turns
 *      look_at_client_fds   bells, lanes; then what is due: a slot that ended now is free for
 *      listener_ready       new connections
 *      serve_hot            records. When they fall silent it spins a little, since waking up costs
 *                           a hundred messages; it looks at the fds meanwhile
 *      call_what_is_due     again
 *      seat                 the waiting room
 *
 * Then the hot slots that are silent are armed, and the poller waits if all are.
 */
#include "daemon/turn.h"

#include "common/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/poller.h"
#include "daemon/base/systemd_sender.h"
#include "daemon/life/admission.h"
#include "daemon/life/closer.h"
#include "daemon/life/greeting.h"
#include "daemon/life/held.h"
#include "daemon/life/slot_close.h"
#include "daemon/life/spare.h"
#include "daemon/life/status.h"
#include "daemon/model/core.h"
#include "daemon/traffic/intake.h"

/* Of all: a turn begins nothing new after. The shares are less together. */
#define TURN_NS (500 * FIPC_NS_PER_US)
/* Of records, while others have something to do. */
#define HOT_NS (100 * FIPC_NS_PER_US)
/* One account's part of a round, in which all others wait for theirs. */
#define SLICE_NS (50 * FIPC_NS_PER_US)
/* How long records may keep the turn from the bells of cold slots: a client that calls seldom waits
 * for that. */
#define LOOK_NS (20 * FIPC_NS_PER_US)
/* Of lanes and first bells. */
#define EVENTS_NS (50 * FIPC_NS_PER_US)
#define DUE_NS (50 * FIPC_NS_PER_US)
#define SEATS_NS (50 * FIPC_NS_PER_US)
/* A slot without work for that long is armed even while others keep the loop busy. */
#define COOL_NS FIPC_NS_PER_MS
/* A client on the same CPU may work for a while before it calls again. */
#define PATIENCE_NS (500 * FIPC_NS_PER_US)
#define ROUNDS_PER_CLOCK_LOOK 8
/* ---- the hot set ---- */

static struct slot *hot_slot(void *owner, uint32_t member)
{
    struct core *core = owner;

    return &core->slots.slots[member];
}

static unsigned hot_serve(void *owner, uint32_t member, uint64_t end_ns)
{
    return intake_serve(owner, hot_slot(owner, member), end_ns);
}

static bool hot_has_work(void *owner, uint32_t member)
{
    return intake_has_work(owner, hot_slot(owner, member));
}

static struct fipc_end *hot_end(void *owner, uint32_t member, uint32_t *ret_asleep)
{
    const struct core *core = owner;
    struct slot *slot = hot_slot(owner, member);

    *ret_asleep = FIPC_END_ASLEEP_FD | (intake_waits_for_room(core, slot) ? FIPC_END_ROOM : 0);
    return slot->channel.own;
}

static const struct fipc_hot_set_ops hot_ops = {
    .serve = hot_serve,
    .has_work = hot_has_work,
    .end = hot_end,
};

/* ---- what is due ---- */

static void slot_over(void *context, struct deadline *deadline)
{
    struct core *core = context;
    struct slot *slot = DEADLINE_OWNER(deadline, struct slot, deadline);
    enum fipc_reason reason = FIPC_REASON_NONE;

    if (slot->is_ending)
        return;
    greeting_look_again(core->turn->greeting, slot);
    /* a record that came just now is news, not idleness: the slot is served first */
    if (slot->state == SLOT_OPEN && intake_has_work(core, slot))
        core_heat(core, slot);
    else if (core->now_ns >= slot_deadline_ns(core->config, slot, &reason))
        slot_end(&core->slots, slot, reason);
    core_set_slot_deadline(core, slot);
}

/* A part of the end of a slot; the next one comes when its account has its next turn. */
static void slot_leaves(void *context, struct deadline *deadline)
{
    struct core *core = context;
    const struct turn *turn = core->turn;
    struct slot *slot = DEADLINE_OWNER(deadline, struct slot, deadline);
    struct deadline_group *group = &slot->account->deadlines;
    /* an account in debt for slow calls on its files waits with this one */
    uint64_t after_ns = core_toll_until_ns(core, slot->account);

    if (after_ns > core->now_ns || !slot_close(core, turn->greeting, turn->closer, slot))
        deadline_set(core->deadlines, group, deadline, after_ns, slot_leaves);
}

/* Slots that were marked end as soon as their accounts have a turn. */
static void let_marked_leave(struct core *core)
{
    struct slot *slot;

    while ((slot = slot_take_ending(&core->slots)) != NULL)
        deadline_set(core->deadlines, &slot->account->deadlines, &slot->deadline, core->now_ns,
                     slot_leaves);
}

static void call_what_is_due(struct core *core)
{
    struct deadline *deadline;

    core_begin_share(core, DUE_NS);
    let_marked_leave(core);
    while ((deadline = deadline_take(core->deadlines, core->now_ns)) != NULL) {
        enum act act = deadline->over == slot_leaves ? ACT_CLOSE : ACT_DEADLINE;
        uint64_t began_ns = core_begin_act(core);

        deadline->over(core, deadline);
        core_end_act(core, act, began_ns);
        let_marked_leave(core);
        if (!core_has_time(core))
            break;
    }
}

void turn_close_all(struct turn *turn)
{
    struct core *core = turn->core;
    struct slot_table *slots = &core->slots;

    for (uint32_t i = 0; i < slots->places.n_used; i++) {
        if (slots->slots[i].state != SLOT_FREE)
            slot_end(slots, &slots->slots[i], FIPC_REASON_STOPPING);
    }
    let_marked_leave(core);
    for (uint32_t i = 0; i < slots->places.n_used; i++) {
        while (slots->slots[i].state != SLOT_FREE &&
               !slot_close(core, turn->greeting, turn->closer, &slots->slots[i]))
            ;
    }
}

/* ---- fds ---- */

static void lane_event(struct core *core, struct slot *slot, const struct poller_event *event)
{
    if (slot->is_ending)
        poller_unwatch(core->poller,
                       slot->lane_fd); /* else it comes again until the slot is free */
    else if (slot->state != SLOT_GREETING)
        slot_end(&core->slots, slot,
                 event->has_hung_up ? FIPC_REASON_GONE : FIPC_REASON_UNEXPECTED);
    else
        greeting_receive(core->turn->greeting, slot);
}

static void client_event(struct turn *turn, const struct poller_event *event)
{
    struct core *core = turn->core;
    struct slot *slot;

    if (event->kind == POLLER_WAITING_LANE) {
        admission_hung_up(turn->admission, event->index, event->generation);
        return;
    }
    if (event->kind == POLLER_GONE) {
        held_look(core, event->index);
        return;
    }
    slot = slot_find(&core->slots, event->index, event->generation);
    if (slot == NULL)
        return;
    if (event->kind == POLLER_LANE)
        lane_event(core, slot, event);
    else if (slot->is_ending)
        return;
    else if (event->kind == POLLER_FIRST_BELL)
        greeting_take_bell(turn->greeting, slot);
    else
        core_heat(core, slot);
}

/* Bells first: they cost little, and come once. A lane or a first bell may cost what a hundred
 * calls do, to greet or to close; those that have no time now come again. */
static void look_at_client_fds(void *context)
{
    struct turn *turn = context;
    struct core *core = turn->core;
    struct poller_event events[POLLER_EVENTS_MAX];
    int count = poller_look(core->poller, events);

    core_begin_share(core, EVENTS_NS);
    for (int i = 0; i < count; i++) {
        if (events[i].kind == POLLER_BELL)
            client_event(turn, &events[i]);
    }
    for (int i = 0; i < count; i++) {
        if (events[i].kind == POLLER_BELL)
            continue;
        client_event(turn, &events[i]);
        if (!core_has_time(core))
            break;
    }
    call_what_is_due(core);
}

/* ---- one turn ---- */

/* Return: whether to go on with a round in which nothing was done */
static bool spin(struct turn *turn)
{
    if (!turn->spinning)
        fipc_spin_begin(&turn->spin, turn->core->now_ns);
    turn->spinning = fipc_spin_again(&turn->spin);
    if (!turn->spinning)
        fipc_spin_end(&turn->spin, false);
    return turn->spinning;
}

static void spin_paid_off(struct turn *turn)
{
    if (turn->spinning)
        fipc_spin_end(&turn->spin, true);
    turn->spinning = false;
}

/* Serves hot slots until they fall silent. Return: whether they did; false: the time is over first.
 */
static bool serve_hot(struct turn *turn)
{
    struct core *core = turn->core;
    uint64_t look_ns = core->now_ns + LOOK_NS;
    uint64_t end_ns;

    core_begin_share(core, HOT_NS);
    end_ns = core->share_end_ns;
    for (unsigned round = 1;; round++) {
        unsigned work = fipc_hot_set_serve(&core->hot, SLICE_NS, end_ns, &core->now_ns);

        if (work > 0)
            spin_paid_off(turn);
        else if (round % ROUNDS_PER_CLOCK_LOOK == 0)
            (void)core_look_at_clock(core);
        if (work == 0 && !spin(turn))
            return true;
        if (core->now_ns >= end_ns)
            return false;
        if (core->now_ns >= look_ns) {
            look_at_client_fds(turn);
            look_ns = core->now_ns + LOOK_NS;
        }
    }
}

static void after_wait(void *context)
{
    struct turn *turn = context;

    core_begin_turn(turn->core, TURN_NS);
    call_what_is_due(turn->core);
}

static void woken(void *context)
{
    struct turn *turn = context;

    (void)closer_collect(turn->closer, &turn->core->accounts, turn->core->now_ns);
}

static void catch_up(void *context, struct deadline *deadline)
{
    const struct core *core = context;

    (void)deadline;
    systemd_sender_retry(core->now_ns);
    log_catch_up(core->now_ns, false);
}

/* For events that were only counted, and for texts that systemd did not take. */
static void set_catch_up(struct turn *turn)
{
    uint64_t log_ns = log_due_ns(), sender_ns = systemd_sender_due_ns();
    uint64_t due_ns = log_ns < sender_ns ? log_ns : sender_ns;

    if (due_ns != FIPC_NEVER)
        core_set_own_deadline(turn->core, &turn->catch_up, due_ns, catch_up);
}

/* Gives free slots to waiting connections. Return: whether there is more to do */
static bool seat(struct turn *turn)
{
    core_begin_share(turn->core, SEATS_NS);
    return admission_seat_waiting(turn->admission);
}

/* The machine may have become slow since the broker started. */
static void learn_wakes(struct turn *turn)
{
    struct toll *toll = &turn->core->toll;
    struct closer *closer = turn->closer;

    if (closer->wake_ns > 0)
        toll_learn(toll, closer->wake_ns);
    closer->wake_ns = 0;
    if (toll_wants_test(toll, turn->core->now_ns))
        closer_test_wakes(closer);
}

static bool may_block(const struct core *core)
{
    return core->hot.count == 0 && STAILQ_EMPTY(&core->slots.ending) &&
           deadline_next_ns(core->deadlines) > core->now_ns;
}

static bool before_wait(void *context)
{
    struct turn *turn = context;
    struct core *core = turn->core;
    bool more_to_seat, silent;

    (void)core_look_at_clock(core);
    silent = core->hot.count == 0 || serve_hot(turn);
    call_what_is_due(core);
    more_to_seat = seat(turn);
    /* the last: a slot that was heated meanwhile is served in the next turn */
    if (core->hot.count > 0)
        fipc_hot_set_cool(&core->hot, silent ? FIPC_NEVER : core->now_ns - COOL_NS);
    status_look(turn->status);
    spare_look(turn->spare);
    learn_wakes(turn);
    if (core->stopping && core->handlers.n_live == 0)
        poller_stop(core->poller);
    set_catch_up(turn);
    meter_end_turn(&core->meter, core_look_at_clock(core));
    if (more_to_seat || !may_block(core))
        return false;
    core->n_blocked++;
    return true;
}

static const struct poller_ops poller_ops = {
    .after_wait = after_wait,
    .client_fds = look_at_client_fds,
    .woken = woken,
    .before_wait = before_wait,
};

void turn_run(struct turn *turn)
{
    core_begin_turn(turn->core, TURN_NS); /* the first one comes before the first wait */
    poller_run(turn->core->poller);
}

/* ---- life ---- */

void turn_reconfigure(struct turn *turn)
{
    struct core *core = turn->core;

    fipc_spin_init(&turn->spin, core->config->dispatch.spin_us * FIPC_NS_PER_US, PATIENCE_NS);
    turn->spinning = false;
    (void)core_look_at_clock(core);
    for (uint32_t i = 0; i < core->slots.places.n_used; i++) {
        if (core->slots.slots[i].state != SLOT_FREE)
            core_set_slot_deadline(core, &core->slots.slots[i]);
    }
}

int turn_init(struct turn *turn)
{
    struct core *core = turn->core;
    int r;

    r = poller_new(&core->poller, &poller_ops, turn);
    if (r < 0)
        return r;
    core->deadlines = poller_deadlines(core->poller);
    core->slot_over = slot_over;
    core->turn = turn;
    r = fipc_hot_set_init(&core->hot, core->slots.places.capacity, &hot_ops, core);
    if (r == 0)
        turn_reconfigure(turn);
    return r;
}

void turn_deinit(struct turn *turn)
{
    turn->core->poller = poller_free(turn->core->poller);
    fipc_hot_set_deinit(&turn->core->hot);
}

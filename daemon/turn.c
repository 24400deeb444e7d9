/* SPDX-License-Identifier: MIT */
/*
 * A turn: call what is due; serve the hot slots; when they fall silent spin a little, since waking
 * up costs a hundred messages; then arm them, look once more, and let the poller wait. Every phase
 * is bounded, so that deadlines, new connections and rings of cold slots are served in between.
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

/* How long hot slots may keep the loop from deadlines and new connections. */
#define TURN_NS (100 * FIPC_NS_PER_US)
/* How long lanes, deadlines and new connections may keep it from hot slots and bells. */
#define EVENTS_NS (50 * FIPC_NS_PER_US)
/* How long they may keep it from the bells of cold slots: a client that calls seldom waits for
 * that. */
#define LOOK_NS (20 * FIPC_NS_PER_US)
/* One uid's part of a round, in which all others wait for theirs. */
#define SLICE_NS (50 * FIPC_NS_PER_US)
/* A slot without work for that long is armed even while others keep the loop busy. */
#define COOL_NS FIPC_NS_PER_MS
/* A client on the same CPU may work for a while before it calls again. */
#define PATIENCE_NS (500 * FIPC_NS_PER_US)
#define ROUNDS_PER_CLOCK_LOOK 8
/* At least as many as there are besides those of slots and handlers. */
#define BROKER_DEADLINES 16

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

/* ---- ends ---- */

/* Closes slots that ended, one at least, no further one after @end_ns. Return: whether it closed
 * any
 */
static bool close_some(struct turn *turn, uint64_t end_ns)
{
    struct slot_table *slots = &turn->core->slots;
    bool any = false;

    while (!STAILQ_EMPTY(&slots->ending)) {
        slot_close(turn->core, turn->greeting, turn->closer, slot_take_ending(slots));
        any = true;
        if (core_look_at_clock(turn->core) >= end_ns)
            break;
    }
    return any;
}

void turn_close_ending(struct turn *turn) { (void)close_some(turn, FIPC_NEVER); }

static void slot_over(void *context, struct deadline *deadline)
{
    struct core *core = context;
    struct slot *slot = DEADLINE_OWNER(deadline, struct slot, deadline);
    enum fipc_reason reason = FIPC_REASON_NONE;

    if (slot->is_ending)
        return;
    /* a record that came just now is news, not idleness: the slot is served first */
    if (slot->state == SLOT_OPEN && intake_has_work(core, slot))
        core_heat(core, slot);
    else if (core->now_ns >= slot_deadline_ns(core->config, slot, &reason) && !core_is_late(core))
        slot_end(&core->slots, slot, reason);
    core_set_slot_deadline(core, slot);
}

static void call_what_is_due(struct turn *turn)
{
    struct core *core = turn->core;
    uint64_t until_ns = core->now_ns; /* a deadline that is set meanwhile has its own turn */
    struct deadline *deadline;

    while ((deadline = deadline_take(core->deadlines, until_ns)) != NULL) {
        deadline->over(core, deadline);
        (void)core_look_at_clock(core);
        (void)close_some(turn, core->events_end_ns);
    }
}

/* ---- fds ---- */

static void lane_event(struct turn *turn, struct slot *slot, const struct poller_event *event)
{
    if (slot->state == SLOT_GREETING)
        greeting_receive(turn->greeting, slot);
    else
        slot_end(&turn->core->slots, slot,
                 event->has_hung_up ? FIPC_REASON_GONE : FIPC_REASON_UNEXPECTED);
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
    if (slot == NULL || slot->is_ending)
        return;
    if (event->kind == POLLER_LANE)
        lane_event(turn, slot, event);
    else if (event->kind == POLLER_FIRST_BELL)
        greeting_take_bell(turn->greeting, slot);
    else
        core_heat(core, slot);
}

/* Bells first: they cost little, and come once. A lane or a first bell may cost what a hundred
 * calls do, to greet or to close; those that have no turn now come again. */
static void look_at_client_fds(void *context)
{
    struct turn *turn = context;
    struct core *core = turn->core;
    struct poller_event events[POLLER_EVENTS_MAX];
    int count = poller_look(core->poller, events);
    uint64_t end_ns = core_look_at_clock(core) + EVENTS_NS;

    for (int i = 0; i < count; i++) {
        if (events[i].kind == POLLER_BELL)
            client_event(turn, &events[i]);
    }
    for (int i = 0; i < count && core->now_ns < end_ns; i++) {
        if (events[i].kind == POLLER_BELL)
            continue;
        client_event(turn, &events[i]);
        (void)core_look_at_clock(core);
        (void)close_some(turn, end_ns);
    }
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

/* Serves hot slots until they fall silent. Return: whether they did; false: the turn is over first.
 */
static bool serve_hot(struct turn *turn)
{
    struct core *core = turn->core;
    uint64_t look_ns = core->now_ns + LOOK_NS;
    uint64_t turn_end_ns = core->now_ns + TURN_NS;

    for (unsigned round = 1;; round++) {
        unsigned work = fipc_hot_set_serve(&core->hot, SLICE_NS, &core->now_ns);

        (void)close_some(turn, core->now_ns + EVENTS_NS);
        if (work > 0)
            spin_paid_off(turn);
        else if (round % ROUNDS_PER_CLOCK_LOOK == 0)
            (void)core_look_at_clock(core);
        if (work == 0 && !spin(turn))
            return true;
        if (core->now_ns >= turn_end_ns)
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
    struct core *core = turn->core;

    core->events_end_ns = core_look_at_clock(core) + EVENTS_NS;
    call_what_is_due(turn);
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
        deadline_set(turn->core->deadlines, &turn->catch_up, due_ns, catch_up);
}

static bool before_wait(void *context)
{
    struct turn *turn = context;
    struct core *core = turn->core;
    bool more_to_seat;

    core->n_turns++;
    (void)close_some(turn, core_look_at_clock(core) + EVENTS_NS);
    if (core->hot.count > 0) {
        bool silent = serve_hot(turn);

        fipc_hot_set_cool(&core->hot, silent ? FIPC_NEVER : core->now_ns - COOL_NS);
    }
    /* after the hot slots, some of which may have ended; a client that gets one of them is hot */
    more_to_seat = admission_seat_waiting(turn->admission);
    /* a one-shot is answered while it is seated: its slot is free again for the next one */
    if (close_some(turn, core->now_ns + EVENTS_NS) && core->n_waiting > 0)
        more_to_seat = true;
    status_look(turn->status);
    spare_look(turn->spare);
    if (core->stopping && core->handlers.n_live == 0)
        poller_stop(core->poller);
    set_catch_up(turn);
    if (core->hot.count > 0 || more_to_seat || !STAILQ_EMPTY(&core->slots.ending))
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

void turn_run(struct turn *turn) { poller_run(turn->core->poller); }

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

    r = poller_new(&core->poller,
                   BROKER_DEADLINES + core->slots.places.capacity + core->handlers.places.capacity,
                   &poller_ops, turn);
    if (r < 0)
        return r;
    core->deadlines = poller_deadlines(core->poller);
    core->slot_over = slot_over;
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

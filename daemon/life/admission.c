/* SPDX-License-Identifier: MIT */
#include "daemon/life/admission.h"

#include "common/clock.h"
#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/base/log.h"
#include "daemon/base/poller.h"
#include "daemon/life/closer.h"
#include "daemon/life/greeting.h"
#include "daemon/model/core.h"
#include "daemon/traffic/outbound.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* How soon, and how seldom, to look whether a waiting connection has said HELLO: with a short
 * connect timeout it has half of that to learn why it gets no slot. */
#define LOOK_MIN_NS (2 * FIPC_NS_PER_MS)
#define LOOK_MAX_NS (100 * FIPC_NS_PER_MS)
/* A client that hung up just before this one connected may have its slot: one turn sees that, one
 * more ends it. */
#define TURNS_MIN 3

/* ---- refusing and seating ---- */

static bool may_have_slot(const struct admission *admission, const struct account *account)
{
    return quota_allows_slot(&admission->core->quota, account,
                             slot_n_counted(&admission->core->slots));
}

/* Says why, but for FIPC_REASON_GONE, and closes: or neither in the loop while the account is in
 * debt for slow calls on its files. @account: NULL: there is none */
static void close_lane(struct admission *admission, int lane_fd, struct account *account,
                       enum fipc_reason reason)
{
    struct core *core = admission->core;
    uint64_t began_cpu_ns = core_begin_toll(core);

    if (account != NULL && core_toll_until_ns(core, account) > core->now_ns) {
        closer_close_apart(admission->closer, lane_fd, account);
        return;
    }
    if (reason != FIPC_REASON_GONE)
        outbound_refused(lane_fd, reason, true);
    closer_close(admission->closer, lane_fd, account);
    if (account != NULL)
        core_end_toll(core, account, began_cpu_ns);
}

/* Says why there is no slot. @lane_fd is consumed. @account: NULL: there is none */
static void refuse(struct admission *admission, int lane_fd, const struct fipc_identity *peer,
                   struct account *account, enum fipc_reason reason)
{
    struct log_subject subject = {.slot = -1, .uid = peer->uid, .pid = peer->pid, .reason = reason};

    admission->core->slots.n_refused[reason]++;
    log_event(LOG_WARNING, LOG_EVENT_REFUSED, &subject, "refused: %s", fipc_reason_name(reason));
    close_lane(admission, lane_fd, account, reason);
}

/* QUOTA: another account, which holds nothing, could have one. */
static enum fipc_reason why_no_slot(const struct admission *admission)
{
    const struct account nobody = {.n_slots = 0};

    return may_have_slot(admission, &nobody) ? FIPC_REASON_QUOTA : FIPC_REASON_NO_SLOT;
}

/* Gives a slot to a connection. Return: whether there is one that its uid may have; @lane_fd is
 * consumed then */
static bool seat(struct admission *admission, int lane_fd, const struct fipc_identity *peer,
                 struct account *account)
{
    struct core *core = admission->core;
    uint64_t began_ns = core_begin_act(core);
    struct slot *slot;
    int r;

    if (!may_have_slot(admission, account))
        return false;
    slot = slot_take(&core->slots, lane_fd, peer, core->now_ns);
    if (slot == NULL)
        return false;
    slot->account = account;
    account->n_slots++;
    core_set_slot_deadline(core, slot);
    r = poller_watch(core->poller, POLLER_LANE, lane_fd, slot->index, slot->generation);
    core_end_act(core, ACT_SEATING, began_ns);
    if (r < 0)
        slot_end(&core->slots, slot, FIPC_REASON_SHORT);
    else
        greeting_receive(admission->greeting, slot); /* HELLO is often there before accept(2) */
    return true;
}

/* ---- the waiting room ---- */

static void look_later(struct core *core, struct waiting *waiting);

/* Looks at HELLO without taking it. Until it has come, a connection may wait as long as one that is
 * greeting. */
static void waiting_look(const struct admission *admission, struct waiting *waiting)
{
    struct {
        struct fipc_control_header header;
        struct fipc_hello hello;
    } packet;
    ssize_t size = recv(waiting->lane_fd, &packet, sizeof(packet), MSG_PEEK | MSG_DONTWAIT);
    uint32_t wait_ms = admission->core->config->timeouts.doorbell_ms;

    waiting->has_said_hello =
        size == (ssize_t)sizeof(packet) && packet.header.magic == FIPC_CONTROL_MAGIC &&
        packet.header.version == FIPC_CONTROL_VERSION && packet.header.type == FIPC_CONTROL_HELLO;
    if (waiting->has_said_hello)
        wait_ms = packet.hello.wait_ms;
    waiting->deadline_ns = waiting->has_said_hello && wait_ms == UINT32_MAX
                               ? FIPC_NEVER
                               : fipc_deadline_after(waiting->since_ns, wait_ms * FIPC_NS_PER_MS);
}

/* Return: FIPC_REASON_NONE if the connection waits, @lane_fd is consumed then; else why it cannot
 */
static enum fipc_reason wait_for_slot(struct admission *admission, int lane_fd,
                                      const struct fipc_identity *peer, struct account *account)
{
    struct waiting *waiting = TAILQ_FIRST(&admission->unused);

    if (waiting == NULL ||
        !quota_allows_place(&admission->core->quota, account, admission->core->n_waiting))
        return why_no_slot(admission);
    if (lines_put(&admission->lines, account, &waiting->in_line) < 0)
        return FIPC_REASON_SHORT;
    waiting->generation++;
    if (poller_watch(admission->core->poller, POLLER_WAITING_LANE, lane_fd,
                     (uint32_t)(waiting - admission->places), waiting->generation) < 0) {
        lines_remove(&admission->lines, &waiting->in_line);
        return FIPC_REASON_SHORT;
    }
    TAILQ_REMOVE(&admission->unused, waiting, link);
    TAILQ_INSERT_TAIL(&admission->waiting, waiting, link);
    admission->core->n_waiting++;
    account->n_waiting++;
    waiting->lane_fd = lane_fd;
    waiting->peer = *peer;
    waiting->account = account;
    waiting->since_ns = admission->core->now_ns;
    waiting->since_turn = admission->core->n_turns;
    waiting_look(admission, waiting);
    look_later(admission->core, waiting);
    return FIPC_REASON_NONE;
}

/* Takes a connection out of the room. Its account stays, even where it holds nothing any more. */
static int waiting_leave(struct admission *admission, struct waiting *waiting)
{
    poller_unwatch(admission->core->poller, waiting->lane_fd);
    lines_remove(&admission->lines, &waiting->in_line);
    TAILQ_REMOVE(&admission->waiting, waiting, link);
    TAILQ_INSERT_HEAD(&admission->unused, waiting, link);
    admission->core->n_waiting--;
    waiting->account->n_waiting--;
    deadline_clear(admission->core->deadlines, &waiting->look);
    return fd_steal(&waiting->lane_fd);
}

/* Whose turn it is of those that wait for nothing but a free slot: one that waits for its own quota
 * is in no way. Return: NULL if there is none */
static struct waiting *next_to_seat(const struct admission *admission)
{
    struct line *line;

    TAILQ_FOREACH(line, &admission->lines.turns, in_turn) {
        if (may_have_slot(admission, line->account))
            return LINE_ITEM_OWNER(TAILQ_FIRST(&line->items), struct waiting, in_line);
    }
    return NULL;
}

bool admission_seat_waiting(struct admission *admission)
{
    struct waiting *waiting;
    int n_seated = 0;

    while ((waiting = next_to_seat(admission)) != NULL) {
        struct account *account = waiting->account;

        if (n_seated++ > 0 && !core_has_time(admission->core))
            return true;
        lines_end_turn(&admission->lines, account);
        (void)seat(admission, waiting_leave(admission, waiting), &waiting->peer, account);
    }
    return false;
}

static void waiting_refuse(struct admission *admission, struct waiting *waiting,
                           enum fipc_reason reason)
{
    struct account *account = waiting->account;

    refuse(admission, waiting_leave(admission, waiting), &waiting->peer, account, reason);
    account_release_if_unused(&admission->core->accounts, account, admission->core->now_ns);
}

static void look_at_deadline(void *context, struct deadline *deadline)
{
    struct core *core = context;
    struct waiting *waiting = DEADLINE_OWNER(deadline, struct waiting, look);
    struct admission *admission = waiting->admission;

    if (!waiting->has_said_hello)
        waiting_look(admission, waiting); /* it may have by now */
    if (core->now_ns >= waiting->deadline_ns && core->n_turns >= waiting->since_turn + TURNS_MIN)
        waiting_refuse(admission, waiting, why_no_slot(admission));
    else
        look_later(core, waiting);
}

/* Until HELLO has come, after as long as the connection has waited so far: HELLO often comes right
 * after accept(2), and its deadline may be an earlier one. */
static void look_later(struct core *core, struct waiting *waiting)
{
    uint64_t span_ns = core->now_ns - waiting->since_ns, due_ns = waiting->deadline_ns;

    span_ns = span_ns < LOOK_MIN_NS ? LOOK_MIN_NS : span_ns < LOOK_MAX_NS ? span_ns : LOOK_MAX_NS;
    if (!waiting->has_said_hello && due_ns > core->now_ns + span_ns)
        due_ns = core->now_ns + span_ns;
    if (due_ns <= core->now_ns) /* it has to wait for some turns */
        due_ns = core->now_ns + LOOK_MIN_NS;
    if (due_ns != FIPC_NEVER)
        deadline_set(core->deadlines, &waiting->account->deadlines, &waiting->look, due_ns,
                     look_at_deadline);
}

void admission_hung_up(struct admission *admission, uint32_t place, uint32_t generation)
{
    struct waiting *waiting = &admission->places[place];
    struct account *account = waiting->account;

    if (waiting->lane_fd < 0 || waiting->generation != generation)
        return;
    close_lane(admission, waiting_leave(admission, waiting), account, FIPC_REASON_GONE);
    account_release_if_unused(&admission->core->accounts, account, admission->core->now_ns);
}

/* A new connection may come for a former session of its account, whose end has not had its turn:
 * then that is first. Return: as account_open() */
static struct account *account_of_new(struct core *core, uid_t uid)
{
    struct account *account = account_open(&core->accounts, uid);

    if (account != NULL)
        core_do_first(core, account);
    return account_open(&core->accounts, uid);
}

void admission_admit(struct admission *admission, int lane_fd)
{
    struct account *account;
    struct fipc_identity peer = {.uid = 0};
    enum fipc_reason reason;

    if (fipc_peer_identity(lane_fd, &peer) < 0) {
        closer_close(admission->closer, lane_fd, NULL);
        return;
    }
    account = account_of_new(admission->core, peer.uid);
    if (account == NULL) {
        refuse(admission, lane_fd, &peer, NULL, FIPC_REASON_SHORT);
        return;
    }
    /* a new connection does not overtake a waiting one */
    if (next_to_seat(admission) == NULL && seat(admission, lane_fd, &peer, account))
        return;
    reason = wait_for_slot(admission, lane_fd, &peer, account);
    if (reason == FIPC_REASON_NONE)
        return;
    refuse(admission, lane_fd, &peer, account, reason);
    account_release_if_unused(&admission->core->accounts, account, admission->core->now_ns);
}

/* ---- life ---- */

int admission_init(struct admission *admission, struct core *core, struct greeting *greeting,
                   struct closer *closer, uint32_t capacity)
{
    *admission = (struct admission){.core = core, .greeting = greeting, .closer = closer};
    TAILQ_INIT(&admission->waiting);
    lines_init(&admission->lines);
    TAILQ_INIT(&admission->unused);
    admission->places = calloc(capacity, sizeof(*admission->places));
    if (admission->places == NULL)
        return -ENOMEM;
    admission->capacity = capacity;
    for (uint32_t i = 0; i < capacity; i++) {
        admission->places[i].admission = admission;
        admission->places[i].lane_fd = -1;
        TAILQ_INSERT_TAIL(&admission->unused, &admission->places[i], link);
    }
    return 0;
}

void admission_deinit(struct admission *admission)
{
    while (admission->places != NULL && !TAILQ_EMPTY(&admission->waiting))
        waiting_refuse(admission, TAILQ_FIRST(&admission->waiting), FIPC_REASON_STOPPING);
    free(admission->places);
    admission->places = NULL;
}

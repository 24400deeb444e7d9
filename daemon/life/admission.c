/* SPDX-License-Identifier: MIT */
#include "daemon/life/admission.h"

#include "common/clock.h"
#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/base/log.h"
#include "daemon/broker.h"
#include "daemon/life/closer.h"
#include "daemon/life/greeting.h"
#include "daemon/model/slot_deadline.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* How often the deadlines of those who wait are looked at. */
#define LOOK_S 0.1
/* A one-shot leaves its slot at once: without a limit the whole room could be served in one turn.
 */
#define SEATS_PER_TURN 32
/* Told to who is refused for want of a slot. */
#define RETRY_MS 50

/* ---- who it is, and what it may have ---- */

static int peer_of(int lane_fd, struct peer *ret_peer)
{
    struct fipc_identity identity;
    int r;

    r = fipc_peer_identity(lane_fd, &identity);
    if (r < 0)
        return r;
    *ret_peer = (struct peer){.uid = identity.uid, .gid = identity.gid, .pid = identity.pid};
    return 0;
}

void admission_slot_ended(struct broker *broker, struct slot *slot)
{
    slot->account->n_slots--;
    account_release_if_unused(&broker->core.accounts, slot->account, broker->core.now_ns);
    slot->account = NULL;
}

/* ---- refusing and seating ---- */

/* Says why there is no slot. @lane_fd is consumed. @account: NULL: there is none */
static void refuse(struct broker *broker, int lane_fd, const struct peer *peer,
                   struct account *account, enum fipc_reason reason)
{
    struct fipc_control refused = {
        .type = FIPC_CONTROL_REFUSED,
        .refused = {.reason = reason, .retry_ms = RETRY_MS},
    };
    struct log_subject subject = {.slot = -1, .uid = peer->uid, .pid = peer->pid, .reason = reason};

    broker->core.slots.n_refused[reason]++;
    log_event(LOG_WARNING, LOG_EVENT_REFUSED, &subject, "refused: %s", fipc_reason_name(reason));
    (void)fipc_lane_send(lane_fd, &refused, NULL, 0);
    closer_close(&broker->closer, lane_fd, account);
}

/* Gives a slot to a connection. Return: 0, @lane_fd is consumed; -EAGAIN there is none that its uid
 * may have */
static int seat(struct broker *broker, int lane_fd, const struct peer *peer,
                struct account *account)
{
    struct slot *slot;

    if (!quota_allows_slot(&broker->core.quota, account))
        return -EAGAIN;
    slot = slot_take(&broker->core.slots, lane_fd, peer, broker->core.now_ns);
    if (slot == NULL)
        return -EAGAIN;
    slot->account = account;
    account->n_slots++;
    slot_timer_start(&broker->core, slot);
    if (loop_watch_lane(broker, slot) < 0)
        slot_end(&broker->core.slots, slot, FIPC_REASON_SHORT);
    else
        greeting_receive(broker, slot); /* HELLO is often there before accept(2) */
    return 0;
}

/* ---- the waiting room ---- */

/* Looks at HELLO without taking it. Until it has come, a connection may wait as long as one that is
 * greeting. */
static void waiting_look(const struct broker *broker, struct waiting *waiting)
{
    struct {
        struct fipc_control_header header;
        struct fipc_hello hello;
    } packet;
    ssize_t size = recv(waiting->lane_fd, &packet, sizeof(packet), MSG_PEEK | MSG_DONTWAIT);
    uint32_t wait_ms = broker->core.config->timeouts.doorbell_ms;

    waiting->has_said_hello =
        size == (ssize_t)sizeof(packet) && packet.header.magic == FIPC_CONTROL_MAGIC &&
        packet.header.version == FIPC_CONTROL_VERSION && packet.header.type == FIPC_CONTROL_HELLO;
    if (waiting->has_said_hello)
        wait_ms = packet.hello.wait_ms;
    waiting->deadline_ns = waiting->has_said_hello && wait_ms == UINT32_MAX
                               ? FIPC_NEVER
                               : fipc_deadline_after(waiting->since_ns, wait_ms * FIPC_NS_PER_MS);
}

/* Return: 0, @lane_fd is consumed; -EAGAIN there is no place; another error: it cannot be watched
 */
static int wait_for_slot(struct broker *broker, int lane_fd, const struct peer *peer,
                         struct account *account)
{
    struct admission *admission = &broker->admission;
    struct waiting *waiting = TAILQ_FIRST(&admission->unused);
    int r;

    if (waiting == NULL || !quota_allows_place(&broker->core.quota, account))
        return -EAGAIN;
    waiting->generation++;
    r = loop_watch_waiting(broker, lane_fd, (uint32_t)(waiting - admission->places),
                           waiting->generation);
    if (r < 0)
        return r;
    TAILQ_REMOVE(&admission->unused, waiting, link);
    TAILQ_INSERT_TAIL(&admission->room, waiting, link);
    broker->core.n_waiting++;
    account->n_waiting++;
    waiting->lane_fd = lane_fd;
    waiting->peer = *peer;
    waiting->account = account;
    waiting->since_ns = broker->core.now_ns;
    waiting_look(broker, waiting);
    if (!ev_is_active(&admission->deadlines))
        ev_timer_again(broker->core.ev, &admission->deadlines);
    return 0;
}

/* Takes a connection out of the room. Its account stays, even where it holds nothing any more. */
static int waiting_leave(struct broker *broker, struct waiting *waiting)
{
    struct admission *admission = &broker->admission;

    loop_unwatch_waiting(broker, waiting->lane_fd);
    TAILQ_REMOVE(&admission->room, waiting, link);
    TAILQ_INSERT_HEAD(&admission->unused, waiting, link);
    broker->core.n_waiting--;
    waiting->account->n_waiting--;
    if (broker->core.n_waiting == 0)
        ev_timer_stop(broker->core.ev, &admission->deadlines);
    return fd_steal(&waiting->lane_fd);
}

bool admission_seat_waiting(struct broker *broker)
{
    struct waiting *waiting = TAILQ_FIRST(&broker->admission.room);
    int n_seated = 0;

    while (waiting != NULL && slot_n_taken(&broker->core.slots) < broker->core.slots.limit) {
        struct waiting *next = TAILQ_NEXT(waiting, link);

        if (quota_allows_slot(&broker->core.quota, waiting->account)) {
            struct account *account = waiting->account;
            int lane_fd;

            if (n_seated++ == SEATS_PER_TURN)
                return true;
            lane_fd = waiting_leave(broker, waiting);
            (void)seat(broker, lane_fd, &waiting->peer, account);
        }
        waiting = next;
    }
    return false;
}

static void waiting_refuse(struct broker *broker, struct waiting *waiting, enum fipc_reason reason)
{
    struct account *account = waiting->account;

    refuse(broker, waiting_leave(broker, waiting), &waiting->peer, account, reason);
    account_release_if_unused(&broker->core.accounts, account, broker->core.now_ns);
}

static enum fipc_reason why_no_slot(const struct broker *broker, const struct account *account)
{
    return quota_allows_slot(&broker->core.quota, account) ? FIPC_REASON_NO_SLOT
                                                           : FIPC_REASON_QUOTA;
}

static void look_at_deadlines(struct ev_loop *ev, ev_timer *timer, int revents)
{
    struct broker *broker = ev_userdata(ev);
    struct waiting *waiting, *next;
    uint64_t now_ns = fipc_now_ns();

    (void)timer;
    (void)revents;
    for (waiting = TAILQ_FIRST(&broker->admission.room); waiting != NULL; waiting = next) {
        next = TAILQ_NEXT(waiting, link);
        if (!waiting->has_said_hello)
            waiting_look(broker, waiting); /* it may have by now */
        if (now_ns >= waiting->deadline_ns)
            waiting_refuse(broker, waiting, why_no_slot(broker, waiting->account));
    }
}

void admission_hung_up(struct broker *broker, uint32_t place, uint32_t generation)
{
    struct waiting *waiting = &broker->admission.places[place];
    struct account *account = waiting->account;

    if (waiting->lane_fd < 0 || waiting->generation != generation)
        return;
    closer_close(&broker->closer, waiting_leave(broker, waiting), account);
    account_release_if_unused(&broker->core.accounts, account, broker->core.now_ns);
}

/* Whether somebody waits for nothing but a free slot: who waits for his own quota is in no way. */
static bool others_come_first(const struct broker *broker)
{
    const struct waiting *waiting = TAILQ_FIRST(&broker->admission.room);

    while (waiting != NULL && !quota_allows_slot(&broker->core.quota, waiting->account))
        waiting = TAILQ_NEXT(waiting, link);
    return waiting != NULL;
}

void admission_admit(struct broker *broker, int lane_fd)
{
    struct account *account;
    struct peer peer = {.uid = 0};
    int r;

    if (peer_of(lane_fd, &peer) < 0) {
        closer_close(&broker->closer, lane_fd, NULL);
        return;
    }
    account = account_open(&broker->core.accounts, peer.uid);
    if (account == NULL) {
        refuse(broker, lane_fd, &peer, NULL, FIPC_REASON_SHORT);
        return;
    }
    /* who comes now does not overtake who waits already */
    r = others_come_first(broker) ? -EAGAIN : seat(broker, lane_fd, &peer, account);
    if (r == -EAGAIN)
        r = wait_for_slot(broker, lane_fd, &peer, account);
    if (r == 0)
        return;
    refuse(broker, lane_fd, &peer, account,
           r == -EAGAIN ? why_no_slot(broker, account) : FIPC_REASON_SHORT);
    account_release_if_unused(&broker->core.accounts, account, broker->core.now_ns);
}

/* ---- life ---- */

int admission_init(struct broker *broker, uint32_t capacity)
{
    struct admission *admission = &broker->admission;

    TAILQ_INIT(&admission->room);
    TAILQ_INIT(&admission->unused);
    admission->places = calloc(capacity, sizeof(*admission->places));
    if (admission->places == NULL)
        return -ENOMEM;
    admission->capacity = capacity;
    for (uint32_t i = 0; i < capacity; i++) {
        admission->places[i].lane_fd = -1;
        TAILQ_INSERT_TAIL(&admission->unused, &admission->places[i], link);
    }
    ev_init(&admission->deadlines, look_at_deadlines);
    admission->deadlines.repeat = LOOK_S;
    return 0;
}

void admission_deinit(struct broker *broker)
{
    struct admission *admission = &broker->admission;

    while (admission->places != NULL && !TAILQ_EMPTY(&admission->room))
        waiting_refuse(broker, TAILQ_FIRST(&admission->room), FIPC_REASON_STOPPING);
    free(admission->places);
    admission->places = NULL;
}

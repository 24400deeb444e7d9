/* SPDX-License-Identifier: MIT */
#include "daemon/life/greeting.h"

#include "common/clock.h"
#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/base/log.h"
#include "daemon/base/poller.h"
#include "daemon/life/held.h"
#include "daemon/model/core.h"
#include "daemon/model/policy.h"
#include "daemon/traffic/intake.h"
#include "daemon/traffic/relay.h"
#include "daemon/traffic/reply.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* An open session is sent wake-up bytes only, so that little can pile up in the kernel. */
#define LANE_SEND_BUFFER_BYTES 4096

/* In one act: 8 pages take 17 us, and 160 where a host has yet to find memory for each of them. The
 * last part may be a quarter larger. */
#define FILL_BYTES ((size_t)32 << 10)

#define WELCOME_RETRY_NS (20 * FIPC_NS_PER_MS)

#define HELLO_BYTES_MAX                                                                            \
    (sizeof(struct fipc_control_header) + sizeof(struct fipc_hello) + FIPC_NAME_BYTES_MAX +        \
     FIPC_ONESHOT_DATA_BYTES_MAX)

static_assert(HELLO_BYTES_MAX <= FIPC_PACKET_BYTES_MAX, "the largest HELLO is a packet");

/* ---- one-shot ---- */

static void oneshot_begin(struct core *core, struct slot *slot, const struct fipc_control *hello)
{
    struct handler *handler;

    slot_set_state(&core->slots, slot, SLOT_ONESHOT);
    handler = reply_begin(core, slot, hello->hello.id, hello->hello.remaining_ns);
    if (handler == NULL) {
        slot_end(&core->slots, slot, FIPC_REASON_SHORT);
        return;
    }
    relay_route(core, handler, service_find(&core->services, hello->name, hello->hello.name_bytes),
                hello->data, hello->hello.data_bytes);
}

/* ---- session ---- */

static int session_make_channel(struct core *core, struct slot *slot)
{
    struct fipc_bell lane = {.kind = FIPC_BELL_LANE, .fd = slot->lane_fd};
    struct fipc_region region = FIPC_REGION_EMPTY;
    char name[32];
    int r;

    slot->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (slot->bell_fd < 0)
        return -errno;
    (void)snprintf(name, sizeof(name), "fipcd_%u", slot->index);
    r = fipc_region_create(&region, &slot->region_fd, name, slot->rings.request_bytes,
                           slot->rings.reply_bytes, slot->rings.n_places);
    if (r < 0)
        return r;
    fipc_channel_init(&slot->channel, FIPC_SIDE_BROKER, &region, lane);
    slot->is_filling = !policy_is_trusted(core->uid, &slot->peer);
    if (slot->is_filling)
        held_begin(core, slot);
    else
        slot->account->region_bytes += slot->channel.region.size;
    return fipc_memory_hide(slot->region_fd);
}

/* Has the next part of a stranger's region in our page table. Return: 0, or a negative errno */
static int session_fill(struct slot *slot)
{
    const struct fipc_region *region = &slot->channel.region;
    size_t size = region->size - slot->filled_bytes;
    int r;

    if (size > FILL_BYTES + FILL_BYTES / 4)
        size = FILL_BYTES;
    r = fipc_memory_populate((unsigned char *)region->base + slot->filled_bytes, size);
    slot->filled_bytes += size;
    slot->is_filling = r == 0 && slot->filled_bytes < region->size;
    return r;
}

static int session_send_welcome(struct core *core, const struct slot *slot)
{
    struct fipc_control welcome = {
        .type = FIPC_CONTROL_WELCOME,
        .welcome =
            {
                .slot = slot->index,
                .generation = slot->generation,
                .request_ring_bytes = slot->rings.request_bytes,
                .reply_ring_bytes = slot->rings.reply_bytes,
                .handler_ms = core->config->timeouts.handler_ms,
                .idle_ms = core->config->timeouts.idle_ms,
                .calls_max = SLOT_CALLS_MAX,
                .n_places = slot->rings.n_places,
            },
    };
    const int fds[] = {slot->region_fd, slot->bell_fd};
    const int send_buffer_bytes = LANE_SEND_BUFFER_BYTES;
    uint64_t began_cpu_ns = core_begin_toll(core);
    int r;

    r = fipc_lane_send(slot->lane_fd, &welcome, fds, 2);
    core_end_toll(core, slot->account, began_cpu_ns);
    if (r < 0)
        return r;
    (void)setsockopt(slot->lane_fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes,
                     sizeof(send_buffer_bytes));
    return 0;
}

static int session_welcome(struct core *core, struct slot *slot)
{
    int r;

    r = poller_watch(core->poller, POLLER_FIRST_BELL, slot->bell_fd, slot->index, slot->generation);
    if (r == 0)
        r = session_send_welcome(core, slot);
    if (r == 0)
        slot_set_state(&core->slots, slot, SLOT_WELCOMED);
    return r;
}

/* Undoes all that was done for a session, so that it can be tried again. */
static void session_undo(struct core *core, struct slot *slot)
{
    poller_unwatch(core->poller, slot->bell_fd);
    slot->bell_fd = fd_close(slot->bell_fd);
    slot->region_fd = fd_close(slot->region_fd);
    if (slot->holding != HOLDING_NONE)
        held_leave(core, slot, core->now_ns);
    else
        slot->account->region_bytes -= slot->channel.region.size;
    fipc_channel_deinit(&slot->channel);
    slot->is_filling = false;
    slot->filled_bytes = 0;
}

/* One step on the way to a session. Return: 0 the slot is welcomed, or is_filling; a negative
 * errno, and everything is undone */
static int session_step(struct core *core, struct slot *slot)
{
    int r = slot->is_filling ? 0 : session_make_channel(core, slot);

    if (r == 0 && slot->is_filling)
        r = session_fill(slot);
    if (r == 0 && !slot->is_filling)
        r = session_welcome(core, slot);
    if (r < 0)
        session_undo(core, slot);
    return r;
}

/* Whether we can look into it without being held up. */
static bool region_is_safe(const struct greeting *greeting, const struct slot *slot)
{
    return fipc_memory_is_sealed(slot->region_fd) &&
           (policy_is_trusted(greeting->core->uid, &slot->peer) ||
            fipc_memory_is_populated(slot->channel.region.base, slot->channel.region.size,
                                     greeting->pagemap_fd));
}

static void open_session(struct greeting *greeting, struct slot *slot)
{
    struct core *core = greeting->core;

    if (!region_is_safe(greeting, slot)) {
        slot_end(&core->slots, slot, FIPC_REASON_NOT_SEALED);
        return;
    }
    slot->region_fd = fd_close(slot->region_fd);
    slot_set_state(&core->slots, slot, SLOT_OPEN);
    poller_rewatch(core->poller, POLLER_BELL, slot->bell_fd, slot->index, slot->generation);
    core_heat(core, slot);
}

void greeting_take_bell(struct greeting *greeting, struct slot *slot)
{
    uint64_t began_ns = core_begin_act(greeting->core);

    open_session(greeting, slot);
    core_end_act(greeting->core, ACT_GREETING, began_ns);
}

static void set_retry(struct greeting *greeting, uint64_t due_ns);

static void welcome_put_off(struct greeting *greeting, struct slot *slot)
{
    if (TAILQ_EMPTY(&greeting->due)) {
        log_event(LOG_WARNING, LOG_EVENT_SHORT, NULL,
                  "too many fds are in flight to clients that don't read; new sessions wait");
        set_retry(greeting, greeting->core->now_ns + WELCOME_RETRY_NS);
    }
    TAILQ_INSERT_TAIL(&greeting->due, slot, welcome_due);
    slot->is_welcome_due = true;
}

static void session_failed(struct core *core, struct slot *slot, int error)
{
    slot_end(&core->slots, slot, error == -EPIPE ? FIPC_REASON_GONE : FIPC_REASON_SHORT);
}

/* A step of a slot that is in nobody's way; the next one comes when its account has its turn. */
static void session_go_on(struct greeting *greeting, struct slot *slot)
{
    struct core *core = greeting->core;
    int r = -ETOOMANYREFS;

    if (TAILQ_EMPTY(&greeting->due))
        r = session_step(core, slot);
    else
        session_undo(core, slot); /* nothing is kept for those that wait */
    if (r == -ETOOMANYREFS)
        welcome_put_off(greeting, slot);
    else if (r < 0)
        session_failed(core, slot, r);
    else if (slot->is_filling)
        core_set_slot_deadline(core, slot);
}

static void welcome_retry(void *context, struct deadline *deadline)
{
    struct greeting *greeting = DEADLINE_OWNER(deadline, struct greeting, retry);
    struct core *core = context;
    struct slot *slot;

    while ((slot = TAILQ_FIRST(&greeting->due)) != NULL) {
        /* a slot that is ending is not welcomed any more: the turn closes it */
        int r = slot->is_ending ? 0 : session_step(core, slot);

        if (r == -ETOOMANYREFS || (r == 0 && !slot->is_ending && slot->is_filling)) {
            set_retry(greeting, core->now_ns + (r < 0 ? WELCOME_RETRY_NS : 0));
            return;
        }
        greeting_forget(greeting, slot);
        slot->taken_ns = core_look_at_clock(core); /* its time for a first request begins now */
        if (r < 0)
            session_failed(core, slot, r);
        if (!TAILQ_EMPTY(&greeting->due) && !core_has_time(core)) {
            set_retry(greeting, core->now_ns);
            return;
        }
    }
}

static void set_retry(struct greeting *greeting, uint64_t due_ns)
{
    core_set_own_deadline(greeting->core, &greeting->retry, due_ns, welcome_retry);
}

void greeting_init(struct greeting *greeting, struct core *core)
{
    *greeting = (struct greeting){.core = core,
                                  .pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)};
    if (greeting->pagemap_fd < 0)
        log_event(LOG_WARNING, LOG_EVENT_STARTED, NULL,
                  "/proc/self/pagemap: %s; who may connect can hold up the broker",
                  strerror(errno));
    TAILQ_INIT(&greeting->due);
}

void greeting_deinit(struct greeting *greeting)
{
    greeting->pagemap_fd = fd_close(greeting->pagemap_fd);
}

void greeting_forget(struct greeting *greeting, struct slot *slot)
{
    if (!slot->is_welcome_due)
        return;
    TAILQ_REMOVE(&greeting->due, slot, welcome_due);
    slot->is_welcome_due = false;
    if (TAILQ_EMPTY(&greeting->due))
        deadline_clear(greeting->core->deadlines, &greeting->retry);
}

static uint32_t ring_bytes(const struct core *core, const struct slot *slot, uint32_t wanted,
                           uint32_t default_bytes)
{
    return wanted != 0 ? wanted
                       : policy_ring_bytes(core->uid, &slot->peer, core->config, default_bytes);
}

static void session_hello(struct greeting *greeting, struct slot *slot,
                          const struct fipc_hello *hello)
{
    struct core *core = greeting->core;
    const struct config *config = core->config;

    slot->rings.request_bytes =
        ring_bytes(core, slot, hello->request_ring_bytes, config->slots.request_ring_bytes);
    slot->rings.reply_bytes =
        ring_bytes(core, slot, hello->reply_ring_bytes, config->slots.reply_ring_bytes);
    slot->rings.n_places = policy_places(core->uid, &slot->peer, hello->n_places);
    if (!fipc_ring_bytes_valid(slot->rings.request_bytes) ||
        !fipc_ring_bytes_valid(slot->rings.reply_bytes) ||
        !policy_may_have_rings(core->uid, &slot->peer, config, slot->rings.request_bytes,
                               slot->rings.reply_bytes))
        slot_end(&core->slots, slot, FIPC_REASON_RING_BYTES);
    else if (!quota_allows_region(&core->quota, slot->account,
                                  fipc_region_size(slot->rings.request_bytes,
                                                   slot->rings.reply_bytes, slot->rings.n_places)))
        slot_end(&core->slots, slot, FIPC_REASON_QUOTA);
    else
        session_go_on(greeting, slot);
}

/* ---- HELLO ---- */

static enum fipc_reason reason_of_receive_error(const struct slot *slot, int error)
{
    switch (error) {
    case -EPIPE: /* or a packet without a byte */
        return fipc_lane_is_hung_up(slot->lane_fd) ? FIPC_REASON_GONE : FIPC_REASON_MALFORMED;
    case -EMSGSIZE:
        return FIPC_REASON_MALFORMED;
    case -EPERM:
        return FIPC_REASON_FDS;
    default:
        return FIPC_REASON_SHORT;
    }
}

/* That it is refused is logged when the slot ends. */
static void log_version(const struct slot *slot, unsigned version)
{
    struct log_subject subject = {.slot = slot->index,
                                  .uid = slot->peer.uid,
                                  .pid = slot->peer.pid,
                                  .reason = FIPC_REASON_VERSION};

    log_event(LOG_INFO, LOG_EVENT_REFUSED, &subject,
              "speaks version %u of the protocol, this broker version %u: its libfipc-client is of "
              "another release",
              version, FIPC_CONTROL_VERSION);
}

/* Return: 0; -EAGAIN nothing there yet; else @ret_reason says why this client gets no slot */
static int hello_receive(const struct slot *slot, void *packet, size_t packet_size,
                         struct fipc_control *ret_hello, enum fipc_reason *ret_reason)
{
    size_t size;
    int r;

    r = fipc_lane_receive_plain(slot->lane_fd, packet, packet_size, &size);
    if (r == -EAGAIN)
        return r;
    if (r < 0) {
        *ret_reason = reason_of_receive_error(slot, r);
        return r;
    }
    r = fipc_control_decode(packet, size, ret_hello);
    if (r == -EPROTONOSUPPORT)
        log_version(slot, fipc_control_version_of(packet));
    if (r < 0) {
        *ret_reason = r == -EPROTONOSUPPORT ? FIPC_REASON_VERSION : FIPC_REASON_MALFORMED;
        return r;
    }
    if (ret_hello->type != FIPC_CONTROL_HELLO) {
        *ret_reason = FIPC_REASON_UNEXPECTED;
        return -EBADMSG;
    }
    return 0;
}

static void receive(struct greeting *greeting, struct slot *slot)
{
    struct core *core = greeting->core;
    unsigned char packet[HELLO_BYTES_MAX];
    struct fipc_control hello;
    enum fipc_reason reason;
    bool oneshot;
    int r;

    if (core->stopping) {
        slot_end(&core->slots, slot, FIPC_REASON_STOPPING);
        return;
    }
    if (slot->is_welcome_due ||
        slot->is_filling) { /* it hung up, or sent more before it was welcomed */
        slot_end(&core->slots, slot,
                 fipc_lane_is_hung_up(slot->lane_fd) ? FIPC_REASON_GONE : FIPC_REASON_UNEXPECTED);
        return;
    }
    r = hello_receive(slot, packet, sizeof(packet), &hello, &reason);
    if (r == -EAGAIN)
        return;
    if (r < 0) {
        slot_end(&core->slots, slot, reason);
        return;
    }
    oneshot = (hello.hello.flags & FIPC_HELLO_ONESHOT) != 0;
    if ((hello.hello.flags & ~(uint32_t)FIPC_HELLO_ONESHOT) != 0 || hello.hello.reserved != 0 ||
        (!oneshot && hello.hello.name_bytes + hello.hello.data_bytes > 0))
        slot_end(&core->slots, slot, FIPC_REASON_MALFORMED);
    else if (oneshot)
        oneshot_begin(core, slot, &hello);
    else
        session_hello(greeting, slot, &hello.hello);
}

/* Each answer costs much: what this client says is read when its account has paid for the last one.
 * Return: whether it is later than now */
static bool is_put_off(struct core *core, struct slot *slot)
{
    uint64_t after_ns = core_toll_until_ns(core, slot->account);

    if (after_ns <= core->now_ns)
        return false;
    poller_unwatch(core->poller, slot->lane_fd); /* else the lane stays readable */
    slot->is_put_off = true;
    slot->bell_after_ns = after_ns;
    core_set_slot_deadline(core, slot);
    return true;
}

void greeting_look_again(struct greeting *greeting, struct slot *slot)
{
    struct core *core = greeting->core;

    if (slot->is_filling && !slot->is_welcome_due)
        session_go_on(greeting, slot);
    if (!slot->is_put_off || slot->bell_after_ns > core->now_ns)
        return;
    slot->is_put_off = false;
    if (poller_watch(core->poller, POLLER_LANE, slot->lane_fd, slot->index, slot->generation) < 0)
        slot_end(&core->slots, slot, FIPC_REASON_SHORT);
}

void greeting_receive(struct greeting *greeting, struct slot *slot)
{
    uint64_t began_ns = core_begin_act(greeting->core);

    if (!is_put_off(greeting->core, slot))
        receive(greeting, slot);
    core_end_act(greeting->core, ACT_GREETING, began_ns);
}

/* SPDX-License-Identifier: MIT */
#include "daemon/broker.h"

#include "common/os/os.h"
#include "common/version.h"
#include "daemon/base/log.h"
#include "daemon/life/slot_close.h"
#include "daemon/model/slot_deadline.h"
#include "daemon/traffic/builtin.h"
#include "daemon/traffic/relay.h"

#include <string.h>
#include <unistd.h>

/* Address space only: a handler costs memory from the first time that so many are live at once. */
#define HANDLERS_MAX (UINT32_C(1) << 20)
/* The range of slots.count. Address space only, likewise. */
#define SLOTS_MAX (UINT32_C(1) << 16)

static void drain_over(struct ev_loop *ev, ev_timer *timer, int revents)
{
    (void)timer;
    (void)revents;
    ev_break(ev, EVBREAK_ALL);
}

static void set_quota(struct broker *broker)
{
    struct core *core = &broker->core;

    core->quota =
        quota_of(core->config, broker->admission.capacity, core->handlers.places.capacity);
}

static int broker_make_parts(struct broker *broker)
{
    int r;

    r = slot_table_init(&broker->core.slots, SLOTS_MAX, broker->core.config->slots.count);
    if (r == 0)
        r = handler_table_init(&broker->core.handlers, HANDLERS_MAX);
    if (r == 0)
        r = service_table_init(&broker->core.services, builtins, builtin_count);
    if (r == 0)
        r = delivery_table_init(&broker->core.deliveries);
    if (r == 0)
        r = loop_init(broker);
    if (r == 0)
        r = admission_init(broker, broker->core.config->control.backlog);
    if (r == 0)
        set_quota(broker);
    if (r < 0)
        log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL, "cannot start: %s", strerror(-r));
    return r;
}

int broker_init(struct broker *broker, struct config *config)
{
    int r;

    *broker = (struct broker){
        .core = {.config = config, .uid = geteuid(), .started_ns = fipc_now_ns()},
        .listener = {.socket = CONTROL_SOCKET_EMPTY},
        .loop = {.slot_fds = -1},
        .greeting = {.pagemap_fd = -1},
    };
    r = broker_make_parts(broker);
    if (r == 0) {
        greeting_init(broker);
        ev_timer_init(&broker->drain, drain_over, config->timeouts.drain_ms / 1e3, 0);
        notify_init(broker);
        r = listener_open(broker);
    }
    if (r < 0) {
        broker_deinit(broker);
        return r;
    }
    log_event(LOG_INFO, LOG_EVENT_STARTED, NULL, "version %s listens on %s%s, %u slots",
              FIPC_VERSION, broker->listener.socket.path,
              broker->listener.socket.has_made_folder ? ", in a folder made for it" : "",
              config->slots.count);
    notify_ready(broker);
    return 0;
}

void broker_deinit(struct broker *broker)
{
    struct slot *slot;

    if (broker->core.ev != NULL) {
        notify_deinit(broker);
        listener_close(broker);
        admission_deinit(broker);
    }
    for (uint32_t i = 0; i < broker->core.slots.places.n_used; i++) {
        if (broker->core.slots.slots[i].state != SLOT_FREE)
            slot_end(&broker->core.slots, &broker->core.slots.slots[i], FIPC_REASON_STOPPING);
    }
    while ((slot = slot_take_ending(&broker->core.slots)) != NULL)
        slot_close(broker, slot);
    closer_deinit(&broker->closer, &broker->core.accounts);
    account_table_deinit(&broker->core.accounts);
    greeting_deinit(broker);
    loop_deinit(broker);
    delivery_table_deinit(&broker->core.deliveries);
    service_table_deinit(&broker->core.services);
    handler_table_deinit(&broker->core.handlers);
    slot_table_deinit(&broker->core.slots);
    broker->core.config = config_free(broker->core.config);
}

static void warn_of_fixed_keys(const struct control_socket *socket, const struct config *present,
                               const struct config *wanted)
{
    bool same_group = present->control.group == wanted->control.group ||
                      (present->control.group != NULL && wanted->control.group != NULL &&
                       strcmp(present->control.group, wanted->control.group) == 0);

    if (strcmp(present->control.socket, wanted->control.socket) != 0 ||
        present->control.backlog != wanted->control.backlog ||
        present->control.mode != wanted->control.mode || !same_group)
        log_event(LOG_WARNING, LOG_EVENT_CONFIG, NULL, "%s; all other keys are in force now",
                  socket->is_inherited
                      ? "control.* does not change a socket that comes from systemd"
                      : "control.* changes only at a restart");
}

void broker_reconfigure(struct broker *broker, struct config *config)
{
    warn_of_fixed_keys(&broker->listener.socket, broker->core.config, config);
    config_free(broker->core.config);
    broker->core.config = config;
    broker->core.slots.limit = config->slots.count;
    set_quota(broker);
    loop_reconfigure(broker);
    ev_timer_set(&broker->drain, config->timeouts.drain_ms / 1e3, 0);
    slot_timers_set(&broker->core);
    log_set_level(config->log.level);
    log_event(LOG_INFO, LOG_EVENT_RELOADED, NULL, "config reloaded, %u slots", config->slots.count);
}

void broker_run(struct broker *broker)
{
    (void)ev_run(broker->core.ev, 0);
    log_catch_up(fipc_now_ns(), true);
    log_event(LOG_INFO, LOG_EVENT_STOPPED, NULL, "stopped");
}

void broker_stop(struct broker *broker)
{
    if (broker->core.stopping) {
        ev_break(broker->core.ev, EVBREAK_ALL);
        return;
    }
    broker->core.stopping = true;
    notify_stopping(broker);
    listener_close(broker);
    log_event(LOG_INFO, LOG_EVENT_STOPPING, NULL, "stopping: %u calls are open",
              broker->core.handlers.n_live);
    relay_stop(&broker->core);
    ev_timer_start(broker->core.ev, &broker->drain);
}

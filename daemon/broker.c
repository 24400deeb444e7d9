/* SPDX-License-Identifier: MIT */
#include "daemon/broker.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "common/version.h"
#include "daemon/base/log.h"
#include "daemon/base/poller.h"
#include "daemon/base/process.h"
#include "daemon/base/wake_test.h"
#include "daemon/config/load.h"
#include "daemon/config/owners_load.h"
#include "daemon/life/held.h"
#include "daemon/traffic/builtin.h"
#include "daemon/traffic/leaving.h"
#include "daemon/traffic/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Address space only: a handler costs memory from the first time that this number is live at once.
 */
#define HANDLERS_MAX (UINT32_C(1) << 20)
/* The range of slots.count. Address space only, likewise. */
#define SLOTS_MAX (UINT32_C(1) << 16)

static void drain_over(void *context, struct deadline *deadline)
{
    struct core *core = context;

    (void)deadline;
    poller_stop(core->poller);
}

static int make_tables(struct core *core)
{
    int r;

    r = slot_table_init(&core->slots, SLOTS_MAX, core->config->slots.count);
    if (r == 0)
        r = handler_table_init(&core->handlers, HANDLERS_MAX);
    if (r == 0)
        r = service_table_init(&core->services, builtins, builtin_count);
    if (r == 0)
        r = delivery_table_init(&core->deliveries);
    return r;
}

/* Reads anew to whom uids belong. Return: 0; -ENOMEM, nothing changed */
static int set_owners(struct core *core)
{
    struct owners owners = {.n_ranges = 0};
    int r = owners_load(&owners, core->config, SUBUID_PATH);

    if (r == 0)
        account_table_set_owners(&core->accounts, &owners);
    owners_deinit(&owners);
    return r;
}

static void set_quota(struct broker *broker)
{
    struct core *core = &broker->core;

    core->quota = quota_of(core->config, broker->admission.capacity, core->handlers.places.capacity,
                           core->services.places.capacity);
}

static void set_toll(struct core *core)
{
    uint64_t lane_ns, futex_ns;

    wake_test(&lane_ns, &futex_ns);
    toll_init(&core->toll, lane_ns, futex_ns);
}

static int broker_make_parts(struct broker *broker)
{
    struct core *core = &broker->core;
    int r;

    r = make_tables(core);
    if (r == 0 && getrandom(&core->token_key, sizeof(core->token_key), 0) < 0)
        r = -errno;
    if (r == 0)
        r = set_owners(core);
    if (r == 0)
        r = turn_init(&broker->turn);
    if (r == 0)
        r = held_init(core);
    if (r == 0)
        r = admission_init(&broker->admission, core, &broker->greeting, &broker->closer,
                           core->config->control.backlog);
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
        .core = {.config = config,
                 .uid = geteuid(),
                 .clock = fipc_now_ns,
                 .cpu_clock = process_cpu_ns,
                 .meter = {.cpu_clock = process_cpu_ns}},
        .turn = {.core = &broker->core,
                 .admission = &broker->admission,
                 .closer = &broker->closer,
                 .greeting = &broker->greeting,
                 .spare = &broker->spare,
                 .status = &broker->status},
        .listener = {.socket = CONTROL_SOCKET_EMPTY},
        .greeting = {.pagemap_fd = -1},
    };
    broker->core.accounts.own_uid = broker->core.uid;
    broker->core.started_ns = core_look_at_clock(&broker->core);
    set_toll(&broker->core);
    r = broker_make_parts(broker);
    if (r == 0) {
        greeting_init(&broker->greeting, &broker->core);
        status_init(&broker->status, &broker->core);
        spare_init(&broker->spare, &broker->core, &broker->closer);
        r = listener_open(&broker->listener, &broker->core, &broker->admission, &broker->closer);
    }
    if (r < 0) {
        broker_deinit(broker);
        return r;
    }
    log_event(LOG_INFO, LOG_EVENT_STARTED, NULL, "version %s listens on %s%s, %u slots",
              FIPC_VERSION, broker->listener.socket.path,
              broker->listener.socket.has_made_folder ? ", in a folder made for it" : "",
              config->slots.count);
    status_ready(&broker->status);
    return 0;
}

void broker_deinit(struct broker *broker)
{
    struct core *core = &broker->core;

    if (core->poller != NULL) {
        status_deinit(&broker->status);
        listener_close(&broker->listener);
        admission_deinit(&broker->admission);
        turn_close_all(&broker->turn);
    }
    closer_deinit(&broker->closer, &core->accounts);
    account_table_deinit(&core->accounts);
    greeting_deinit(&broker->greeting);
    held_deinit(core);
    turn_deinit(&broker->turn);
    delivery_table_deinit(&core->deliveries);
    service_table_deinit(&core->services);
    handler_table_deinit(&core->handlers);
    slot_table_deinit(&core->slots);
    core->config = config_free(core->config);
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
    struct core *core = &broker->core;

    warn_of_fixed_keys(&broker->listener.socket, core->config, config);
    config_free(core->config);
    core->config = config;
    core->slots.limit = config->slots.count;
    set_quota(broker);
    if (set_owners(core) < 0)
        log_event(LOG_ERR, LOG_EVENT_CONFIG, NULL,
                  "out of memory: uids belong to whom they did before");
    turn_reconfigure(&broker->turn);
    log_set_level(config->log.level);
    log_event(LOG_INFO, LOG_EVENT_RELOADED, NULL, "config reloaded, %u slots", config->slots.count);
}

void broker_run(struct broker *broker)
{
    turn_run(&broker->turn);
    log_catch_up(fipc_now_ns(), true);
    log_event(LOG_INFO, LOG_EVENT_STOPPED, NULL, "stopped");
}

void broker_stop(struct broker *broker)
{
    struct core *core = &broker->core;

    if (core->stopping) {
        poller_stop(core->poller);
        return;
    }
    core->stopping = true;
    status_stopping(&broker->status);
    listener_close(&broker->listener);
    log_event(LOG_INFO, LOG_EVENT_STOPPING, NULL, "stopping: %u calls are open",
              core->handlers.n_live);
    leaving_stop(core);
    core_set_own_deadline(
        core, &broker->drain,
        core_look_at_clock(core) + core->config->timeouts.drain_ms * FIPC_NS_PER_MS, drain_over);
}

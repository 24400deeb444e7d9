/* SPDX-License-Identifier: MIT */
#include "daemon/life/status.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/base/systemd_sender.h"
#include "daemon/model/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#define STATUS_DELAY_NS FIPC_NS_PER_S
/* What stopping takes besides the drain. */
#define STOP_MARGIN_MS 5000

/* A later text replaces one that is lost. */
#define AS_STATUS SYSTEMD_MAY_BE_LOST
/* The service manager waits for this one. */
#define AS_STATE SYSTEMD_MUST_ARRIVE

static int tell(enum systemd_need need, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Return: 0; a negative errno: it was not sent */
static int tell(enum systemd_need need, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return systemd_sender_notify(text, need, fipc_now_ns());
}

/* Tells how many slots are in use, after @state. */
static void tell_slots(struct status *status, enum systemd_need need, const char *state)
{
    uint32_t n_taken = slot_n_taken(&status->core->slots);

    if (tell(need, "%sSTATUS=%u of %u slots in use", state, n_taken,
             status->core->config->slots.count) == 0)
        status->reported_n_taken = n_taken;
}

/* Runs only when the loop has come round: a turn in which every active slot was served. */
static void feed_watchdog(void *context, struct deadline *deadline)
{
    struct status *status = DEADLINE_OWNER(deadline, struct status, watchdog);
    struct core *core = context;

    (void)tell(AS_STATUS, "WATCHDOG=1");
    core_set_own_deadline(core, deadline, core->now_ns + status->watchdog_ns, feed_watchdog);
}

static void tell_change(void *context, struct deadline *deadline)
{
    const struct core *core = context;

    if (!core->stopping)
        tell_slots(DEADLINE_OWNER(deadline, struct status, change), AS_STATUS, "");
}

void status_init(struct status *status, struct core *core)
{
    uint64_t watchdog_us;

    *status = (struct status){.core = core};
    if (sd_watchdog_enabled(false, &watchdog_us) <= 0)
        return;
    status->watchdog_ns = watchdog_us / 2 * FIPC_NS_PER_US;
    core_set_own_deadline(core, &status->watchdog, core->now_ns, feed_watchdog);
}

void status_deinit(struct status *status)
{
    if (status->core == NULL)
        return;
    deadline_clear(status->core->deadlines, &status->watchdog);
    deadline_clear(status->core->deadlines, &status->change);
}

void status_ready(struct status *status) { tell_slots(status, AS_STATE, "READY=1\n"); }

void status_reloading(void)
{
    (void)tell(AS_STATE, "RELOADING=1\nMONOTONIC_USEC=%llu",
               (unsigned long long)(fipc_now_ns() / FIPC_NS_PER_US));
}

void status_stopping(const struct status *status)
{
    const struct core *core = status->core;

    (void)tell(AS_STATE, "STOPPING=1\nSTATUS=stopping, %u calls are open\nEXTEND_TIMEOUT_USEC=%llu",
               core->handlers.n_live,
               (core->config->timeouts.drain_ms + (unsigned long long)STOP_MARGIN_MS) * 1000);
}

void status_look(struct status *status)
{
    struct core *core = status->core;

    if (systemd_sender_has_manager() && status->reported_n_taken != slot_n_taken(&core->slots) &&
        !deadline_is_set(&status->change))
        core_set_own_deadline(core, &status->change, core->now_ns + STATUS_DELAY_NS, tell_change);
}

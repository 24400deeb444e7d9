/* SPDX-License-Identifier: MIT */
#include "daemon/life/status.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/base/systemd_sender.h"
#include "daemon/broker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#define STATUS_DELAY_S 1.0
/* What stopping takes besides the drain. */
#define STOP_MARGIN_MS 5000

static void tell(const struct broker *broker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One that finds the outbox full is given up: a later one says what is true then. */
static void tell(const struct broker *broker, const char *format, ...)
{
    char text[256];
    va_list arguments;

    if (!broker->notify.is_wanted)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void)outbox_post(OUTBOX_SERVICE_MANAGER, text);
}

/* Return: @buffer, "STATUS=..." */
static const char *status_text(struct broker *broker, char *buffer, size_t size)
{
    int backlog = broker->listener.socket.backlog;
    char waiting[32] = "unknown";

    broker->notify.told_n_taken = slot_n_taken(&broker->core.slots);
    if (backlog >= 0)
        (void)snprintf(waiting, sizeof(waiting), "%d", backlog);
    (void)snprintf(buffer, size, "STATUS=%u of %u slots in use; backlog %s",
                   broker->notify.told_n_taken, broker->core.config->slots.count, waiting);
    return buffer;
}

/* Runs only when the loop has come round: a turn in which every active slot was served. */
static void feed_watchdog(struct ev_loop *ev, ev_timer *timer, int revents)
{
    (void)timer;
    (void)revents;
    tell(ev_userdata(ev), "WATCHDOG=1");
}

static void tell_status(struct ev_loop *ev, ev_timer *timer, int revents)
{
    struct broker *broker = ev_userdata(ev);
    char status[128];

    (void)timer;
    (void)revents;
    if (!broker->core.stopping)
        tell(broker, "%s", status_text(broker, status, sizeof(status)));
}

void notify_init(struct broker *broker)
{
    struct notify *notify = &broker->notify;
    uint64_t watchdog_us;

    notify->is_wanted = getenv("NOTIFY_SOCKET") != NULL;
    ev_timer_init(&notify->status, tell_status, STATUS_DELAY_S, 0);
    ev_init(&notify->watchdog, feed_watchdog);
    if (sd_watchdog_enabled(false, &watchdog_us) <= 0)
        return;
    ev_timer_set(&notify->watchdog, 0, (double)watchdog_us / 2 / 1e6);
    ev_timer_start(broker->core.ev, &notify->watchdog);
}

void notify_deinit(struct broker *broker)
{
    ev_timer_stop(broker->core.ev, &broker->notify.watchdog);
    ev_timer_stop(broker->core.ev, &broker->notify.status);
}

void notify_ready(struct broker *broker)
{
    char status[128];

    if (broker->notify.is_wanted)
        tell(broker, "READY=1\n%s", status_text(broker, status, sizeof(status)));
}

void notify_reloading(const struct broker *broker)
{
    tell(broker, "RELOADING=1\nMONOTONIC_USEC=%llu",
         (unsigned long long)(fipc_now_ns() / FIPC_NS_PER_US));
}

void notify_stopping(const struct broker *broker)
{
    tell(broker, "STOPPING=1\nSTATUS=stopping, %u calls are open\nEXTEND_TIMEOUT_USEC=%llu",
         broker->core.handlers.n_live,
         (broker->core.config->timeouts.drain_ms + (unsigned long long)STOP_MARGIN_MS) * 1000);
}

void notify_look_at_status(struct broker *broker)
{
    struct notify *notify = &broker->notify;

    if (notify->is_wanted && notify->told_n_taken != slot_n_taken(&broker->core.slots) &&
        !ev_is_active(&notify->status)) {
        ev_timer_set(&notify->status, STATUS_DELAY_S, 0);
        ev_timer_start(broker->core.ev, &notify->status);
    }
}

/* SPDX-License-Identifier: MIT */
#include "daemon/life/status.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/base/systemd_sender.h"
#include "daemon/broker.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#define STATUS_DELAY_S 1.0
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
static void tell_slots(struct broker *broker, enum systemd_need need, const char *state)
{
    uint32_t n_taken = slot_n_taken(&broker->core.slots);

    if (tell(need, "%sSTATUS=%u of %u slots in use", state, n_taken,
             broker->core.config->slots.count) == 0)
        broker->notify.told_n_taken = n_taken;
}

/* Runs only when the loop has come round: a turn in which every active slot was served. */
static void feed_watchdog(struct ev_loop *ev, ev_timer *timer, int revents)
{
    (void)ev;
    (void)timer;
    (void)revents;
    (void)tell(AS_STATUS, "WATCHDOG=1");
}

static void tell_status(struct ev_loop *ev, ev_timer *timer, int revents)
{
    struct broker *broker = ev_userdata(ev);

    (void)timer;
    (void)revents;
    if (!broker->core.stopping)
        tell_slots(broker, AS_STATUS, "");
}

void notify_init(struct broker *broker)
{
    struct notify *notify = &broker->notify;
    uint64_t watchdog_us;

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

void notify_ready(struct broker *broker) { tell_slots(broker, AS_STATE, "READY=1\n"); }

void notify_reloading(void)
{
    (void)tell(AS_STATE, "RELOADING=1\nMONOTONIC_USEC=%llu",
               (unsigned long long)(fipc_now_ns() / FIPC_NS_PER_US));
}

void notify_stopping(const struct broker *broker)
{
    (void)tell(AS_STATE, "STOPPING=1\nSTATUS=stopping, %u calls are open\nEXTEND_TIMEOUT_USEC=%llu",
               broker->core.handlers.n_live,
               (broker->core.config->timeouts.drain_ms + (unsigned long long)STOP_MARGIN_MS) *
                   1000);
}

void notify_look_at_status(struct broker *broker)
{
    struct notify *notify = &broker->notify;

    if (systemd_sender_has_manager() && notify->told_n_taken != slot_n_taken(&broker->core.slots) &&
        !ev_is_active(&notify->status)) {
        ev_timer_set(&notify->status, STATUS_DELAY_S, 0);
        ev_timer_start(broker->core.ev, &notify->status);
    }
}

/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/report.h"

#include "common/clock.h"
#include "common/version.h"
#include "daemon/model/core.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* A page keeps all others waiting. */
#define ITEMS_PER_PAGE 16
/* The bytes around the items of a page. */
#define PAGE_FRAME_BYTES 64
#define LOOKED_AT_PER_PAGE 2048

/* Of the report that is being made: nothing was lost for want of memory. */
static bool is_whole;

static json_t *report_begin(void)
{
    is_whole = true;
    return json_object();
}

/* Not json_dumps(3): it goes on when its buffer cannot grow, and leaves out what did not fit.
 * Return: for free(3); NULL: no memory */
static char *report_text(json_t *report)
{
    size_t size = is_whole ? json_dumpb(report, NULL, 0, JSON_COMPACT) : 0;
    char *text = size > 0 ? malloc(size + 1) : NULL;

    if (text != NULL && json_dumpb(report, text, size, JSON_COMPACT) != size) {
        free(text);
        text = NULL;
    }
    if (text != NULL)
        text[size] = '\0';
    json_decref(report);
    return text;
}

static void set(json_t *object, const char *name, json_t *value)
{
    is_whole = json_object_set_new(object, name, value) == 0 && is_whole;
}

static void append(json_t *array, json_t *value)
{
    is_whole = json_array_append_new(array, value) == 0 && is_whole;
}

static void set_number(json_t *object, const char *name, uint64_t value)
{
    set(object, name, json_integer((json_int_t)value));
}

static void set_text(json_t *object, const char *name, const char *value)
{
    set(object, name, json_string(value));
}

static bool has_number(const json_t *array, json_int_t number)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (json_integer_value(json_array_get(array, i)) == number)
            return true;
    }
    return false;
}

/* The users that serve it, each once: root and our own at most, for nobody else may. */
static json_t *report_uids(const struct service *service)
{
    json_t *uids = json_array();
    const struct worker *worker;

    if (service->serve != NULL)
        append(uids, json_integer(geteuid()));
    TAILQ_FOREACH(worker, &service->workers, of_service) {
        if (!has_number(uids, worker->slot->peer.uid))
            append(uids, json_integer(worker->slot->peer.uid));
    }
    return uids;
}

static json_t *report_service(const struct service *service)
{
    json_t *report = json_object(), *uids = report_uids(service);
    const struct worker *worker;
    uint32_t n_running = 0;

    TAILQ_FOREACH(worker, &service->workers, of_service)
        n_running += worker->n_deliveries;
    set(report, "name", json_stringn(service->name, service->name_bytes));
    set_text(report, "kind", service->serve != NULL ? "built-in" : "served");
    set_number(report, "workers", service->n_workers);
    set_number(report, "running", n_running);
    set_number(report, "queued", service->queue.n_items);
    set_text(report, "path", "relay");
    set(report, "uid",
        json_array_size(uids) > 0 ? json_incref(json_array_get(uids, 0)) : json_null());
    set(report, "uids", uids);
    return report;
}

/* Adds an item to a page that has room for @bytes_left bytes. Return: the rest of them; -1 it does
 * not fit */
static ssize_t page_add(json_t *page, json_t *item, ssize_t bytes_left)
{
    bytes_left -= (ssize_t)json_dumpb(item, NULL, 0, JSON_COMPACT) + 1; /* and a comma */
    if (bytes_left >= 0)
        append(page, item);
    else
        json_decref(item);
    return bytes_left < 0 ? -1 : bytes_left;
}

/* Return: where a page ends at the latest that begins at @first, of @n_used places */
static uint32_t end_of_page(uint32_t first, uint32_t n_used)
{
    return n_used > LOOKED_AT_PER_PAGE && first < n_used - LOOKED_AT_PER_PAGE
               ? first + LOOKED_AT_PER_PAGE
               : n_used;
}

char *report_services(const struct core *core, uint32_t first, size_t bytes_max)
{
    json_t *report = report_begin(), *page = json_array();
    ssize_t bytes_left = (ssize_t)bytes_max - PAGE_FRAME_BYTES;
    uint32_t n_used = core->services.places.n_used, end = end_of_page(first, n_used), i;

    for (i = first; i < end && json_array_size(page) < ITEMS_PER_PAGE; i++) {
        const struct service *service = &core->services.services[i];

        /* not one that is only waited for */
        if (service->name != NULL && (service_is_served(service) || service->queue.n_items > 0))
            bytes_left = page_add(page, report_service(service), bytes_left);
        if (bytes_left < 0)
            break;
    }
    set(report, "next", i < n_used ? json_integer(i) : json_null());
    set(report, "services", page);
    return report_text(report);
}

/* Counts by reason, those that happened only. */
static json_t *by_reason(const uint64_t counts[FIPC_REASON_COUNT])
{
    json_t *object = json_object();

    for (unsigned reason = 0; reason < FIPC_REASON_COUNT; reason++) {
        if (counts[reason] > 0)
            set_number(object, fipc_reason_name(reason), counts[reason]);
    }
    return object;
}

static json_t *report_slot_table(const struct core *core)
{
    const struct slot_table *slots = &core->slots;
    json_t *report = json_object();

    set_number(report, "count", slots->limit);
    set_number(report, "taken", slot_n_taken(slots));
    for (enum slot_state state = SLOT_GREETING; state < SLOT_STATE_COUNT; state++)
        set_number(report, slot_state_name(state), slots->n_by_state[state]);
    set_number(report, "held", slots->n_held);
    set_number(report, "waiting", core->n_waiting);
    set_number(report, "taken_ever", slots->n_taken_ever);
    set(report, "refused", by_reason(slots->n_refused));
    set(report, "closed", by_reason(slots->n_closed));
    return report;
}

static json_t *report_handler_table(const struct handler_table *handlers)
{
    json_t *report = json_object();

    set_number(report, "started", handlers->n_started);
    set_number(report, "live", handlers->n_live);
    set_number(report, "replied", handlers->n_ended[HANDLER_REPLIED]);
    set_number(report, "failed", handlers->n_ended[HANDLER_ERROR]);
    set_number(report, "dropped", handlers->n_ended[HANDLER_DROPPED]);
    return report;
}

static json_t *report_deliveries(const struct delivery_table *deliveries)
{
    json_t *report = json_object();

    set_number(report, "made", deliveries->n_made);
    set_number(report, "late_replies", deliveries->n_late);
    set_number(report, "unknown_replies", deliveries->n_unknown);
    return report;
}

static json_t *report_acts(const struct meter *meter)
{
    json_t *report = json_object();

    for (enum act act = 0; act < ACT_COUNT; act++) {
        const struct meter_count *count = &meter->acts[act];
        json_t *of_kind = json_object();

        set_number(of_kind, "count", count->n);
        set_number(of_kind, "long", count->n_long);
        set_number(of_kind, "max_us", count->max_ns / FIPC_NS_PER_US);
        set(report, act_name(act), of_kind);
    }
    return report;
}

static json_t *report_loop(const struct core *core)
{
    const struct meter_count *turns = &core->meter.turns;
    json_t *report = json_object();

    set_number(report, "turns", turns->n);
    set_number(report, "blocked", core->n_blocked);
    set_number(report, "hot", core->hot.count);
    set_number(report, "long_turns", turns->n_long);
    set_number(report, "turn_max_us", turns->max_ns / FIPC_NS_PER_US);
    set_number(report, "late_max", core->meter.late_max);
    set(report, "acts", report_acts(&core->meter));
    return report;
}

static void set_toll_row(json_t *report, const struct toll_row *row)
{
    set_number(report, "slow", row->n_slow);
    set_number(report, "slow_us", row->slow_cpu_ns / FIPC_NS_PER_US);
    set_number(report, "waits", row->n_waits);
    set_number(report, "unrung", row->n_unrung);
}

static json_t *report_toll(const struct toll *toll)
{
    json_t *report = json_object(), *uids = json_array();

    set_number(report, "usual_us", toll->usual_ns / FIPC_NS_PER_US);
    set_number(report, "usual_futex_us", toll->usual_futex_ns / FIPC_NS_PER_US);
    set_toll_row(report, &toll->total);
    for (unsigned i = 0; i < toll->n_rows; i++) {
        json_t *row = json_object();

        set_number(row, "uid", toll->rows[i].uid);
        set_toll_row(row, &toll->rows[i]);
        append(uids, row);
    }
    set(report, "uids", uids);
    return report;
}

char *report_stats(const struct core *core)
{
    json_t *report = report_begin();

    set_text(report, "version", FIPC_VERSION);
    set_number(report, "pid", (uint64_t)getpid());
    set_number(report, "uptime_ms", (core->now_ns - core->started_ns) / FIPC_NS_PER_MS);
    set(report, "slots", report_slot_table(core));
    set(report, "handlers", report_handler_table(&core->handlers));
    set(report, "deliveries", report_deliveries(&core->deliveries));
    set(report, "loop", report_loop(core));
    set(report, "toll", report_toll(&core->toll));
    return report_text(report);
}

static json_t *report_slot(const struct slot *slot, uint64_t now_ns)
{
    json_t *report = json_object(), *handlers = json_object();

    set_number(report, "slot", slot->index);
    set_number(report, "generation", slot->generation);
    set_text(report, "kind", slot_kind_name(slot));
    set_text(report, "state", slot_state_name(slot->state));
    set_number(report, "uid", slot->peer.uid);
    set_number(report, "gid", slot->peer.gid);
    set_number(report, "pid", (uint64_t)slot->peer.pid);
    set_number(report, "age_ms", (now_ns - slot->taken_ns) / FIPC_NS_PER_MS);
    set_number(report, "calls", slot->calls);
    set_number(report, "serves", slot->n_workers);
    for (enum handler_state state = HANDLER_TAKEN; state <= HANDLER_REPLYING; state++)
        set_number(handlers, handler_state_name(state), slot->n_handlers[state]);
    set(report, "handlers", handlers);
    return report;
}

char *report_slots(const struct core *core, uint32_t first, size_t bytes_max)
{
    json_t *report = report_begin(), *page = json_array();
    uint32_t n_used = core->slots.places.n_used, end = end_of_page(first, n_used), i;
    ssize_t bytes_left = (ssize_t)bytes_max - PAGE_FRAME_BYTES;

    for (i = first; i < end && json_array_size(page) < ITEMS_PER_PAGE; i++) {
        const struct slot *slot = &core->slots.slots[i];

        if (slot->state != SLOT_FREE)
            bytes_left = page_add(page, report_slot(slot, core->now_ns), bytes_left);
        if (bytes_left < 0)
            break;
    }
    set_number(report, "count", core->slots.limit);
    set(report, "next", i < n_used ? json_integer(i) : json_null());
    set(report, "slots", page);
    return report_text(report);
}

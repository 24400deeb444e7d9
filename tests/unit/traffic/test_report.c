/* SPDX-License-Identifier: MIT */
/* Every number of the reports, and the bounds of their pages. */
#include "daemon/traffic/report.h"

#include "common/clock.h"
#include "common/version.h"
#include "daemon/model/queue.h"
#include "daemon/traffic/relay.h"
#include "daemon/traffic/reply.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 16
#define LARGE 1000000

static struct test_client client, worker;

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
    client_open(&worker, TEST_UID);
}

static void tear_down(void)
{
    client_close(&worker);
    client_close(&client);
    core_tear_down();
}

/* Reads a report and frees it. */
static json_t *parsed(char *text)
{
    json_t *report = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    ck_assert_ptr_nonnull(report);
    free(text);
    return report;
}

/* Both are consumed. */
static void expect_equal(json_t *got, json_t *wanted)
{
    char *got_text, *wanted_text;

    ck_assert_ptr_nonnull(wanted);
    got_text = json_dumps(got, JSON_SORT_KEYS);
    wanted_text = json_dumps(wanted, JSON_SORT_KEYS);
    ck_assert_str_eq(got_text, wanted_text);
    free(got_text);
    free(wanted_text);
    json_decref(got);
    json_decref(wanted);
}

/* The one of a page. */
static json_t *item_of(char *text, const char *page)
{
    json_t *report = parsed(text);
    json_t *item = json_incref(json_array_get(json_object_get(report, page), 0));

    ck_assert_uint_eq(json_array_size(json_object_get(report, page)), 1);
    json_decref(report);
    return item;
}

static size_t n_items(char *text, const char *page, int *ret_next)
{
    json_t *report = parsed(text), *next = json_object_get(report, "next");
    size_t count = json_array_size(json_object_get(report, page));

    *ret_next = json_is_null(next) ? -1 : (int)json_integer_value(next);
    json_decref(report);
    return count;
}

/* ---- the totals ---- */

GROUP(stats, .fixtures = {{set_up, tear_down}});

/* Of each outcome some: 1 replied, 2 failed, 3 dropped, 1 live; 2 deliveries. */
static void have_traffic(void)
{
    struct service *service = client_serve(&worker, "service", 2);

    reply_drop(&core, client_call(&client, service, 0, "dropped"));
    (void)client_call(&client, service, 0, "live");
    for (int i = 0; i < 2; i++)
        reply_drop(&core, reply_begin(&core, client.slot, 1, 0));
    for (int i = 0; i < 2; i++)
        reply_error(&core, reply_begin(&core, client.slot, 1, 0), -EIO);
    (void)client_call(&client, service_find(&core.services, "fipc.ping", 9), 0, "");
}

/* Sets the counts of each kind of act to other numbers. Return: what the report says of them */
static json_t *have_acts(void)
{
    json_t *acts = json_object();

    for (enum act act = 0; act < ACT_COUNT; act++) {
        core.meter.acts[act] = (struct meter_count){
            .n = 100 + act, .n_long = act, .max_ns = (20 + act) * FIPC_NS_PER_US + 999};
        json_object_set_new(
            acts, act_name(act),
            json_pack("{s:i, s:i, s:i}", "count", 100 + act, "long", act, "max_us", 20 + act));
    }
    return acts;
}

TEST(stats_tell_every_total)
{
    struct test_client oneshot;
    json_t *acts, *report;
    char *text;

    client_open_oneshot(&oneshot, TEST_STRANGER);
    have_traffic();
    core.n_waiting = 4;
    core.slots.n_held = 5;
    core.slots.n_taken_ever = 50;
    core.slots.n_refused[FIPC_REASON_QUOTA] = 6;
    core.slots.n_refused[FIPC_REASON_VERSION] = 7;
    core.slots.n_closed[FIPC_REASON_IDLE] = 8;
    core.deliveries.n_late = 9;
    core.deliveries.n_unknown = 10;
    core.meter.turns =
        (struct meter_count){.n = UINT32_MAX, .n_long = 14, .max_ns = 450 * FIPC_NS_PER_US};
    core.meter.late_max = 7;
    core.n_blocked = 12;
    core.started_ns = core.now_ns;
    test_advance(1234 * FIPC_NS_PER_MS + FIPC_NS_PER_MS - 1);
    acts = have_acts();

    text = report_stats(&core);
    report = parsed(text);
    (void)json_object_del(report, "toll"); /* below */
    expect_equal(
        report,
        json_pack("{s:s, s:i, s:i,"
                  " s:{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:{s:i, s:i}, s:{s:i}},"
                  " s:{s:i, s:i, s:i, s:i, s:i}, s:{s:i, s:i, s:i}, s:{s:I, s:i, s:i, s:i, s:i, "
                  "s:i, s:o}}",
                  "version", FIPC_VERSION, "pid", (int)getpid(), "uptime_ms", 1234, "slots",
                  "count", 16, "taken", 3, "greeting", 0, "welcomed", 0, "open", 2, "oneshot", 1,
                  "closing", 0, "held", 5, "waiting", 4, "taken_ever", 50, "refused",
                  fipc_reason_name(FIPC_REASON_QUOTA), 6, fipc_reason_name(FIPC_REASON_VERSION), 7,
                  "closed", fipc_reason_name(FIPC_REASON_IDLE), 8, "handlers", "started", 7, "live",
                  1, "replied", 1, "failed", 2, "dropped", 3, "deliveries", "made", 2,
                  "late_replies", 9, "unknown_replies", 10, "loop", "turns", (json_int_t)UINT32_MAX,
                  "blocked", 12, "hot", 2, "long_turns", 14, "turn_max_us", 450, "late_max", 7,
                  "acts", acts));
    client_close(&oneshot);
}

TEST(stats_tell_by_uid_which_system_calls_were_slow)
{
    struct toll_due others;
    json_t *report;

    toll_init(&core.toll, 0, 150 * FIPC_NS_PER_US);
    toll_due_init(&others, 1);
    toll_charge_futex(&core.toll, &others, FIPC_NS_PER_MS, core.now_ns);
    for (int i = 0; i < 20; i++)
        toll_charge(&core.toll, &client.slot->account->toll, 5 * FIPC_NS_PER_MS, core.now_ns);
    (void)toll_allows(&core.toll, &client.slot->account->toll, core.now_ns);
    report = parsed(report_stats(&core));
    expect_equal(json_incref(json_object_get(report, "toll")),
                 json_pack("{s:i, s:i, s:i, s:i, s:i, s:i,"
                           " s:[{s:i, s:i, s:i, s:i, s:i}, {s:i, s:i, s:i, s:i, s:i}]}",
                           "usual_us", 100, "usual_futex_us", 600, "slow", 21, "slow_us", 101000,
                           "waits", 1, "unrung", 0, "uids", "uid", TEST_STRANGER, "slow", 20,
                           "slow_us", 100000, "waits", 1, "unrung", 0, "uid", 1, "slow", 1,
                           "slow_us", 1000, "waits", 0, "unrung", 0));
    json_decref(report);
}

/* ---- slots ---- */

GROUP(slots, .fixtures = {{set_up, tear_down}});

TEST(slot_tells_of_its_client)
{
    struct slot *slot = worker.slot;

    (void)client_serve(&worker, "service", 1);
    slot->calls = 3;
    test_advance(5 * FIPC_NS_PER_MS);
    expect_equal(item_of(report_slots(&core, slot->index, LARGE), "slots"),
                 json_pack("{s:i, s:i, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i,"
                           " s:{s:i, s:i, s:i, s:i}}",
                           "slot", (int)slot->index, "generation", (int)slot->generation, "kind",
                           "session", "state", "open", "uid", TEST_UID, "gid", (int)slot->peer.gid,
                           "pid", (int)slot->peer.pid, "age_ms", 5, "calls", 3, "serves", 1,
                           "handlers", "taken", 0, "routed", 0, "running", 0, "replying", 0));
}

TEST(slot_counts_its_handlers_by_state)
{
    struct service *service = client_serve(&worker, "service", 1);
    json_t *report, *slot;

    for (int i = 0; i < 3; i++)
        (void)client_call(&client, service, 0, "work"); /* 1 running, 2 routed */
    (void)reply_begin(&core, client.slot, 1, 0);
    client_fill(&client);
    for (int i = 0; i < 4; i++)
        (void)client_call(&client, service_find(&core.services, "fipc.ping", 9), 0, "");
    report = parsed(report_slots(&core, client.slot->index, LARGE));
    slot = json_array_get(json_object_get(report, "slots"), 0);
    expect_equal(
        json_incref(json_object_get(slot, "handlers")),
        json_pack("{s:i, s:i, s:i, s:i}", "taken", 1, "routed", 2, "running", 1, "replying", 4));
    ck_assert_int_eq(json_integer_value(json_object_get(slot, "calls")), 8);
    json_decref(report);
}

/* ---- services ---- */

GROUP(services, .fixtures = {{set_up, tear_down}});

/* The services after the built-in ones. */
static json_t *report_first_service(void)
{
    return item_of(report_services(&core, 5, LARGE), "services");
}

TEST(built_in_service_is_the_brokers)
{
    json_t *report = parsed(report_services(&core, 0, LARGE));

    expect_equal(json_incref(json_array_get(json_object_get(report, "services"), 0)),
                 json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:i, s:[i]}", "name", "fipc.delay",
                           "kind", "built-in", "workers", 0, "running", 0, "queued", 0, "path",
                           "relay", "uid", (int)geteuid(), "uids", (int)geteuid()));
    json_decref(report);
}

TEST(service_counts_its_workers_and_requests_and_tells_each_uid_once)
{
    struct test_client same, root;
    struct service *service = client_serve(&worker, "service", 2);

    client_open(&same, TEST_UID);
    client_open(&root, 0);
    (void)client_serve(&same, "service", 1);
    (void)client_serve(&root, "service", 1);
    for (int i = 0; i < 6; i++)
        (void)client_call(&client, service, 0, "work");
    ck_assert_uint_eq(TAILQ_FIRST(&worker.slot->workers)->n_deliveries, 2);
    reply_drop(&core, queue_first(service));
    expect_equal(report_first_service(),
                 json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:i, s:[i, i]}", "name", "service",
                           "kind", "served", "workers", 3, "running", 4, "queued", 1, "path",
                           "relay", "uid", (int)TAILQ_FIRST(&service->workers)->slot->peer.uid,
                           "uids", (int)TAILQ_FIRST(&service->workers)->slot->peer.uid,
                           TAILQ_FIRST(&service->workers)->slot->peer.uid == 0 ? TEST_UID : 0));
    client_close(&same);
    client_close(&root);
}

TEST(service_that_is_only_waited_for_is_not_listed_but_a_queue_is)
{
    struct service *waited = client_wish_for(&client, "waited"), *queued;
    struct handler *wait = reply_begin(&core, client.slot, 1, 0);

    wait->is_wait = true;
    reply_set_state(&core, wait, HANDLER_ROUTED);
    relay_wait(&core, wait, waited);
    queued = client_wish_for(&client, "queued");
    (void)client_call(&client, queued, FIPC_REQUEST_WAIT_SERVICE, "work");
    expect_equal(report_first_service(),
                 json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:n, s:[]}", "name", "queued", "kind",
                           "served", "workers", 0, "running", 0, "queued", 1, "path", "relay",
                           "uid", "uids"));
}

/* ---- pages ---- */

GROUP(pages, .fixtures = {{set_up, tear_down}});

/* Serves names until there are @count services with the built-in ones. */
static void have_services(int count)
{
    for (int i = (int)core.services.places.n_used; i < count; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "name%d", i);
        (void)client_serve(&worker, name, 1);
    }
}

static const struct {
    int n_services;
    uint32_t first;
    size_t count;
    int next; /* -1: null */
} pages[] = {
    {5, 0, 5, -1},   {5, 4, 1, -1},    {5, 5, 0, -1},   {5, UINT32_MAX, 0, -1},
    {16, 0, 16, -1}, {17, 0, 16, 16},  {17, 1, 16, -1}, {17, 16, 1, -1},
    {40, 0, 16, 16}, {40, 16, 16, 32}, {40, 32, 8, -1},
};

LOOP_TEST(page_has_so_many_items_and_tells_the_next, COUNT_OF(pages))
{
    int next;

    have_services(pages[_i].n_services);
    ck_assert_uint_eq(n_items(report_services(&core, pages[_i].first, LARGE), "services", &next),
                      pages[_i].count);
    ck_assert_int_eq(next, pages[_i].next);
}

/* Of either kind; @count: how many there are. */
static void expect_bounded(char *(*report)(const struct core *core, uint32_t first,
                                           size_t bytes_max),
                           const char *page, size_t count)
{
    size_t most = 0;

    for (size_t bytes_max = 64; bytes_max < 4096; bytes_max += 5) {
        char *text = report(&core, 0, bytes_max);
        size_t bytes = strlen(text), n;
        int next;

        if (bytes > bytes_max)
            ck_abort_msg("%zu bytes where %zu are the most", bytes, bytes_max);
        n = n_items(text, page, &next);
        if (n < most || next != (n == count ? -1 : (int)n))
            ck_abort_msg("%zu items, next is %d", n, next);
        most = n;
    }
    ck_assert_uint_eq(most, count);
}

TEST(page_of_services_is_as_large_as_the_caller_can_take)
{
    have_services(PAGE);
    expect_bounded(report_services, "services", PAGE);
}

TEST(page_of_slots_is_as_large_as_the_caller_can_take)
{
    struct test_client more[10];

    for (int i = 0; i < 10; i++)
        client_open(&more[i], TEST_STRANGER);
    expect_bounded(report_slots, "slots", 12);
    for (int i = 0; i < 10; i++)
        client_close(&more[i]);
}

static const size_t too_small[] = {0, 1, 63};

LOOP_TEST(page_without_room_is_empty, COUNT_OF(too_small))
{
    int next;

    ck_assert_uint_eq(n_items(report_slots(&core, 0, too_small[_i]), "slots", &next), 0);
    ck_assert_int_eq(next, 0);
}

/* ---- many slots ---- */

#define MANY 20000
#define LOOK 2048 /* slots that are looked at for one page */

static const uint32_t kept[] = {LOOK - 1, LOOK, MANY - 1};

static void free_slot(uint32_t index)
{
    struct slot *slot = &core.slots.slots[index];

    slot_set_state(&core.slots, slot, SLOT_CLOSING);
    slot_free(&core.slots, slot);
}

static bool is_kept(uint32_t index)
{
    return index == kept[0] || index == kept[1] || index == kept[2];
}

static void set_up_many(void)
{
    const struct fipc_identity peer = {.uid = TEST_STRANGER};

    core_set_up();
    slot_table_deinit(&core.slots);
    ck_assert_int_eq(slot_table_init(&core.slots, MANY, MANY), 0);
    for (int i = 0; i < MANY; i++)
        (void)slot_take(&core.slots, -1, &peer, core.now_ns);
    for (uint32_t i = 0; i < MANY; i++)
        if (!is_kept(i))
            free_slot(i);
}

static void tear_down_many(void)
{
    for (int i = 0; i < COUNT_OF(kept); i++)
        free_slot(kept[i]);
    core_tear_down();
}

GROUP(many_slots, .fixtures = {{set_up_many, tear_down_many}});

static const struct {
    uint32_t first;
    size_t count;
    int next;
} looks[] = {
    {0, 1, LOOK},
    {LOOK, 1, 2 * LOOK},
    {2 * LOOK, 0, 3 * LOOK},
    {MANY - LOOK - 1, 0, MANY - 1},
    {MANY - LOOK, 1, -1},
    {MANY - 1, 1, -1},
    {MANY, 0, -1},
    {UINT32_MAX, 0, -1},
};

LOOP_TEST(page_looks_at_so_many_slots, COUNT_OF(looks))
{
    int next;

    ck_assert_uint_eq(n_items(report_slots(&core, looks[_i].first, LARGE), "slots", &next),
                      looks[_i].count);
    ck_assert_int_eq(next, looks[_i].next);
}

/* SPDX-License-Identifier: MIT */
/* The services of the broker itself, and what they take as arguments. */
#include "daemon/traffic/builtin.h"

#include "common/clock.h"
#include "daemon/traffic/relay.h"
#include "daemon/traffic/reply.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static struct test_client client;

static void set_up(void)
{
    core_set_up();
    client_open(&client, TEST_STRANGER);
}

static void tear_down(void)
{
    client_close(&client);
    core_tear_down();
}

static struct handler *call(const char *name, const void *payload, size_t size,
                            uint64_t remaining_ns)
{
    struct handler *handler = reply_begin(&core, client.slot, ++client.last_id, remaining_ns);
    struct service *service = service_find(&core.services, name, strlen(name));

    ck_assert_ptr_nonnull(service);
    core.is_slice_over = false;
    relay_route(&core, handler, service, payload, size);
    return handler;
}

GROUP(echo_and_ping, .fixtures = {{set_up, tear_down}});

static const size_t sizes[] = {0, 1, 1000, TEST_RING_BYTES / 2 - sizeof(struct fipc_header)};

LOOP_TEST(echo_replies_the_request, COUNT_OF(sizes))
{
    unsigned char payload[TEST_RING_BYTES / 2];

    memset(payload, 0xa5, sizeof(payload));
    (void)call("fipc.echo", payload, sizes[_i], 0);
    client_expect_reply(&client, 1, 0);
    ck_assert_uint_eq(client.size, sizes[_i]);
    ck_assert_mem_eq(client.payload, payload, sizes[_i]);
    ck_assert(!core.is_slice_over);
}

TEST(echo_of_more_than_the_caller_can_take_is_an_error)
{
    static const unsigned char payload[TEST_RING_BYTES];

    (void)call("fipc.echo", payload, sizeof(payload), 0);
    client_expect_reply(&client, 1, -EMSGSIZE);
}

LOOP_TEST(ping_replies_nothing, COUNT_OF(sizes))
{
    static const unsigned char payload[TEST_RING_BYTES / 2];

    (void)call("fipc.ping", payload, sizes[_i], 0);
    client_expect_reply(&client, 1, 0);
    ck_assert_uint_eq(client.size, 0);
}

/* ---- delay ---- */

GROUP(delay, .fixtures = {{set_up, tear_down}});

static const char *const no_numbers[] = {
    "", "x", "1x", "x1", " 1", "1 ", "-1", "+1", "1.0", "0x1", "1000000000",
};

LOOP_TEST(delay_of_no_number_is_an_error, COUNT_OF(no_numbers))
{
    (void)call("fipc.delay", no_numbers[_i], strlen(no_numbers[_i]), 0);
    client_expect_reply(&client, 1, -EINVAL);
    ck_assert_uint_eq(client.header.flags, 0);
}

static const struct {
    const char *text;
    uint64_t remaining_ns, after_ns;
    int status;
} delays[] = {
    {"0", 0, 0, 0},
    {"1", 0, FIPC_NS_PER_MS, 0},
    {"000000250", 0, 250 * FIPC_NS_PER_MS, 0},
    {"250", 250 * FIPC_NS_PER_MS + 1, 250 * FIPC_NS_PER_MS, 0},
    {"250", 250 * FIPC_NS_PER_MS, 250 * FIPC_NS_PER_MS, -ETIMEDOUT},
    {"250", 1, 1, -ETIMEDOUT},
    {"999999999", 0, 30000 * FIPC_NS_PER_MS, -ETIMEDOUT}, /* handler_ms */
};

LOOP_TEST(delay_replies_when_its_time_is_over, COUNT_OF(delays))
{
    (void)call("fipc.delay", delays[_i].text, strlen(delays[_i].text), delays[_i].remaining_ns);
    if (delays[_i].after_ns > 0)
        test_advance(delays[_i].after_ns - 1);
    ck_assert(!client_take(&client));
    test_advance(delays[_i].after_ns > 0);
    client_expect_reply(&client, 1, delays[_i].status);
    ck_assert_uint_eq(client.size, 0);
}

TEST(delay_that_is_looked_at_late_is_too_late)
{
    (void)call("fipc.delay", "1", 1, 2 * FIPC_NS_PER_MS);
    test_advance(2 * FIPC_NS_PER_MS);
    client_expect_reply(&client, 1, -ETIMEDOUT);
}

/* The round in which the request is taken may have begun long before. */
TEST(delay_begins_when_its_request_is_served)
{
    test_now_ns += FIPC_NS_PER_MS / 2; /* core.now_ns is behind */
    (void)call("fipc.delay", "1", 1, 0);
    test_advance(FIPC_NS_PER_MS - 1);
    ck_assert(!client_take(&client));
    test_advance(1);
    client_expect_reply(&client, 1, 0);
}

TEST(delay_that_is_cancelled_is_over)
{
    reply_drop(&core, call("fipc.delay", "1", 1, 0));
    test_advance(FIPC_NS_PER_S);
    ck_assert(!client_take(&client));
}

/* ---- reports ---- */

GROUP(reports, .fixtures = {{set_up, tear_down}});

static const struct {
    const char *service, *argument;
    const char *has; /* a key of the report; NULL: -EINVAL */
} questions[] = {
    {"fipc.list", "", "services"},
    {"fipc.list", "0", "services"},
    {"fipc.list", "999999999", "services"},
    {"fipc.list", "1000000000", NULL},
    {"fipc.list", "x", NULL},
    {"fipc.stats", "", "handlers"},
    {"fipc.stats", "slots 0", "slots"},
    {"fipc.stats", "slots 999999999", "slots"},
    {"fipc.stats", "slots 1000000000", NULL},
    {"fipc.stats", "slots", NULL},
    {"fipc.stats", "slots ", NULL},
    {"fipc.stats", "slots x", NULL},
    {"fipc.stats", "slots  1", NULL},
    {"fipc.stats", "Slots 1", NULL},
    {"fipc.stats", "0", NULL},
    {"fipc.stats", "slots 00000000000000000000000001", NULL},  /* 32 bytes */
    {"fipc.stats", "slots 000000000000000000000000001", NULL}, /* 33 */
};

LOOP_TEST(report_is_about_what_was_asked, COUNT_OF(questions))
{
    const char *argument = questions[_i].argument;
    json_t *report;

    (void)call(questions[_i].service, argument, strlen(argument), 0);
    client_expect_reply(&client, 1, questions[_i].has != NULL ? 0 : -EINVAL);
    ck_assert_int_eq(core.is_slice_over, questions[_i].has != NULL);
    if (questions[_i].has == NULL)
        return;
    report = json_loadb((const char *)client.payload, client.size, 0, NULL);
    ck_assert_ptr_nonnull(json_object_get(report, questions[_i].has));
    json_decref(report);
}

/* The first service of a page from number N on. */
static const struct {
    const char *from, *first;
} pages[] = {{"", "fipc.delay"}, {"0", "fipc.delay"}, {"1", "fipc.echo"}, {"4", "fipc.stats"}};

LOOP_TEST(list_begins_where_it_was_asked_to, COUNT_OF(pages))
{
    json_t *report, *first;

    (void)call("fipc.list", pages[_i].from, strlen(pages[_i].from), 0);
    client_expect_reply(&client, 1, 0);
    report = json_loadb((const char *)client.payload, client.size, 0, NULL);
    first = json_array_get(json_object_get(report, "services"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(first, "name")), pages[_i].first);
    json_decref(report);
}

/* ---- what reports cost ---- */

GROUP(budget, .timeout = 30, .fixtures = {{set_up, tear_down}});

#define SAVED 200   /* pages that an account may ask for at once */
#define WAITING 400 /* and that may wait besides */
#define PAGE_NS (5 * FIPC_NS_PER_MS)

/* Return: how many replies there are, all of which are reports */
static int take_reports(void)
{
    int count = 0;

    for (; client_take(&client); count++)
        ck_assert_int_eq(client.header.status, 0);
    return count;
}

static int ask_for_saved(void)
{
    int count = 0;

    for (int i = 0; i < SAVED; i++) {
        (void)call("fipc.list", "9999", 4, 0);
        count += take_reports();
    }
    return count;
}

TEST(account_has_a_fiftieth_of_the_time_for_reports)
{
    ck_assert_int_eq(ask_for_saved(), SAVED);
    for (int i = 0; i < 10; i++)
        (void)call("fipc.stats", "slots 9999", 10, 0);
    ck_assert_int_eq(take_reports(), 1); /* it begins while anything is saved */
    for (int i = 1; i < 10; i++) {
        test_advance(PAGE_NS - 1);
        ck_assert_int_eq(take_reports(), 0);
        test_advance(1);
        ck_assert_int_eq(take_reports(), 1);
    }
    test_advance(SAVED * PAGE_NS + PAGE_NS);
    ck_assert_int_eq(ask_for_saved(), SAVED);
}

TEST(another_account_does_not_wait_for_that)
{
    struct test_client other;

    ck_assert_int_eq(ask_for_saved(), SAVED);
    (void)call("fipc.list", "9999", 4, 0);
    (void)call("fipc.list", "9999", 4, 0);
    client_open(&other, TEST_STRANGER + 1);
    relay_route(&core, reply_begin(&core, other.slot, 7, 0),
                service_find(&core.services, "fipc.list", 9), NULL, 0);
    client_expect_reply(&other, 7, 0);
    client_close(&other);
}

TEST(no_more_reports_wait_than_have_their_turn_soon)
{
    ck_assert_int_eq(ask_for_saved(), SAVED);
    for (int i = 0; i < WAITING; i++)
        (void)call("fipc.list", NULL, 0, 0);
    (void)take_reports();
    (void)call("fipc.list", NULL, 0, 0);
    client_expect_reply(&client, client.last_id, -EAGAIN);
}

TEST(report_whose_call_is_over_first_is_not_made)
{
    uint64_t n_reports;

    ck_assert_int_eq(ask_for_saved(), SAVED);
    (void)call("fipc.list", "9999", 4, 0);
    (void)call("fipc.list", "9999", 4, PAGE_NS / 2);
    (void)take_reports();
    n_reports = core.meter.acts[ACT_REPORT].n;
    test_advance(PAGE_NS / 2);
    client_expect_reply(&client, client.last_id, -ETIMEDOUT);
    ck_assert_uint_eq(core.meter.acts[ACT_REPORT].n, n_reports);
}

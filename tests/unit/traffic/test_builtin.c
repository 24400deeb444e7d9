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

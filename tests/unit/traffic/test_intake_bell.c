/* SPDX-License-Identifier: MIT */
/* When a client is rung for, and what that costs it. */
#include "daemon/traffic/intake.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

static struct test_client client;
static struct service *ping;

static void look_at_slot(void *context, struct deadline *deadline)
{
    (void)context;
    (void)deadline;
}

static void set_up(void)
{
    core_set_up();
    core.slot_over = look_at_slot;
    client_open(&client, TEST_STRANGER);
    ping = service_find(&core.services, "fipc.ping", 9);
}

static void tear_down(void)
{
    client_close(&client);
    core_tear_down();
}

static unsigned serve(void) { return intake_serve(&core, client.slot, FIPC_NEVER); }

static bool has_work(void) { return intake_has_work(&core, client.slot); }

static void send_pings(int count)
{
    for (int i = 0; i < count; i++)
        (void)client_request(&client, service_target(ping), 0, NULL, 0);
}

static void send_cancel(void)
{
    client_send(&client, &(struct fipc_header){.kind = FIPC_KIND_CANCEL, .id = 1}, NULL, 0);
}

/* ---- the bell ---- */

GROUP(bell, .fixtures = {{set_up, tear_down}});

/* Whether the client's lane was rung. */
static bool was_rung(void)
{
    char byte;

    return recv(client.lane_fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0;
}

static const struct {
    uint32_t word; /* how the client sleeps */
    bool sends_ping, sends_cancel;
    bool is_rung, stays_asleep;
} bells[] = {
    {FIPC_END_AWAKE, true, false, false, false},
    {FIPC_END_ASLEEP_FD, true, false, true, false},
    {FIPC_END_ASLEEP_FD, false, false, false, true},
    {FIPC_END_ASLEEP_FD, false, true, false, true}, /* room, which it does not wait for */
    {FIPC_END_ASLEEP_FD | FIPC_END_ROOM, false, true, true, false},
    {FIPC_END_ASLEEP_FUTEX, true, false, false, false},
};

LOOP_TEST(client_is_rung_for_what_it_waits_for, COUNT_OF(bells))
{
    fipc_end_arm(client.channel.own, bells[_i].word);
    if (bells[_i].sends_cancel)
        send_cancel();
    if (bells[_i].sends_ping)
        send_pings(3);
    (void)serve();
    ck_assert_int_eq(was_rung(), bells[_i].is_rung);
    ck_assert(!was_rung()); /* once */
    ck_assert_int_eq(atomic_load(&client.channel.own->word) != FIPC_END_AWAKE,
                     bells[_i].stays_asleep);
    ck_assert_uint_eq(client.slot->news, FIPC_NEWS_NONE);
    ck_assert(!has_work());
}

TEST(news_from_others_are_work)
{
    (void)client_call(&client, ping, 0, "");
    ck_assert(has_work());
    fipc_end_arm(client.channel.own, FIPC_END_ASLEEP_FD);
    ck_assert_uint_eq(serve(), 0);
    ck_assert(was_rung());
    ck_assert(!has_work());
}

TEST(bell_that_is_due_rings_though_the_client_seems_awake)
{
    client.slot->is_bell_due = true; /* its sleep was claimed */
    ck_assert(has_work());
    ck_assert_uint_eq(serve(), 0);
    ck_assert(was_rung());
    ck_assert(!client.slot->is_bell_due);
    ck_assert(!has_work());
}

TEST(client_with_an_undefined_end_word_ends)
{
    atomic_store(&client.channel.own->word, 77);
    send_pings(1);
    (void)serve();
    ck_assert_int_eq((int)client.slot->end_reason, FIPC_REASON_CORRUPT_END);
}

TEST(client_that_hung_up_ends_when_it_is_rung_for)
{
    client.lane_fd = fd_close(client.lane_fd);
    send_pings(1);
    (void)serve();
    ck_assert(!client.slot->is_ending); /* awake: it is not rung for */
    fipc_end_arm(client.channel.own, FIPC_END_ASLEEP_FD);
    send_pings(1);
    (void)serve();
    ck_assert(client.slot->is_ending);
    ck_assert_int_eq((int)client.slot->end_reason, FIPC_REASON_GONE);
}

/* ---- what the bell costs ---- */

static uint64_t ring_ns; /* CPU time of each look: of what is between two of them */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    static uint64_t cpu_ns;

    if (clock != CLOCK_THREAD_CPUTIME_ID)
        return __real_clock_gettime(clock, now);
    cpu_ns += ring_ns;
    *now = (struct timespec){.tv_sec = (time_t)(cpu_ns / FIPC_NS_PER_S),
                             .tv_nsec = (long)(cpu_ns % FIPC_NS_PER_S)};
    return 0;
}

GROUP(costs, .fixtures = {{set_up, tear_down}});

static void ping_and_ring(uint32_t word)
{
    fipc_end_arm(client.channel.own, word);
    send_pings(1);
    (void)serve();
}

static const struct {
    uint64_t ns;
    uint32_t word;
    bool is_due, rests;
} rings[] = {
    {0, FIPC_END_ASLEEP_FD, false, false},
    {20 * FIPC_NS_PER_US, FIPC_END_ASLEEP_FD, false, false}, /* what a ring costs */
    {21 * FIPC_NS_PER_US, FIPC_END_ASLEEP_FD, true, false},
    {5 * FIPC_NS_PER_MS, FIPC_END_ASLEEP_FD, true, true},
    {5 * FIPC_NS_PER_MS, FIPC_END_AWAKE, false, false}, /* no system call: it is not measured */
};

LOOP_TEST(costly_wake_up_is_charged_to_the_uid_and_its_client_rests, COUNT_OF(rings))
{
    struct slot *slot = client.slot;

    ring_ns = rings[_i].ns;
    ping_and_ring(rings[_i].word);
    client_expect_reply(&client, 1, 0);
    ck_assert_int_eq(slot->account->wake_cost.due.spent > 0, rings[_i].is_due);
    ck_assert_int_eq(slot->rest_until_ns > core.now_ns, rings[_i].rests);
    ck_assert_int_eq(deadline_is_set(&slot->deadline), rings[_i].rests);
    ck_assert(!slot->is_ending);
}

TEST(client_that_is_costly_for_a_whole_handler_ms_ends)
{
    const uint64_t longest_ns = core.config->timeouts.handler_ms * FIPC_NS_PER_MS;
    uint64_t since_ns = core.now_ns;

    ring_ns = 500 * FIPC_NS_PER_US;
    while (!client.slot->is_ending) {
        ping_and_ring(FIPC_END_ASLEEP_FD);
        while (client_take(&client))
            ;
        if (client.slot->rest_until_ns > core.now_ns)
            test_advance(client.slot->rest_until_ns - core.now_ns);
        test_advance(FIPC_NS_PER_MS);
        if (core.now_ns - since_ns > longest_ns + 3 * FIPC_NS_PER_S)
            ck_abort_msg("it is still there");
    }
    ck_assert_int_eq((int)client.slot->end_reason, FIPC_REASON_TOO_SLOW);
    ck_assert_uint_ge(core.now_ns - since_ns, longest_ns);
}

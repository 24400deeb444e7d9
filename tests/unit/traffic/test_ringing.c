/* SPDX-License-Identifier: MIT */
/* When a client is rung for, and what that costs it. */
#include "daemon/traffic/ringing.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/traffic/intake.h"
#include "tests/unit/traffic/traffic_fixture.h"

#include <stdatomic.h>
#include <sys/socket.h>

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

GROUP(costs, .fixtures = {{set_up, tear_down}});

static void ping_and_ring(uint32_t word)
{
    fipc_end_arm(client.channel.own, word);
    send_pings(1);
    (void)serve();
}

/* As often as it can be by chance. */
static void be_slow_by_chance(void)
{
    for (int i = 0; i < 3; i++) {
        test_ring_ns = core.toll.usual_ns + 1;
        ping_and_ring(FIPC_END_ASLEEP_FD);
        ck_assert(was_rung());
    }
    while (client_take(&client))
        ;
}

static const struct {
    uint64_t ns;
    uint32_t word;
    bool is_due, waits;
} rings[] = {
    {0, FIPC_END_ASLEEP_FD, false, false},
    {100 * FIPC_NS_PER_US, FIPC_END_ASLEEP_FD, false, false}, /* what a ring costs */
    {200 * FIPC_NS_PER_US, FIPC_END_ASLEEP_FD, true, false},
    {5 * FIPC_NS_PER_MS, FIPC_END_ASLEEP_FD, true, true},
    {5 * FIPC_NS_PER_MS, FIPC_END_AWAKE, false, false}, /* no system call: it is not measured */
    {5 * FIPC_NS_PER_MS, FIPC_END_ASLEEP_FUTEX, false, false}, /* third parties can cause that */
};

LOOP_TEST(slow_ring_is_charged_to_the_uid, COUNT_OF(rings))
{
    struct slot *slot = client.slot;
    uint64_t owed;

    be_slow_by_chance();
    owed = slot->account->toll.due.spent;
    test_ring_ns = rings[_i].ns;
    ping_and_ring(rings[_i].word);
    ck_assert_int_eq(slot->account->toll.due.spent > owed, rings[_i].is_due);
    ck_assert_int_eq(!toll_allows(&core.toll, &slot->account->toll, core.now_ns), rings[_i].waits);
    ck_assert(!slot->is_ending);
}

/* The records come all the same, and a client that is awake notices nothing. */
TEST(bell_of_a_uid_in_debt_waits_until_that_is_paid)
{
    struct slot *slot = client.slot;

    be_slow_by_chance();
    test_ring_ns = 5 * FIPC_NS_PER_MS;
    ping_and_ring(FIPC_END_ASLEEP_FD);
    ck_assert(client_take(&client));
    ck_assert(was_rung());
    ping_and_ring(FIPC_END_ASLEEP_FD);
    ck_assert(client_take(&client));
    ck_assert(!was_rung());
    ck_assert(!has_work());
    ck_assert(deadline_is_set(&slot->deadline));
    ping_and_ring(FIPC_END_AWAKE);
    ck_assert(client_take(&client));
    test_advance(slot->bell_after_ns - core.now_ns);
    ck_assert(has_work());
    ck_assert_uint_eq(serve(), 0);
    ck_assert(was_rung());
    ck_assert(!has_work());
}

/* Its word says that it was rung for: it finds the record when it looks by itself. */
TEST(futex_that_is_too_slow_is_left_alone)
{
    test_ring_ns = 5 * FIPC_NS_PER_MS;
    for (int i = 0; i < 10; i++)
        ping_and_ring(FIPC_END_ASLEEP_FUTEX);
    ck_assert_uint_eq(core.toll.total.n_slow + core.toll.total.n_unrung, 10);
    ck_assert_uint_le(core.toll.total.n_slow, 3);
    ck_assert_uint_eq(atomic_load(&client.channel.own->word), FIPC_END_AWAKE);
    ck_assert(!has_work());
    test_ring_ns = 200 * FIPC_NS_PER_US; /* and its lane is rung as ever */
    ping_and_ring(FIPC_END_ASLEEP_FD);
    ck_assert(was_rung());
}

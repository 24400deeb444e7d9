/* SPDX-License-Identifier: MIT */
/* Waiting for a record: the events that end it, and the end word meanwhile. */
#include "client/link/incoming.h"

#include "client/link/outgoing.h"
#include "common/clock.h"
#include "tests/unit/link/played_link.h"

#include <errno.h>
#include <sched.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct played_link link_;
static struct fipc_connection *connection;
static struct fipc_baton baton;
static struct fipc_waiter waiter;

static int no_step(void *arg, uint64_t deadline_ns)
{
    (void)arg, (void)deadline_ns;
    return 0;
}

static void nothing(void *arg) { (void)arg; }

static void make_link(void)
{
    played_link_make(&link_);
    connection = link_.connection;
    fipc_baton_init(&baton, &lock, 0, no_step, nothing, NULL);
    (void)pthread_mutex_lock(&lock);
}

static void drop_link(void)
{
    (void)pthread_mutex_unlock(&lock);
    fipc_connection_release(connection, &connection->n_users);
    played_link_drop(&link_);
}

static int wait_for(uint64_t span_ns)
{
    int r = fipc_incoming_wait(connection, &baton, fipc_now_ns() + span_ns);

    ck_assert_ptr_null(baton.asleep_on);
    ck_assert(!baton.asleep_for_room);
    ck_assert_uint_eq(atomic_load(&connection->channel.own->word), FIPC_END_AWAKE);
    ck_assert_int_eq(pthread_mutex_trylock(&lock), EBUSY); /* held again */
    return r;
}

static void send_reply(void)
{
    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY}, NULL, 0);
}

GROUP(waits, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

TEST(a_deadline_that_has_passed_ends_it_at_once)
{
    ck_assert_int_eq(fipc_incoming_wait(connection, &baton, 1), -ETIMEDOUT);
}

TEST(a_record_that_is_there_ends_it_and_stays_there)
{
    send_reply();
    ck_assert_int_eq(wait_for(FIPC_NS_PER_S), 0);
    ck_assert(fipc_consumer_has_news(&connection->channel.in));
}

static void *send_when_asleep(void *arg)
{
    (void)arg;
    while (!fipc_end_seems_asleep(link_.broker.peer))
        (void)sched_yield();         /* until then; the case has a deadline */
    (void)pthread_mutex_lock(&lock); /* free while it sleeps */
    ck_assert_ptr_eq(baton.asleep_on, connection->channel.own);
    (void)pthread_mutex_unlock(&lock);
    send_reply();
    return NULL;
}

TEST(a_record_wakes_the_sleeper)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, send_when_asleep, NULL), 0);
    while (!fipc_consumer_has_news(&connection->channel.in))
        ck_assert_int_eq(wait_for(FIPC_NS_PER_S), 0); /* a slice may end before */
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

TEST(a_broker_that_hung_up_is_found_after_a_slice)
{
    uint64_t started_ns = fipc_now_ns();

    connection->heard_ns = started_ns;
    played_hang_up(&link_);
    ck_assert_int_eq(wait_for(10 * FIPC_NS_PER_S), -ECONNRESET);
    ck_assert_uint_ge(fipc_now_ns() - started_ns, 50 * FIPC_NS_PER_MS);
}

TEST(a_slice_without_news_ends_it_without_an_error)
{
    connection->heard_ns = fipc_now_ns() - 49 * FIPC_NS_PER_MS;
    ck_assert_int_eq(wait_for(10 * FIPC_NS_PER_S), 0);
}

TEST(a_spinner_sees_that_the_session_let_go)
{
    fipc_baton_init(&baton, &lock, 10 * FIPC_NS_PER_US, no_step, nothing, NULL);
    connection->is_over = true;
    ck_assert_int_eq(wait_for(10 * FIPC_NS_PER_S), 0);
}

/* ---- room ---- */

static bool flag_is_set(void *flag) { return *(bool *)flag; }

static const struct {
    bool is_stuck;     /* the session has a record that found no room */
    bool has_room;     /* for it */
    bool waits;        /* a thread wants room */
    bool is_ready;     /* and could have it */
    bool ends_at_once; /* the second look finds room */
} rooms[] = {
    {false, false, false, false, false}, {true, false, false, false, false},
    {true, true, false, false, true},    {false, false, true, false, false},
    {false, false, true, true, true},
};

LOOP_TEST(the_second_look_looks_for_room_and_changes_nothing, COUNT_OF(rooms))
{
    struct fipc_question question = {.header.kind = FIPC_KIND_CANCEL};
    bool is_ready = rooms[_i].is_ready;
    uint64_t started_ns;

    if (!rooms[_i].has_room)
        (void)played_fill(&link_, 0);
    connection->stuck_kind = question.header.kind;
    connection->is_stuck = rooms[_i].is_stuck;
    waiter = (struct fipc_waiter){.ready = flag_is_set, .arg = &is_ready, .wants_room = true};
    if (rooms[_i].waits) {
        TAILQ_INSERT_TAIL(&baton.waiters, &waiter, entry);
        baton.n_want_room = 1;
    }
    connection->heard_ns = started_ns = fipc_now_ns();
    ck_assert_int_eq(wait_for(10 * FIPC_NS_PER_S), 0);
    ck_assert_int_eq(fipc_now_ns() - started_ns < 40 * FIPC_NS_PER_MS, rooms[_i].ends_at_once);
    ck_assert_uint_eq(baton.n_want_room, rooms[_i].waits); /* the step lets it go, not the look */
    ck_assert_int_eq(connection->is_stuck, rooms[_i].is_stuck);
}

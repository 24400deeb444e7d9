/* SPDX-License-Identifier: MIT */
/* Waiting for a record: the events that end it, and the end word meanwhile. */
#include "client/link/incoming.h"

#include "client/link/outgoing.h"
#include "common/clock.h"
#include "common/lane.h"
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
    fipc_baton_deinit(&baton);
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

static void played_take_all(void)
{
    struct fipc_header header;
    const void *payload;

    while (fipc_consumer_take(&connection->channel.in, &header, &payload) == 0)
        fipc_consumer_release(&connection->channel.in);
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

/* ---- asleep ---- */

static void *send_when_on_lane(void *arg)
{
    bool is_on_lane = false;

    while (!is_on_lane) {
        (void)sched_yield(); /* until then; the case has a deadline */
        is_on_lane = (atomic_load(&link_.broker.peer->word) & ~FIPC_END_ROOM) == FIPC_END_ASLEEP_FD;
    }
    if (arg == NULL)
        send_reply();
    else if (arg == &link_)
        played_hang_up(&link_);
    else {
        (void)pthread_mutex_lock(&lock);
        fipc_baton_kick(&baton);
        (void)pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Wakes the one wait that follows: it lasts until then. */
static int wait_until_woken(void *by)
{
    pthread_t thread;
    int r;

    ck_assert_int_eq(pthread_create(&thread, NULL, send_when_on_lane, by), 0);
    r = fipc_incoming_wait(connection, &baton, FIPC_NEVER);
    (void)pthread_mutex_unlock(&lock);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)pthread_mutex_lock(&lock);
    return r;
}

TEST(a_sleeper_without_news_sleeps_on_the_lane_without_an_end)
{
    ck_assert_int_eq(wait_until_woken(NULL), 0);
    ck_assert(fipc_consumer_has_news(&connection->channel.in));
    ck_assert_int_eq(recv(connection->lane_fd, &(char){0}, 1, MSG_DONTWAIT),
                     -1); /* it took the byte */
}

TEST(a_broker_that_hangs_up_wakes_the_sleeper)
{
    ck_assert_int_eq(wait_until_woken(&link_), -ECONNRESET);
}

TEST(a_kick_wakes_the_sleeper_once)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(wait_until_woken(&baton), 0);
    ck_assert_int_eq(wait_for(20 * FIPC_NS_PER_MS), 0);
    ck_assert_int_eq(fipc_incoming_wait(connection, &baton, 1), -ETIMEDOUT);
}

TEST(a_deadline_ends_the_sleep_without_an_error)
{
    uint64_t started_ns = fipc_now_ns();

    ck_assert_int_eq(wait_for(30 * FIPC_NS_PER_MS), 0);
    ck_assert_uint_ge(fipc_now_ns() - started_ns, 30 * FIPC_NS_PER_MS);
}

/* Claims the sleep, publishes, and leaves the futex alone. */
static void *publish_without_a_bell(void *arg)
{
    const struct fipc_header header = {.kind = FIPC_KIND_REPLY};

    (void)arg;
    while (fipc_end_rouse(link_.broker.peer, FIPC_NEWS_RECORDS) != FIPC_END_ASLEEP_FUTEX)
        (void)sched_yield();
    EXPECT(fipc_producer_send(&link_.broker.out, &header, NULL, 0) == 0);
    return NULL;
}

static int wait_without_a_bell(void)
{
    pthread_t thread;
    int r;

    ck_assert_int_eq(pthread_create(&thread, NULL, publish_without_a_bell, NULL), 0);
    do { /* in sleeps that are too short for the lane */
        connection->quiet_since_ns = 0;
        r = fipc_incoming_wait(connection, &baton, fipc_now_ns() + FIPC_END_FUTEX_NS);
    } while (!fipc_consumer_has_news(&connection->channel.in));
    (void)pthread_mutex_unlock(&lock);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)pthread_mutex_lock(&lock);
    return r;
}

/* A claim that comes before it is asleep is noticed at once, and no reason to avoid the futex. */
static void wait_until_noticed(void)
{
    uint64_t until_ns = connection->no_futex_until_ns;

    do {
        played_take_all();
        ck_assert_int_eq(wait_without_a_bell(), 0);
    } while (connection->no_futex_until_ns == until_ns);
}

TEST(a_futex_that_is_left_alone_is_noticed_and_not_used_for_a_while)
{
    wait_until_noticed();
    ck_assert(fipc_consumer_has_news(&connection->channel.in));
    ck_assert_uint_gt(connection->no_futex_until_ns, 0);
    ck_assert_uint_eq(connection->no_futex_ns, FIPC_NS_PER_S);
    /* again, soon after that time */
    connection->no_futex_until_ns = fipc_now_ns();
    connection->no_futex_ns = 64 * FIPC_NS_PER_S;
    wait_until_noticed();
    ck_assert_uint_eq(connection->no_futex_ns, 64 * FIPC_NS_PER_S);
    /* and much later */
    connection->no_futex_until_ns = fipc_now_ns() - 65 * FIPC_NS_PER_S;
    wait_until_noticed();
    ck_assert_uint_eq(connection->no_futex_ns, FIPC_NS_PER_S);
}

TEST(a_short_sleep_without_the_futex_lasts_until_its_deadline)
{
    connection->no_futex_until_ns = FIPC_NEVER;
    for (int i = 0; i < 3; i++) {
        uint64_t deadline_ns = fipc_now_ns() + FIPC_NS_PER_MS;

        ck_assert_int_eq(fipc_incoming_wait(connection, &baton, deadline_ns), 0);
        ck_assert_uint_ge(fipc_now_ns(), deadline_ns);
    }
}

/* A packet with an fd, which its record announces in a moment: the sleeper looks now and then. */
TEST(a_packet_with_an_fd_stays_in_the_lane)
{
    const struct fipc_control fds = {.type = FIPC_CONTROL_FDS, .announce = {.id = 1, .n_fds = 1}};
    uint64_t started_ns = fipc_now_ns(), n = 0;

    ck_assert_int_eq(fipc_lane_send(link_.lane_fd, &fds, &link_.bell_fd, 1), 0);
    for (; fipc_now_ns() - started_ns < 50 * FIPC_NS_PER_MS; n++)
        ck_assert_int_eq(wait_for(FIPC_NS_PER_S), 0);
    ck_assert_uint_le(n, 11 + 1);
    ck_assert_int_gt(recv(connection->lane_fd, &(char){0}, 1, MSG_DONTWAIT | MSG_PEEK), 0);
}

/* ---- spinning ---- */

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
    uint64_t started_ns, span_ns;

    if (!rooms[_i].has_room)
        (void)played_fill(&link_, 0);
    connection->stuck_kind = question.header.kind;
    connection->is_stuck = rooms[_i].is_stuck;
    waiter = (struct fipc_waiter){.ready = flag_is_set, .arg = &is_ready, .wants_room = true};
    if (rooms[_i].waits) {
        TAILQ_INSERT_TAIL(&baton.waiters, &waiter, entry);
        baton.n_want_room = 1;
    }
    started_ns = fipc_now_ns();
    span_ns = rooms[_i].ends_at_once ? FIPC_NEVER / 2 : 20 * FIPC_NS_PER_MS;
    ck_assert_int_eq(wait_for(span_ns), 0);
    ck_assert(rooms[_i].ends_at_once || fipc_now_ns() - started_ns >= span_ns);
    ck_assert_uint_eq(baton.n_want_room, rooms[_i].waits); /* the step lets it go, not the look */
    ck_assert_int_eq(connection->is_stuck, rooms[_i].is_stuck);
}

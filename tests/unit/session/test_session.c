/* SPDX-License-Identifier: MIT */
/* How time passes for a session: connections come and go, marks are acted on, and what becomes of
 * open questions. */
#include "client/session/session.h"

#include "client/link/outgoing.h"
#include "common/clock.h"
#include "common/control.h"
#include "tests/unit/session/played_session.h"

#include <errno.h>
#include <poll.h>

static void drop_all(void)
{
    forget_asked();
    drop_session();
}

static void send_goodbye(void)
{
    const struct fipc_control control = {.type = FIPC_CONTROL_GOODBYE};
    unsigned char packet[64];
    size_t size;

    ck_assert_int_eq(fipc_control_encode(&control, packet, sizeof(packet), &size), 0);
    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_CONTROL}, packet, size);
}

static bool is_readable(void)
{
    struct pollfd fd = {.fd = client->pollable.epoll_fd, .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

/* ---- losing a connection ---- */

GROUP(losses, .fixtures = {HOLDINGS_KEPT, {make_connected, drop_all}});

static const struct {
    int error;
    bool is_taken; /* the broker's head passed the question */
    bool is_idempotent;
    int status;
} outcomes[] = {
    {-ECONNRESET, false, false, FIPC_NOT_SENT},
    {-ECONNRESET, true, false, -ECONNRESET},
    {-ECONNRESET, true, true, FIPC_NOT_SENT},
    {-EPROTO, false, false, -EPROTO},
    {-EPROTO, true, true, -EPROTO},
    {-ENOMEM, false, false, -ENOMEM},
};

LOOP_TEST(a_question_is_lost_or_sent_again, COUNT_OF(outcomes))
{
    struct fipc_pending *question = ask(5, FIPC_KIND_REPLY);
    struct fipc_header header;

    question->is_idempotent = outcomes[_i].is_idempotent;
    if (outcomes[_i].is_taken)
        ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_REQUEST);
    fipc_session_lose(client, outcomes[_i].error);
    ck_assert_ptr_null(client->connection);
    ck_assert_uint_eq(n_done, 1);
    ck_assert_ptr_null(done_on);
    ck_assert_int_eq(question->status, outcomes[_i].status);
}

TEST(only_questions_that_the_broker_passed_are_unknown)
{
    struct fipc_header header;

    for (uint64_t id = 1; id <= 4; id++)
        (void)ask(id, FIPC_KIND_REPLY);
    ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_REQUEST);
    ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_REQUEST);
    fipc_session_lose(client, -ECONNRESET);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(asked[i].status, i < 2 ? -ECONNRESET : FIPC_NOT_SENT);
}

static void answer_and_say_goodbye(void)
{
    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY, .id = 5}, NULL, 0);
    send_goodbye();
}

static void answer_and_die(void)
{
    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY, .id = 5}, NULL, 0);
    played_hang_up(&link_);
}

static void send_nonsense(void)
{
    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY, .id = 5}, NULL, 0);
    played_send(&link_, (struct fipc_header){.kind = 99}, NULL, 0);
}

static void (*const ends[])(void) = {answer_and_say_goodbye, answer_and_die, send_nonsense};

LOOP_TEST(the_last_words_of_a_broker_count, COUNT_OF(ends))
{
    struct fipc_pending *answered = ask(5, FIPC_KIND_REPLY);
    struct fipc_pending *other = ask(6, FIPC_KIND_REPLY);
    struct fipc_header header;

    (void)played_take(&link_, &header);
    (void)played_take(&link_, &header);
    ends[_i]();
    fipc_session_catch_up(client, client->connection->heard_ns + FIPC_NS_PER_S);
    ck_assert_ptr_null(client->connection);
    ck_assert_int_eq(answered->status, 0);
    ck_assert_int_eq(other->status, ends[_i] == send_nonsense ? -EPROTO : -ECONNRESET);
}

TEST(a_thread_that_reads_is_not_disturbed)
{
    struct fipc_waiter holder;

    played_hang_up(&link_);
    client->baton.holder = &holder;
    fipc_session_catch_up(client, client->connection->heard_ns + FIPC_NS_PER_S);
    ck_assert_ptr_nonnull(client->connection);
    client->baton.holder = NULL;
}

TEST(a_connection_is_not_looked_at_too_often)
{
    played_hang_up(&link_);
    fipc_session_catch_up(client, client->connection->heard_ns + FIPC_NS_PER_MS - 1);
    ck_assert_ptr_nonnull(client->connection);
    fipc_session_catch_up(client, client->connection->heard_ns + FIPC_NS_PER_MS);
    ck_assert_ptr_null(client->connection);
}

TEST(a_corrupt_mark_is_acted_on_at_the_next_step)
{
    struct fipc_pending *question = ask(5, FIPC_KIND_REPLY);

    client->connection->is_corrupt = true;
    fipc_session_go_on(client);
    ck_assert_ptr_null(client->connection);
    ck_assert_int_eq(question->status, -EPROTO);
}

TEST(requests_are_dropped_and_names_asked_about_again)
{
    struct fipc_served *served = fipc_served_add(&client->served, "a", 1);
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .target = 4};
    const struct fipc_delivery about = {.number = 1};

    fipc_session_go_on(client);
    ck_assert_int_eq(served->state, FIPC_SERVED_ASKED);
    fipc_pending_remove(&client->connection->pending, &served->question);
    served->question.target = 4;
    served->question.on_done(&served->question, client->connection);
    played_send(&link_, header, &about, sizeof(about));
    fipc_session_catch_up(client, client->connection->heard_ns);
    ck_assert_uint_eq(client->inbox.n_due, 1);
    ck_assert_uint_eq(TAILQ_FIRST(&client->inbox.due)->connection, 1);
    fipc_session_lose(client, -ECONNRESET);
    ck_assert_uint_eq(client->inbox.n_due, 0);
    ck_assert_int_eq(served->state, FIPC_SERVED_UNKNOWN);
    ck_assert(fipc_session_needs_connection(client));
    played_link_drop(&link_);
    connect_session();
    ck_assert_int_eq(served->state, FIPC_SERVED_ASKED);
    ck_assert(!fipc_session_is_on(client, 1));
    ck_assert(fipc_session_is_on(client, 2));
    fipc_session_lose(client, -ECONNRESET);
}

/* ---- waiting ---- */

GROUP(waits, .fixtures = {HOLDINGS_KEPT, {make_connected, drop_all}});

static bool question_is_done(void *question) { return ((struct fipc_pending *)question)->done; }

static int wait_for(struct fipc_pending *question, uint64_t span_ns)
{
    struct fipc_waiter waiter = {.ready = question_is_done, .arg = question};

    question->waiter = &waiter;
    return fipc_baton_wait(&client->baton, &waiter, fipc_now_ns() + span_ns);
}

TEST(the_holder_takes_its_answer)
{
    struct fipc_pending *question = ask(5, FIPC_KIND_REPLY);

    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY, .id = 5}, NULL, 0);
    ck_assert_int_eq(wait_for(question, FIPC_NS_PER_S), 0);
    ck_assert_int_eq(question->status, 0);
}

TEST(the_holder_finds_that_the_broker_died)
{
    struct fipc_pending *question = ask(5, FIPC_KIND_REPLY);

    played_hang_up(&link_);
    ck_assert_int_eq(wait_for(question, 10 * FIPC_NS_PER_S), 0);
    ck_assert_int_eq(question->status, FIPC_NOT_SENT);
}

TEST(the_holder_gives_up_in_time)
{
    struct fipc_pending *question = ask(5, FIPC_KIND_REPLY);

    ck_assert_int_eq(wait_for(question, FIPC_NS_PER_MS), -ETIMEDOUT);
    fipc_pending_remove(&client->connection->pending, question);
}

TEST(room_lets_a_stuck_cancel_go)
{
    struct fipc_pending *question = ask(5, FIPC_KIND_REPLY);
    struct fipc_header header;

    (void)played_fill(&link_, 0);
    fipc_outgoing_cancel(client->connection, &(struct fipc_pending){.id = 77});
    fipc_session_go_on(client);
    ck_assert(client->connection->is_stuck);
    while (played_take(&link_, &header) >= 0)
        continue;
    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY, .id = 5}, NULL, 0);
    ck_assert_int_eq(wait_for(question, FIPC_NS_PER_S), 0);
    ck_assert(!client->connection->is_stuck);
    ck_assert_int_eq(played_take(&link_, &header), FIPC_KIND_CANCEL);
    ck_assert_uint_eq(header.id, 77);
}

static bool place_is_there(void *connection)
{
    return fipc_places_left(&((struct fipc_connection *)connection)->places) > 0;
}

/* A cancel that another thread sent frees the place for which the holder sleeps; the broker has
 * nothing to ring for. */
TEST(holder_that_sleeps_for_a_place_is_woken)
{
    struct fipc_connection *connection = client->connection;
    struct fipc_waiter holder = {
        .ready = place_is_there, .arg = connection, .wants_room = true, .waits = true};
    struct fipc_baton *baton = &client->baton;
    struct fipc_pending cancelled = {.id = 7, .has_place = true};

    while (fipc_places_left(&connection->places) > 0)
        cancelled.place = fipc_places_take(&connection->places);
    TAILQ_INSERT_TAIL(&baton->waiters, &holder, entry);
    baton->n_want_room = 1;
    baton->holder = &holder;
    baton->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    baton->asleep_on = connection->channel.own;
    baton->asleep_on_lane = true;

    fipc_session_go_on(client);
    ck_assert(!baton->is_kicked);
    fipc_outgoing_cancel(connection, &cancelled);
    fipc_session_go_on(client);
    ck_assert(baton->is_kicked);
    ck_assert_uint_eq(baton->n_want_room, 0); /* it joins again if another was faster */

    baton->holder = NULL;
    fipc_baton_awake(baton);
}

/* ---- marks ---- */

static bool has_work(void *of) { return fipc_session_has_work(of); }

static bool *mark_of(int i)
{
    return i == 0   ? &client->submissions.has_news
           : i == 1 ? &client->inbox.has_news
                    : &client->served.has_news;
}

static unsigned *count_of(int i)
{
    return i == 0   ? &client->submissions.n_ended
           : i == 1 ? &client->inbox.n_due
                    : &client->served.n_revoked;
}

LOOP_TEST(a_mark_wakes_threads_and_poll_loops_once, 3)
{
    struct fipc_waiter waiter = {.ready = has_work, .arg = client, .waits = true};

    ck_assert_int_eq(fipc_pollable_open(&client->pollable), 0);
    TAILQ_INSERT_TAIL(&client->baton.waiters, &waiter, entry);
    fipc_session_go_on(client);
    ck_assert(!is_readable() && !TAILQ_EMPTY(&client->baton.waiters));
    *count_of(_i) = 1;
    *mark_of(_i) = true;
    fipc_session_go_on(client);
    ck_assert(is_readable());
    ck_assert(TAILQ_EMPTY(&client->baton.waiters));
    ck_assert(!*mark_of(_i));
    *count_of(_i) = 0;
    fipc_session_park(client);
    ck_assert(!is_readable());
}

TEST(an_earlier_deadline_wakes_a_thread_that_waits_for_work)
{
    fipc_session_hurry(client, 5000);
    ck_assert_uint_eq(client->submissions.next_deadline_ns, 5000);
    fipc_session_hurry(client, 6000);
    ck_assert_uint_eq(client->submissions.next_deadline_ns, 5000);
}

/* ---- lives ---- */

GROUP(lives, .fixtures = {HOLDINGS_KEPT, {make_session, drop_all}});

TEST(a_session_without_a_broker_says_so)
{
    ck_assert_int_eq(fipc_session_check(client), 0);
    ck_assert_int_eq(fipc_session_check(NULL), -EINVAL);
    ck_assert_int_eq(fipc_session_open(client, fipc_now_ns() + FIPC_NS_PER_MS), -ECONNREFUSED);
    ck_assert_int_eq(client->connect_error, -ECONNREFUSED);
    fipc_session_catch_up(client, fipc_now_ns()); /* nothing to look at */
    fipc_session_go_on(client);
}

TEST(a_connection_brings_its_limits)
{
    connect_session();
    ck_assert_int_eq(fipc_session_open(client, 0), 0); /* is open */
    ck_assert_uint_eq(client->handler_ms, PLAYED_HANDLER_MS);
    ck_assert_uint_eq(client->request_ring_bytes, PLAYED_RING_BYTES);
    ck_assert(!fipc_session_needs_connection(client));
}

TEST(an_abandoned_session_hangs_up_and_serves_nothing)
{
    connect_session();
    (void)fipc_served_add(&client->served, "a", 1);
    fipc_session_go_on(client);
    client->handle.n_refs = 2;
    client->handle.n_idle_refs = 1;
    (void)pthread_mutex_unlock(&client->handle.lock);
    fipc_handle_unref(&client->handle); /* a request in hand is all that is left */
    (void)pthread_mutex_lock(&client->handle.lock);
    ck_assert_ptr_null(client->connection);
    ck_assert(TAILQ_EMPTY(&client->served.list));
    client->handle.n_idle_refs = 0;
}

/* SPDX-License-Identifier: MIT */
/* Submitted calls against a broker that the test plays: their order, what each answer means, what
 * becomes of them without room, in time or with a connection that is lost. */
#include "client/session/submission.h"

#include "client/base/message.h"
#include "client/link/outgoing.h"
#include "common/clock.h"
#include "common/control.h"
#include "tests/unit/link/played_link.h"

#include <errno.h>

#define NOW_NS UINT64_C(1000000)
#define DEADLINE_NS (UINT64_C(1) << 62) /* in the future of every clock */

static struct played_link link_;
static struct fipc_connection *connection;
static struct fipc_submissions all;

static void make_link(void)
{
    played_link_make(&link_);
    connection = link_.connection;
    memset(&all, 0, sizeof(all));
    ck_assert_int_eq(fipc_submissions_init(&all), 0);
}

static void drop_link(void)
{
    (void)fipc_pending_take_all(&connection->pending);
    fipc_submissions_deinit(&all);
    fipc_connection_release(connection, &connection->n_users);
    played_link_drop(&link_);
}

static void run_nothing(int error, const fipc_message *reply, void *userdata)
{
    (void)error, (void)reply, (void)userdata;
}

static struct fipc_submission *submit_sized(const char *service, size_t size, unsigned flags)
{
    static const char data[PLAYED_RING_BYTES];
    struct fipc_call call = {.service = service,
                             .service_bytes = strlen(service),
                             .data = data,
                             .size = size,
                             .flags = flags,
                             .timeout_ms = 1};
    struct fipc_submission *submission =
        fipc_submission_new(NULL, &call, fipc_pending_next_id(&all.queued));

    submission->fn = run_nothing;
    submission->deadline_ns = DEADLINE_NS;
    ck_assert_int_eq(fipc_submissions_add(&all, connection, submission), 0);
    return submission;
}

static struct fipc_submission *submit(const char *service, unsigned flags)
{
    return submit_sized(service, 0, flags);
}

static void know(const char *service, uint32_t target)
{
    fipc_names_add(&connection->names, service, strlen(service), target);
}

static int go_on(void) { return fipc_submissions_go_on(&all, connection, NOW_NS); }

/* What the broker finds in its ring: the target of a request; -1 nothing, -2 a question. */
static int taken(void)
{
    struct fipc_header header;

    switch (played_take(&link_, &header)) {
    case FIPC_KIND_REQUEST:
        return (int)header.target;
    case FIPC_KIND_CONTROL:
        return -2;
    case FIPC_KIND_CANCEL:
        return -3;
    default:
        return -1;
    }
}

static void complete(struct fipc_pending *pending, int status, bool is_lost)
{
    if (!is_lost)
        fipc_pending_remove(&connection->pending, pending);
    pending->status = status;
    pending->done = true;
    pending->on_done(pending, is_lost ? NULL : connection);
}

static struct fipc_submission_queue *first_queue(void) { return TAILQ_FIRST(&all.queues); }

static bool has_ended(const struct fipc_submission *submission, int error)
{
    const struct fipc_submission *ended;

    TAILQ_FOREACH(ended, &all.ended, link) {
        if (ended == submission)
            return ended->pending.status == error;
    }
    return false;
}

/* ---- order ---- */

GROUP(orders, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

TEST(adding_sends_nothing)
{
    know("a", 1);
    (void)submit("a", 0);
    ck_assert_int_eq(taken(), -1);
    ck_assert(fipc_submissions_are_busy(&all));
}

TEST(a_service_is_asked_for_once_before_its_calls_go_out)
{
    (void)submit("a", 0);
    (void)submit("a", 0);
    ck_assert_int_eq(go_on(), 0);
    ck_assert_int_eq(go_on(), 0);
    ck_assert_int_eq(taken(), -2);
    ck_assert_int_eq(taken(), -1);
    first_queue()->question.target = 9;
    complete(&first_queue()->question, 0, false);
    ck_assert_int_eq(go_on(), 0);
    ck_assert_int_eq(taken(), 9);
    ck_assert_int_eq(taken(), 9);
    ck_assert_uint_eq(all.n_queues, 0);
    ck_assert(fipc_submissions_are_busy(&all)); /* until they are answered */
}

TEST(services_take_turns)
{
    static const char *const calls[] = {"a", "a", "a", "b", "b", "c"};
    static const int turns[] = {1, 2, 3, 1, 2, 1, -1};

    know("a", 1);
    know("b", 2);
    know("c", 3);
    for (int i = 0; i < COUNT_OF(calls); i++)
        (void)submit(calls[i], 0);
    ck_assert_int_eq(go_on(), 0);
    for (int i = 0; i < COUNT_OF(turns); i++)
        ck_assert_int_eq(taken(), turns[i]);
}

TEST(a_service_that_is_full_does_not_hold_up_another)
{
    know("a", 1);
    know("b", 2);
    fipc_names_set_full(&connection->names, 1, true);
    (void)submit("a", 0);
    (void)submit("b", 0);
    ck_assert_int_eq(go_on(), 0);
    ck_assert_int_eq(taken(), 2);
    ck_assert_int_eq(taken(), -1);
    fipc_names_set_full(&connection->names, 1, false);
    ck_assert_int_eq(go_on(), 0);
    ck_assert_int_eq(taken(), 1);
}

TEST(a_queue_that_ends_does_not_stop_the_next)
{
    struct fipc_submission *impatient;

    know("a", 1);
    know("b", 2);
    fipc_names_set_full(&connection->names, 1, true);
    impatient = submit("a", FIPC_NO_WAIT);
    (void)submit("b", 0);
    ck_assert_int_eq(go_on(), 0);
    ck_assert(has_ended(impatient, -EAGAIN));
    ck_assert_int_eq(taken(), 2);
}

/* ---- answers ---- */

GROUP(answers, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

static const struct {
    int status;
    uint16_t reply_flags;
    unsigned flags;
    bool is_lost;
    bool is_queued_again;
    bool is_name_known; /* afterwards */
} replies[] = {
    {0, 0, 0, false, false, true},
    {-EIO, 0, 0, false, false, true},
    {-ENOENT, 0, FIPC_WAIT_SERVICE, false, false, true}, /* the service's own */
    {-ENOENT, FIPC_REPLY_NOT_DELIVERED, 0, false, false, true},
    {-ENOENT, FIPC_REPLY_NOT_DELIVERED, FIPC_WAIT_SERVICE, false, true, false},
    {-ESTALE, FIPC_REPLY_NOT_DELIVERED, 0, false, true, false},
    {-ESTALE, 0, 0, false, false, true},
    {-EAGAIN, FIPC_REPLY_NOT_DELIVERED, 0, false, true, true}, /* ROOM follows */
    {-EAGAIN, FIPC_REPLY_NOT_DELIVERED, FIPC_NO_WAIT, false, false, true},
    {-EACCES, FIPC_REPLY_NOT_DELIVERED, 0, false, false, true},
    {FIPC_NOT_SENT, 0, 0, true, true, true},
    {-ECONNRESET, 0, 0, true, false, true},
    {-EPROTO, 0, 0, true, false, true},
};

LOOP_TEST(an_answer_ends_a_call_or_queues_it_again, COUNT_OF(replies))
{
    struct fipc_submission *submission;
    uint32_t target;
    bool is_full;

    know("a", 1);
    submission = submit("a", replies[_i].flags);
    ck_assert_int_eq(go_on(), 0);
    all.has_news = false;
    submission->pending.reply_flags = replies[_i].reply_flags;
    complete(&submission->pending, replies[_i].status, replies[_i].is_lost);
    ck_assert_int_eq(submission->queue != NULL, replies[_i].is_queued_again);
    ck_assert_int_eq(has_ended(submission, replies[_i].status), !replies[_i].is_queued_again);
    ck_assert_int_eq(all.has_news, !replies[_i].is_queued_again);
    ck_assert_int_eq(fipc_names_find(&connection->names, "a", 1, &target, &is_full),
                     replies[_i].is_name_known);
}

TEST(calls_that_come_back_keep_their_order)
{
    struct fipc_submission *calls[3];

    know("a", 1);
    for (int i = 0; i < 3; i++)
        calls[i] = submit("a", 0);
    ck_assert_int_eq(go_on(), 0);
    (void)submit("a", 0);
    for (int i = 2; i >= 0; i--) /* the connection is lost: in any order */
        complete(&calls[i]->pending, FIPC_NOT_SENT, true);
    for (int i = 0; i < 3; i++) {
        struct fipc_submission *first = TAILQ_FIRST(&first_queue()->list);

        ck_assert_ptr_eq(first, calls[i]);
        ck_assert_int_eq(fipc_submissions_cancel(&all, NULL, first->pending.id), 0);
    }
}

/* Of the question for a service's number: two calls wait for its answer. */
static const struct {
    int status;
    unsigned flags[2];
    bool is_lost;
    int ends[2]; /* 0: it stays */
} opened[] = {
    {-EACCES, {0, 0}, false, {-EACCES, 0}}, /* the next one asks for itself */
    {-ENOENT, {0, 0}, false, {-ENOENT, -ENOENT}},
    {-ENOENT, {FIPC_WAIT_SERVICE, 0}, false, {0, -ENOENT}},
    {-ENOENT, {0, FIPC_WAIT_SERVICE}, false, {-ENOENT, 0}},
    {-ETIMEDOUT, {FIPC_WAIT_SERVICE, FIPC_WAIT_SERVICE}, false, {0, 0}}, /* they have time */
    {FIPC_NOT_SENT, {0, 0}, true, {0, 0}},
    {-ECONNRESET, {0, 0}, true, {0, 0}}, /* asking again does no harm */
    {-EPROTO, {0, 0}, true, {-EPROTO, 0}},
};

LOOP_TEST(an_answer_about_a_service_ends_those_whom_it_concerns, COUNT_OF(opened))
{
    struct fipc_submission *calls[2];

    for (int i = 0; i < 2; i++)
        calls[i] = submit("a", opened[_i].flags[i]);
    ck_assert_int_eq(go_on(), 0);
    complete(&first_queue()->question, opened[_i].status, opened[_i].is_lost);
    for (int i = 0; i < 2; i++) {
        if (opened[_i].ends[i] == 0)
            ck_assert_ptr_nonnull(calls[i]->queue);
        else
            ck_assert(has_ended(calls[i], opened[_i].ends[i]));
    }
}

TEST(a_call_that_does_not_wait_for_the_service_asks_anew)
{
    (void)submit("a", FIPC_WAIT_SERVICE);
    ck_assert_int_eq(go_on(), 0);
    ck_assert(first_queue()->is_asked && first_queue()->waits);
    (void)submit("a", 0);
    ck_assert(!first_queue()->is_asked);
    ck_assert_uint_eq(connection->pending.count, 0);
    ck_assert_int_eq(go_on(), 0);
    ck_assert(first_queue()->is_asked && !first_queue()->waits);
    ck_assert_int_eq(fipc_outgoing_send_cancels(connection), 0);
    ck_assert_int_eq(taken(), -2);
    ck_assert_int_eq(taken(), -2);
    ck_assert_int_eq(taken(), -3); /* of the first question */
}

/* ---- room ---- */

GROUP(rooms, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

static const struct {
    unsigned flags;
    bool is_ring_full, is_service_full, is_name_known;
    bool is_taken_back;
} rooms[] = {
    {0, true, false, true, false},
    {FIPC_NO_WAIT, false, false, true, false},
    {FIPC_NO_WAIT, true, false, true, true},
    {FIPC_NO_WAIT, false, true, true, true},
    {FIPC_NO_WAIT, false, false, false, false}, /* its service is asked for */
    {FIPC_NO_WAIT, true, false, false, true},
};

LOOP_TEST(a_call_without_room_waits_or_is_taken_back, COUNT_OF(rooms))
{
    struct fipc_submission *submission;

    if (rooms[_i].is_name_known)
        know("a", 1);
    fipc_names_set_full(&connection->names, 1, rooms[_i].is_service_full);
    if (rooms[_i].is_ring_full)
        (void)played_fill(&link_, 0);
    submission = submit("a", rooms[_i].flags);
    ck_assert_int_eq(go_on(), rooms[_i].is_ring_full && rooms[_i].flags == 0 ? -EAGAIN : 0);
    ck_assert_int_eq(fipc_submissions_take_back(&all, connection, submission),
                     rooms[_i].is_taken_back);
    ck_assert_uint_eq(all.n_ended, 0);
    if (!rooms[_i].is_taken_back)
        return;
    ck_assert_uint_eq(all.n_queues, 0);
    ck_assert(!fipc_submissions_are_busy(&all));
    fipc_submission_free(submission);
}

TEST(an_impatient_call_does_not_overtake_one_that_waits)
{
    struct fipc_submission *impatient;

    know("a", 1);
    (void)played_fill(&link_, 0);
    (void)submit_sized("a", 1000, 0);
    ck_assert_int_eq(go_on(), -EAGAIN);
    impatient = submit("a", FIPC_NO_WAIT);
    ck_assert_int_eq(go_on(), -EAGAIN);
    ck_assert(fipc_submissions_take_back(&all, connection, impatient));
    fipc_submission_free(impatient);
}

TEST(a_call_that_never_fits_ends_alone)
{
    struct fipc_submission *large;

    know("a", 1);
    large = submit_sized("a", PLAYED_RING_BYTES / 2, 0);
    (void)submit("a", 0);
    ck_assert_int_eq(go_on(), 0);
    ck_assert(has_ended(large, -EMSGSIZE));
    ck_assert_int_eq(taken(), 1);
}

TEST(a_corrupt_ring_ends_one_and_keeps_the_others)
{
    struct fipc_submission *first, *second;

    know("a", 1);
    first = submit("a", 0);
    second = submit("a", 0);
    (void)played_fill(&link_, 0);
    played_corrupt(&link_);
    ck_assert_int_eq(go_on(), -EPROTO);
    ck_assert(has_ended(first, -EPROTO));
    ck_assert_ptr_nonnull(second->queue); /* for the next connection */
}

/* ---- giving up ---- */

GROUP(ends, .fixtures = {HOLDINGS_KEPT, {make_link, drop_link}});

static const struct {
    bool is_sent, has_connection;
    int connect_error;
    int64_t late_ns; /* after its deadline */
    int error;       /* 0: it goes on */
} expiries[] = {
    {true, true, 0, -1, 0},
    {true, true, 0, 0, -ETIMEDOUT},
    {true, true, -EACCES, 0, -ETIMEDOUT},
    {false, true, 0, 0, -ETIMEDOUT},
    {false, true, -EACCES, 0, -ETIMEDOUT},
    {false, false, 0, 0, -ETIMEDOUT},
    {false, false, -ECONNREFUSED, 0, -ECONNREFUSED},
    {false, false, -ECONNREFUSED, -1, 0},
};

LOOP_TEST(a_call_whose_time_is_over_says_why, COUNT_OF(expiries))
{
    struct fipc_submission *submission;

    know("a", 1);
    submission = submit("a", 0);
    submission->deadline_ns = 5000;
    ck_assert(fipc_submissions_hurry(&all, 5000));
    ck_assert(!fipc_submissions_hurry(&all, 5000));
    if (expiries[_i].is_sent)
        ck_assert_int_eq(go_on(), 0);
    fipc_submissions_expire(&all, expiries[_i].has_connection ? connection : NULL,
                            expiries[_i].connect_error, 5000 + (uint64_t)expiries[_i].late_ns);
    if (expiries[_i].error == 0) {
        ck_assert_uint_eq(all.next_deadline_ns, 5000);
        ck_assert_uint_eq(all.n_ended, 0);
    } else {
        ck_assert_uint_eq(all.next_deadline_ns, FIPC_NEVER);
        ck_assert(has_ended(submission, expiries[_i].error));
        ck_assert_uint_eq(connection->pending.count, 0);
        ck_assert_int_eq(!STAILQ_EMPTY(&connection->cancels), expiries[_i].is_sent);
    }
}

TEST(the_next_deadline_is_found_among_the_rest)
{
    know("a", 1);
    submit("a", 0)->deadline_ns = 3000;
    ck_assert_int_eq(go_on(), 0);
    submit("b", 0)->deadline_ns = 2000;
    submit("c", 0)->deadline_ns = 1000;
    (void)fipc_submissions_hurry(&all, 1000);
    fipc_submissions_expire(&all, connection, 0, 1000);
    ck_assert_uint_eq(all.n_ended, 1);
    ck_assert_uint_eq(all.next_deadline_ns, 2000);
    ck_assert_uint_eq(all.n_queues, 1);
}

static const struct {
    bool is_sent, is_ended;
    int r;
} cancels[] = {{false, false, 0}, {true, false, 0}, {true, true, -ENOENT}};

LOOP_TEST(a_cancel_ends_what_is_queued_or_sent, COUNT_OF(cancels))
{
    struct fipc_submission *submission;

    know("a", 1);
    submission = submit("a", 0);
    if (cancels[_i].is_sent)
        ck_assert_int_eq(go_on(), 0);
    if (cancels[_i].is_ended)
        complete(&submission->pending, 0, false);
    ck_assert_int_eq(fipc_submissions_cancel(&all, connection, submission->pending.id),
                     cancels[_i].r);
    ck_assert(has_ended(submission, cancels[_i].is_ended ? 0 : -ECANCELED));
    ck_assert_int_eq(STAILQ_EMPTY(&connection->cancels),
                     !cancels[_i].is_sent || cancels[_i].is_ended);
    ck_assert_uint_eq(all.n_queues, 0);
}

TEST(an_unknown_id_is_no_call)
{
    struct fipc_pending other = {.id = 77}; /* of a call that a thread waits for */

    ck_assert_int_eq(fipc_submissions_cancel(&all, NULL, 77), -ENOENT);
    fipc_pending_add(&connection->pending, &other);
    ck_assert_int_eq(fipc_submissions_cancel(&all, connection, 77), -ENOENT);
    fipc_pending_remove(&connection->pending, &other);
}

TEST(callbacks_are_due_in_the_order_of_the_ends)
{
    struct fipc_submission *calls[3];

    for (int i = 0; i < 3; i++)
        calls[i] = submit("a", 0);
    for (int i = 2; i >= 0; i--)
        ck_assert_int_eq(fipc_submissions_cancel(&all, connection, calls[i]->pending.id), 0);
    for (int i = 2; i >= 0; i--) {
        struct fipc_submission *ended = fipc_submissions_take_ended(&all);

        ck_assert_ptr_eq(ended, calls[i]);
        fipc_submission_free(ended);
    }
    ck_assert_uint_eq(all.n_ended, 0);
}

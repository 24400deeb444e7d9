/* SPDX-License-Identifier: MIT */
/* What each record of the broker means, and which are nonsense. */
#include "client/session/answers.h"

#include "common/control.h"
#include "common/lane.h"
#include "tests/unit/session/played_session.h"

#include <errno.h>

static void drop_all(void)
{
    forget_asked();
    if (client->connection != NULL)
        (void)fipc_pending_take_all(&client->connection->pending);
    drop_session();
}

static void send_control(struct fipc_header header, const struct fipc_control *control)
{
    unsigned char packet[512];
    size_t size;

    ck_assert_int_eq(fipc_control_encode(control, packet, sizeof(packet), &size), 0);
    header.kind = FIPC_KIND_CONTROL;
    played_send(&link_, header, packet, size);
}

GROUP(records, .fixtures = {HOLDINGS_KEPT, {make_connected, drop_all}});

static const struct {
    uint16_t kind; /* CONTROL: of this type: */
    enum fipc_control_type type;
    int r;
} kinds[] = {
    {FIPC_KIND_SKIP, 0, 0},
    {FIPC_KIND_REPLY, 0, 0},          /* to nobody: dropped */
    {FIPC_KIND_CANCEL, 0, 0},         /* of nothing */
    {FIPC_KIND_REQUEST, 0, -EBADMSG}, /* for no name that is served */
    {FIPC_KIND_CONTROL, FIPC_CONTROL_OPENED, 0},
    {FIPC_KIND_CONTROL, FIPC_CONTROL_SERVED, 0},
    {FIPC_KIND_CONTROL, FIPC_CONTROL_WAITED, 0},
    {FIPC_KIND_CONTROL, FIPC_CONTROL_ROOM, 0},
    {FIPC_KIND_CONTROL, FIPC_CONTROL_ANNOUNCE, 0},
    {FIPC_KIND_CONTROL, FIPC_CONTROL_GOODBYE, -ECONNRESET},
    {FIPC_KIND_CONTROL, FIPC_CONTROL_WELCOME, -EBADMSG},
    {FIPC_KIND_CONTROL, FIPC_CONTROL_PIDFD, -EBADMSG},
};

LOOP_TEST(each_kind_of_record, COUNT_OF(kinds))
{
    const struct fipc_control control = {.type = kinds[_i].type};

    if (kinds[_i].kind == FIPC_KIND_CONTROL)
        send_control((struct fipc_header){.id = 1}, &control);
    else
        played_send(&link_, (struct fipc_header){.kind = kinds[_i].kind}, NULL, 0);
    ck_assert_int_eq(fipc_answers_take(client, 1), kinds[_i].r);
    if (kinds[_i].r == 0)
        ck_assert_int_eq(fipc_answers_take(client, 1), -EAGAIN);
}

LOOP_TEST(a_control_record_of_a_wrong_size_is_nonsense, 80)
{
    static const unsigned char packet[80];

    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_CONTROL}, packet, (size_t)_i);
    ck_assert_int_eq(fipc_answers_take(client, 1), -EBADMSG);
}

TEST(a_direct_channel_was_not_asked_for)
{
    const struct fipc_control control = {.type = FIPC_CONTROL_OPENED,
                                         .opened.path = FIPC_PATH_DIRECT};

    send_control((struct fipc_header){.id = 1}, &control);
    ck_assert_int_eq(fipc_answers_take(client, 1), -EBADMSG);
}

/* ---- answers to questions ---- */

static const struct {
    int32_t status; /* of the record */
    int error;      /* of the question */
} statuses[] = {
    {0, 0},
    {-1, -1},
    {-EACCES, -EACCES},
    {-FIPC_ERROR_MAX, -FIPC_ERROR_MAX},
    {-FIPC_ERROR_MAX - 1, -EPROTO}, /* FIPC_NOT_SENT is ours alone */
    {1, -EPROTO},
    {INT32_MIN, -EPROTO},
};

LOOP_TEST(a_reply_completes_its_question_once, COUNT_OF(statuses))
{
    struct fipc_pending *question = ask(5, FIPC_KIND_REPLY);
    struct fipc_header header = {
        .kind = FIPC_KIND_REPLY, .id = 5, .status = statuses[_i].status, .target = 3};

    played_send(&link_, header, "hello", 5);
    played_send(&link_, header, "again", 5);
    ck_assert_int_eq(fipc_answers_take(client, 1), 0);
    ck_assert_int_eq(fipc_answers_take(client, 1), 0);
    ck_assert_uint_eq(n_done, 1);
    ck_assert_ptr_eq(done_on, client->connection);
    ck_assert(question->done);
    ck_assert_int_eq(question->status, statuses[_i].error);
    ck_assert_int_eq(question->reply != NULL, statuses[_i].error == 0);
    if (question->reply != NULL)
        ck_assert_mem_eq(question->reply->data, "hello", 5);
}

static const struct {
    uint64_t id;
    uint16_t kind; /* of the question's answer */
} strangers[] = {{6, FIPC_KIND_REPLY}, {5, FIPC_KIND_CONTROL}};

LOOP_TEST(an_answer_to_another_question_completes_none, COUNT_OF(strangers))
{
    struct fipc_pending *question = ask(5, strangers[_i].kind);

    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY, .id = strangers[_i].id}, NULL,
                0);
    ck_assert_int_eq(fipc_answers_take(client, 1), 0);
    ck_assert(!question->done);
}

static bool question_is_done(void *question) { return ((struct fipc_pending *)question)->done; }

TEST(a_thread_that_waits_is_let_go)
{
    struct fipc_pending *question = ask(5, FIPC_KIND_REPLY);
    struct fipc_waiter waiter = {.ready = question_is_done, .arg = question, .waits = true};

    question->waiter = &waiter;
    TAILQ_INSERT_TAIL(&client->baton.waiters, &waiter, entry);
    played_send(&link_, (struct fipc_header){.kind = FIPC_KIND_REPLY, .id = 5}, NULL, 0);
    ck_assert_int_eq(fipc_answers_take(client, 1), 0);
    ck_assert(TAILQ_EMPTY(&client->baton.waiters));
    ck_assert_uint_eq(n_done, 0);
}

/* ---- full services ---- */

static const struct {
    int32_t status;
    uint16_t flags;
    bool no_wait;
    bool is_full;
} fulls[] = {
    {-EAGAIN, FIPC_REPLY_NOT_DELIVERED, false, true},
    {-EAGAIN, FIPC_REPLY_NOT_DELIVERED, true, false}, /* no ROOM follows */
    {-EAGAIN, 0, false, false},                       /* the service's own answer */
    {-ESTALE, FIPC_REPLY_NOT_DELIVERED, false, false},
};

LOOP_TEST(a_service_is_full_until_it_has_room, COUNT_OF(fulls))
{
    const struct fipc_control room = {.type = FIPC_CONTROL_ROOM};
    struct fipc_names *names = &client->connection->names;

    fipc_names_add(names, "a", 1, 9);
    ask(5, FIPC_KIND_REPLY)->no_wait = fulls[_i].no_wait;
    played_send(
        &link_,
        (struct fipc_header){
            .kind = FIPC_KIND_REPLY, .id = 5, .status = fulls[_i].status, .flags = fulls[_i].flags},
        NULL, 0);
    ck_assert_int_eq(fipc_answers_take(client, 1), 0);
    ck_assert_int_eq(fipc_names_is_full(names, "a", 1), fulls[_i].is_full);
    send_control((struct fipc_header){.target = 8}, &room); /* another service */
    ck_assert_int_eq(fipc_answers_take(client, 1), 0);
    ck_assert_int_eq(fipc_names_is_full(names, "a", 1), fulls[_i].is_full);
    send_control((struct fipc_header){.target = 9}, &room);
    ck_assert_int_eq(fipc_answers_take(client, 1), 0);
    ck_assert(!fipc_names_is_full(names, "a", 1));
}

/* ---- announced fds ---- */

static const struct {
    uint32_t n_fds;
    bool is_sent;
    uint64_t id_sent;    /* announced is 7 */
    unsigned n_wake_ups; /* before it in the lane */
    int r;
    bool has_fd;
} announced[] = {
    {1, true, 7, 0, 0, true},          {1, true, 7, 3, 0, true},
    {0, false, 0, 0, 0, false},        {2, true, 7, 0, -EBADMSG, false},
    {1, true, 8, 0, -EBADMSG, false},  {1, false, 0, 0, -EBADMSG, false},
    {1, false, 0, 1, -EBADMSG, false},
};

LOOP_TEST(an_announced_fd_comes_by_the_lane, COUNT_OF(announced))
{
    const struct fipc_control announce = {.type = FIPC_CONTROL_ANNOUNCE,
                                          .announce = {.id = 7, .n_fds = announced[_i].n_fds}};
    const struct fipc_control fds = {.type = FIPC_CONTROL_FDS,
                                     .announce = {.id = announced[_i].id_sent, .n_fds = 1}};
    struct fipc_pending *question = ask(5, FIPC_KIND_CONTROL);

    for (unsigned i = 0; i < announced[_i].n_wake_ups; i++)
        ck_assert_int_eq(send(link_.lane_fd, "", 1, MSG_DONTWAIT), 1);
    if (announced[_i].is_sent)
        ck_assert_int_eq(fipc_lane_send(link_.lane_fd, &fds, &link_.bell_fd, 1), 0);
    send_control((struct fipc_header){.id = 5}, &announce);
    ck_assert_int_eq(fipc_answers_take(client, 1), announced[_i].r);
    ck_assert_int_eq(question->done, announced[_i].r == 0);
    ck_assert_int_eq(question->fd >= 0, announced[_i].has_fd);
}

/* SPDX-License-Identifier: MIT */
/* The life of a request that came: due, in hand, answered, cancelled or lost. */
#include "client/session/inbox.h"

#include "client/base/message.h"
#include "client/session/served.h"
#include "common/message.h"
#include "tests/unit/fixture.h"

#include <errno.h>

static struct fipc_inbox inbox;
static struct fipc_pool *pool;
static struct fipc_served served;

static void make_inbox(void)
{
    fipc_inbox_init(&inbox);
    pool = fipc_pool_new();
    served = (struct fipc_served){.userdata = &inbox};
}

static void drop_inbox(void)
{
    struct fipc_request *request;

    fipc_inbox_deinit(&inbox);
    while ((request = TAILQ_FIRST(&inbox.in_hand)) != NULL) {
        fipc_inbox_remove(&inbox, request);
        fipc_request_free(request);
    }
    fipc_pool_close(pool);
}

/* A record of a request: its delivery, groups and data. Return: as fipc_inbox_take() */
static int take(uint32_t number, uint64_t id, uint32_t n_groups, size_t groups_bytes,
                size_t data_bytes)
{
    unsigned char record[512];
    struct fipc_delivery about = {
        .number = number, .uid = 1, .gid = 2, .pid = 3, .n_groups = n_groups};
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .id = id};

    header.size = (uint32_t)(sizeof(header) + sizeof(about) + groups_bytes + data_bytes);
    memcpy(record, &about, sizeof(about));
    pattern_fill(record + sizeof(about), groups_bytes, 1);
    pattern_fill(record + sizeof(about) + groups_bytes, data_bytes, 2);
    return fipc_inbox_take(&inbox, pool, &served, 9, &header, record);
}

GROUP(requests, .fixtures = {{make_inbox, drop_inbox}});

static const struct {
    uint32_t n_groups;
    size_t groups_bytes, data_bytes;
    int r;
} records[] = {
    {0, 0, 0, 0},        {0, 0, 1, 0},        {1, 4, 0, 0},
    {3, 12, 5, 0},       {32, 128, 3, 0},     {1, 0, 0, -EBADMSG}, /* groups past the end */
    {1, 0, 3, -EBADMSG}, {2, 4, 3, -EBADMSG}, {UINT32_MAX, 4, 0, -EBADMSG},
};

LOOP_TEST(a_record_is_a_request_or_nonsense, COUNT_OF(records))
{
    struct fipc_request *request;

    ck_assert_int_eq(
        take(1, 2, records[_i].n_groups, records[_i].groups_bytes, records[_i].data_bytes),
        records[_i].r);
    ck_assert_uint_eq(inbox.n_due, records[_i].r == 0);
    ck_assert_int_eq(inbox.has_news, records[_i].r == 0);
    if (records[_i].r < 0)
        return;
    request = fipc_inbox_hand_over(&inbox);
    ck_assert_uint_eq(request->message->size, records[_i].data_bytes);
    ck_assert(pattern_matches(request->message->data, records[_i].data_bytes, 2));
    ck_assert_uint_eq(request->peer.n_groups, records[_i].n_groups);
    ck_assert(pattern_matches(request->peer.groups, records[_i].groups_bytes, 1));
    ck_assert(request->peer.uid == 1 && request->peer.gid == 2 && request->peer.pid == 3);
    ck_assert(request->connection == 9 && request->number == 1 && request->id == 2);
    ck_assert_ptr_eq(request->userdata, &inbox);
}

LOOP_TEST(a_record_shorter_than_its_delivery_is_nonsense, (int)sizeof(struct fipc_delivery))
{
    static const unsigned char record[sizeof(struct fipc_delivery)];
    struct fipc_header header = {.size = (uint32_t)(sizeof(header) + (unsigned)_i)};

    ck_assert_int_eq(fipc_inbox_take(&inbox, pool, &served, 9, &header, record), -EBADMSG);
}

/* Brokers of this version write no name. */
TEST(a_delivery_with_a_name_is_nonsense)
{
    struct {
        struct fipc_delivery about;
        char name[4];
    } record = {.about = {.number = 1, .name_bytes = 3}, .name = "abc"};
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .id = 2};

    header.size = (uint32_t)(sizeof(header) + sizeof(record));
    ck_assert_int_eq(fipc_inbox_take(&inbox, pool, &served, 9, &header, (void *)&record), -EBADMSG);
    record.about.name_bytes = 0;
    ck_assert_int_eq(fipc_inbox_take(&inbox, pool, &served, 9, &header, (void *)&record), 0);
}

TEST(a_request_for_a_name_that_nobody_serves_is_nonsense)
{
    static const unsigned char record[sizeof(struct fipc_delivery)];
    struct fipc_header header = {.size = sizeof(header) + sizeof(record)};

    ck_assert_int_eq(fipc_inbox_take(&inbox, pool, NULL, 9, &header, record), -EBADMSG);
}

TEST(requests_are_handed_over_in_their_order)
{
    for (uint32_t number = 1; number <= 3; number++)
        ck_assert_int_eq(take(number, number, 0, 0, 0), 0);
    for (uint32_t number = 1; number <= 3; number++) {
        ck_assert_uint_eq(fipc_inbox_hand_over(&inbox)->number, number);
        ck_assert_uint_eq(inbox.n_in_hand, number);
        ck_assert_uint_eq(inbox.n_due, 3 - number);
    }
}

static const struct {
    uint32_t number;
    uint64_t id;
    bool hits_due, hits_in_hand;
} cancels[] = {
    {1, 11, false, true},  {2, 12, true, false},  {1, 12, false, false},
    {2, 11, false, false}, {3, 13, false, false},
};

LOOP_TEST(a_cancel_names_delivery_and_id, COUNT_OF(cancels))
{
    struct fipc_header header = {.target = cancels[_i].number, .id = cancels[_i].id};
    struct fipc_request *in_hand;

    ck_assert_int_eq(take(1, 11, 0, 0, 0), 0);
    ck_assert_int_eq(take(2, 12, 0, 0, 0), 0);
    in_hand = fipc_inbox_hand_over(&inbox);
    fipc_inbox_cancel(&inbox, &header);
    ck_assert_int_eq(in_hand->is_cancelled, cancels[_i].hits_in_hand);
    ck_assert_int_eq(TAILQ_FIRST(&inbox.due)->is_cancelled, cancels[_i].hits_due);
    ck_assert_uint_eq(inbox.n_due, 1); /* it runs all the same */
}

TEST(a_lost_connection_drops_the_due_and_cancels_those_in_hand)
{
    struct fipc_request *in_hand;

    ck_assert_int_eq(take(1, 11, 0, 0, 0), 0);
    ck_assert_int_eq(take(2, 12, 0, 0, 0), 0);
    in_hand = fipc_inbox_hand_over(&inbox);
    fipc_inbox_lost(&inbox);
    ck_assert(in_hand->is_cancelled);
    ck_assert_uint_eq(inbox.n_due, 0);
    ck_assert_uint_eq(inbox.n_in_hand, 1); /* the user's until it is answered */
}

/* SPDX-License-Identifier: MIT */
/* Which requests find room in the queue of a service, and which slots are notified of room. */
#include "daemon/model/queue.h"

#include "common/message.h"
#include "daemon/model/account.h"
#include "daemon/model/quota.h"
#include "daemon/model/room_wish.h"
#include "daemon/model/service.h"
#include "daemon/model/slot.h"
#include "tests/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UIDS 5
#define SLOTS_PER_UID 4
#define SLOTS (UIDS * SLOTS_PER_UID)
#define SERVICES 2
#define HANDLERS (QUEUE_MAX + UIDS * SLOTS_PER_UID)

static struct quota quota;
static struct account accounts[UIDS];
static struct slot slots[SLOTS]; /* of a uid: one after the other */
static struct service services[SERVICES];
static struct handler handlers[HANDLERS];
static struct room_wish_list granted;

static void set_up(void)
{
    quota = (struct quota){
        .queued = 8, .queued_bytes = 100, .room_wishes = 100, .room_wishes_per_slot = 10};
    for (int i = 0; i < UIDS; i++) {
        accounts[i] = (struct account){.uid = 1000 + (uid_t)i};
        TAILQ_INIT(&accounts[i].room_wishes);
    }
    for (int i = 0; i < SLOTS; i++) {
        slots[i] = (struct slot){.index = (uint32_t)i, .account = &accounts[i / SLOTS_PER_UID]};
        TAILQ_INIT(&slots[i].room_wishes);
    }
    for (int i = 0; i < SERVICES; i++) {
        services[i] = (struct service){.index = (uint32_t)i};
        TAILQ_INIT(&services[i].queue);
        TAILQ_INIT(&services[i].waits);
        TAILQ_INIT(&services[i].room_wishes);
    }
    TAILQ_INIT(&granted);
    memset(handlers, 0, sizeof(handlers));
}

/* Frees what a case has left. */
static void tear_down(void)
{
    struct service *service;

    while (room_wish_take_granted(&granted, &service) != NULL)
        ;
    for (int i = 0; i < SLOTS; i++)
        room_wish_forget_all(&slots[i]);
    for (int i = 0; i < HANDLERS; i++)
        handler_drop_request(&handlers[i]);
}

static struct slot *caller_of(const struct handler *handler) { return &slots[handler->slot]; }

/* The handler's number is where it is in handlers. */
static int put(int service, int slot, int number, size_t size)
{
    static const char payload[4096];

    handlers[number].slot = (uint32_t)slot;
    return queue_put(&quota, &services[service], &slots[slot], &handlers[number], payload, size);
}

static void take_out(int number)
{
    queue_remove(&quota, caller_of(&handlers[number]), &handlers[number], &granted);
    handler_drop_request(&handlers[number]);
}

/* The next granted wish is of this slot, for this service. */
static void check_granted(int slot, int service)
{
    struct service *of = NULL;

    ck_assert_ptr_eq(room_wish_take_granted(&granted, &of), &slots[slot]);
    ck_assert_ptr_eq(of, &services[service]);
}

/* ---- room ---- */

GROUP(room, .fixtures = {{set_up, tear_down}});

static const struct {
    uint32_t of_slot, of_service, of_uid;
    uint64_t bytes_of_uid;
    size_t size;
    int r;
} rooms[] = {
    {0, 0, 0, 0, 0, 0},
    {0, 0, 0, 0, 4096, 0},
    {0, QUEUE_MAX, 8, 100, 4096, 0}, /* a slot with nothing in any queue finds room always */
    {1, 1, 1, 0, 0, 0},
    {1, QUEUE_MAX - 1, 1, 0, 0, 0},
    {1, QUEUE_MAX, 1, 0, 0, -EAGAIN},
    {1, QUEUE_MAX + 1, 1, 0, 0, -EAGAIN},
    {1, 1, 7, 0, 0, 0},
    {1, 1, 8, 0, 0, -EAGAIN},
    {1, 1, 9, 0, 0, -EAGAIN},
    {1, 1, 1, 0, 4096, 0}, /* alone, however large */
    {1, 1, 1, 1, 99, 0},
    {1, 1, 1, 1, 100, -EAGAIN},
    {1, 1, 1, 100, 0, 0},
    {1, 1, 1, 100, 1, -EAGAIN},
};

LOOP_TEST(request_finds_room_in_the_queue_and_in_its_uids_share, COUNT_OF(rooms))
{
    slots[0].n_queued = rooms[_i].of_slot;
    services[0].n_queued = rooms[_i].of_service;
    accounts[0].n_queued = rooms[_i].of_uid;
    accounts[0].queued_bytes = rooms[_i].bytes_of_uid;

    ck_assert_int_eq(put(0, 0, 0, rooms[_i].size), rooms[_i].r);

    ck_assert_int_eq(room_wish_exists(&services[0], &slots[0]), rooms[_i].r < 0);
    ck_assert_uint_eq(services[0].n_queued, rooms[_i].of_service + (rooms[_i].r == 0));
    ck_assert_uint_eq(slots[0].n_queued, rooms[_i].of_slot + (rooms[_i].r == 0));
    ck_assert_uint_eq(accounts[0].n_queued, rooms[_i].of_uid + (rooms[_i].r == 0));
    ck_assert_uint_eq(accounts[0].queued_bytes,
                      rooms[_i].bytes_of_uid + (rooms[_i].r == 0 ? rooms[_i].size : 0));
    ck_assert_ptr_eq(handlers[0].queued, rooms[_i].r == 0 ? &services[0] : NULL);
}

TEST(full_share_of_one_uid_is_no_other_uids)
{
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(put(0, 0, i, 1), 0);
    ck_assert_int_eq(put(0, 0, 8, 1), -EAGAIN);

    ck_assert_int_eq(put(0, SLOTS_PER_UID, 9, 1), 0);
    ck_assert_int_eq(put(0, SLOTS_PER_UID, 10, 1), 0);
}

TEST(caller_that_does_not_wait_makes_no_wish)
{
    services[0].n_queued = QUEUE_MAX;
    slots[0].n_queued = 1;
    handlers[0].flags = FIPC_REQUEST_NO_WAIT;

    ck_assert_int_eq(put(0, 0, 0, 1), -EAGAIN);
    ck_assert(!room_wish_exists(&services[0], &slots[0]));
}

TEST(slot_with_too_many_wishes_is_refused_for_that)
{
    services[0].n_queued = QUEUE_MAX;
    slots[0].n_queued = 1;
    slots[0].n_room_wishes = 10;

    ck_assert_int_eq(put(0, 0, 0, 1), -EDQUOT);
}

TEST(slot_that_was_refused_stays_behind_until_it_is_notified)
{
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[0], 1), 0);
    ck_assert_int_eq(put(0, 0, 0, 1), -EAGAIN); /* else it would overtake its own request */
    ck_assert_int_eq(put(1, 0, 1, 1), 0);
}

/* While a slot of another uid waits for room in the queue. */
static const struct {
    uint32_t of_service;
    int r;
} queues[] = {{QUEUE_MAX / 2, 0}, {QUEUE_MAX / 2 + 1, -EAGAIN}, {QUEUE_MAX - 1, -EAGAIN}};

LOOP_TEST(slot_does_not_overtake_those_that_wait_for_the_queue, COUNT_OF(queues))
{
    services[0].n_queued = queues[_i].of_service;
    slots[0].n_queued = 1;
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);

    ck_assert_int_eq(put(0, 0, 0, 1), queues[_i].r);
}

/* While another slot of the uid waits for its share, with a request of 60 bytes. */
static const struct {
    uint32_t of_uid;
    uint64_t bytes_of_uid;
    int r;
} shares[] = {{4, 40, 0}, {5, 40, -EAGAIN}, {4, 41, -EAGAIN}, {1, 0, 0}};

LOOP_TEST(slot_does_not_overtake_those_that_wait_for_the_share, COUNT_OF(shares))
{
    slots[0].n_queued = 1;
    accounts[0].n_queued = shares[_i].of_uid;
    accounts[0].queued_bytes = shares[_i].bytes_of_uid;
    ck_assert_int_eq(room_wish_make(&quota, &services[1], &slots[1], 60), 0);

    ck_assert_int_eq(put(0, 0, 0, 1), shares[_i].r);
}

/* ---- in and out ---- */

GROUP(in_and_out, .fixtures = {{set_up, tear_down}});

TEST(queue_keeps_the_order_of_coming)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(put(0, i, i, 1), 0);
    handlers[3].slot = 3;
    ck_assert_int_eq(handler_keep_request(&handlers[3], "xx", 2), 0);
    queue_put_first(&services[0], &slots[3], &handlers[3]);

    take_out(1); /* from the middle */

    ck_assert_uint_eq(services[0].n_queued, 3);
    ck_assert_uint_eq(accounts[0].queued_bytes, 4);
    ck_assert_ptr_eq(TAILQ_FIRST(&services[0].queue), &handlers[3]);
    ck_assert_ptr_eq(TAILQ_NEXT(&handlers[3], in_queue), &handlers[0]);
    ck_assert_ptr_eq(TAILQ_NEXT(&handlers[0], in_queue), &handlers[2]);
}

TEST(request_that_is_put_back_needs_no_room)
{
    services[0].n_queued = QUEUE_MAX;
    slots[0].n_queued = 1;
    accounts[0].n_queued = 8;

    queue_put_first(&services[0], &slots[0], &handlers[0]);

    ck_assert_uint_eq(services[0].n_queued, QUEUE_MAX + 1);
    ck_assert_uint_eq(accounts[0].n_queued, 9);
}

TEST(payload_is_copied)
{
    char payload[] = "before";

    ck_assert_int_eq(
        queue_put(&quota, &services[0], &slots[0], &handlers[0], payload, sizeof(payload)), 0);
    memcpy(payload, "after!", sizeof(payload));
    ck_assert_str_eq(handlers[0].request, "before");
}

TEST(wait_for_a_worker_is_no_request)
{
    handlers[0].is_wait = true;
    queue_wait(&services[0], &handlers[0]);
    ck_assert_ptr_eq(handlers[0].queued, &services[0]);
    ck_assert_uint_eq(services[0].n_queued, 0);
    ck_assert_uint_eq(accounts[0].n_queued, 0);

    take_out(0);
    ck_assert(TAILQ_EMPTY(&services[0].waits));
    ck_assert_ptr_null(handlers[0].queued);
    ck_assert_uint_eq(services[0].n_queued, 0);
}

/* ---- which slots are notified ---- */

GROUP(notifying, .fixtures = {{set_up, tear_down}});

TEST(slots_of_all_uids_are_notified_once_the_queue_is_half_empty)
{
    ck_assert_int_eq(put(0, 0, 0, 1), 0);
    services[0].n_queued = QUEUE_MAX / 2 + 1; /* others' */
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 2], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[5], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[1], &slots[6], 1), 0);

    take_out(0);

    check_granted(SLOTS - 1, 0); /* the oldest first */
    check_granted(SLOTS - 2, 0);
    check_granted(5, 0);
    ck_assert(TAILQ_EMPTY(&granted));
    ck_assert(room_wish_exists(&services[1], &slots[6]));
}

TEST(no_slot_is_notified_for_each_single_place)
{
    ck_assert_int_eq(put(0, 0, 0, 1), 0);
    services[0].n_queued = QUEUE_MAX; /* others' */
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);

    take_out(0);

    ck_assert(TAILQ_EMPTY(&granted));
}

TEST(half_empty_queue_is_no_news_for_a_uid_whose_share_is_not)
{
    ck_assert_int_eq(put(0, 0, 0, 1), 0);
    services[0].n_queued = QUEUE_MAX / 2 + 1;
    accounts[1].n_queued = 5; /* more than half */
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS_PER_UID], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);

    take_out(0);

    check_granted(SLOTS - 1, 0);
    ck_assert(TAILQ_EMPTY(&granted));
    ck_assert(room_wish_exists(&services[0], &slots[SLOTS_PER_UID]));
}

TEST(slots_of_a_uid_are_notified_once_its_share_is_half_empty)
{
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(put(0, i % 2, i, 1), 0);
    services[1].n_queued = QUEUE_MAX / 2 + 1;
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[0], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[1], &slots[1], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[2], 1), 0);
    ck_assert_int_eq(room_wish_make(&quota, &services[0], &slots[SLOTS - 1], 1), 0);

    take_out(0);
    ck_assert(TAILQ_EMPTY(&granted)); /* five of eight */
    take_out(1);

    check_granted(0, 0);
    check_granted(2, 0);
    ck_assert(TAILQ_EMPTY(&granted));
    ck_assert(room_wish_exists(&services[1], &slots[1])); /* its queue is not half empty */
    ck_assert(room_wish_exists(&services[0], &slots[SLOTS - 1]));
}

TEST(share_is_half_empty_with_room_for_the_largest_refused)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(put(0, 0, i, 30), 0);
    ck_assert_int_eq(put(0, 0, 3, 80), -EAGAIN);

    take_out(0);
    take_out(1);
    ck_assert(TAILQ_EMPTY(&granted)); /* 30 are queued, 80 are wished */
    take_out(2);
    check_granted(0, 0);
}

/* The requests before a worker that is stopped may stay there for ever. */
TEST(slot_with_nothing_left_in_any_queue_is_notified_in_any_case)
{
    for (int i = 0; i < 7; i++)
        ck_assert_int_eq(put(0, 0, i, 1), 0);
    ck_assert_int_eq(put(0, 1, 7, 1), 0);
    ck_assert_int_eq(put(0, 1, 8, 1), -EAGAIN);
    ck_assert_int_eq(put(0, 0, 9, 1), -EAGAIN);
    services[0].n_queued = QUEUE_MAX; /* others' */

    take_out(7);

    check_granted(1, 0);
    ck_assert(TAILQ_EMPTY(&granted));
    ck_assert_int_eq(put(0, 1, 8, 1), 0); /* one more than the share */
}

/* ---- over a long time ---- */

GROUP(long_time, .timeout = 60, .fixtures = {{set_up, tear_down}});

#define STEPS 1000000

/* Clients that send as much as they may, in bursts, to services whose workers take the oldest. */
struct traffic {
    uint32_t random;
    int free[HANDLERS], n_free;
    uint64_t n_taken[SERVICES];
    uint64_t waits_since[SLOTS][SERVICES]; /* n_taken of then, plus 1; 0: it does not wait */
    uint64_t longest;                      /* wait, in requests taken from that queue */
    uint64_t n_put[UIDS];
};

static uint32_t random_below(struct traffic *traffic, uint32_t n)
{
    traffic->random = traffic->random * 1103515245 + 12345;
    return (traffic->random >> 16) % n;
}

static void one_sends(struct traffic *traffic, int slot, int service)
{
    int number, r;

    if (traffic->waits_since[slot][service] != 0 || traffic->n_free == 0)
        return;
    number = traffic->free[traffic->n_free - 1];
    r = put(service, slot, number, random_below(traffic, 20));
    REQUIRE(r == 0 || r == -EAGAIN);
    if (r < 0) {
        traffic->waits_since[slot][service] = traffic->n_taken[service] + 1;
        return;
    }
    traffic->n_free--;
    traffic->n_put[slot / SLOTS_PER_UID]++;
}

static void one_is_taken(struct traffic *traffic, int service)
{
    struct handler *handler = TAILQ_FIRST(&services[service].queue);
    struct service *of;
    struct slot *slot;

    if (handler == NULL)
        return;
    take_out((int)(handler - handlers));
    traffic->free[traffic->n_free++] = (int)(handler - handlers);
    traffic->n_taken[service]++;
    while ((slot = room_wish_take_granted(&granted, &of)) != NULL) {
        uint64_t *since = &traffic->waits_since[slot->index][of->index];
        uint64_t waited = traffic->n_taken[of->index] + 1 - *since;

        REQUIRE(*since != 0);
        traffic->longest = waited > traffic->longest ? waited : traffic->longest;
        *since = 0;
    }
}

static void check_sums(void)
{
    for (int uid = 0; uid < UIDS; uid++) {
        uint32_t sum = 0;

        for (int i = 0; i < SLOTS_PER_UID; i++)
            sum += slots[uid * SLOTS_PER_UID + i].n_queued;
        ck_assert_uint_eq(accounts[uid].n_queued, sum);
        ck_assert_uint_le(sum, quota.queued + SLOTS_PER_UID);
    }
}

static struct traffic *traffic_new(void)
{
    struct traffic *traffic = calloc(1, sizeof(*traffic));

    ck_assert_ptr_nonnull(traffic);
    traffic->random = 1;
    traffic->n_free = HANDLERS;
    for (int i = 0; i < HANDLERS; i++)
        traffic->free[i] = i;
    return traffic;
}

TEST(every_slot_that_waits_is_notified_before_long)
{
    struct traffic *traffic = traffic_new();

    quota.queued = 1024; /* five uids overfill the queue of 4096 */
    quota.queued_bytes = 8192;
    for (int i = 0; i < STEPS; i++) {
        one_sends(traffic, (int)random_below(traffic, SLOTS), 0);
        if (i % 3 != 0)
            one_sends(traffic, (int)random_below(traffic, SLOTS), 0);
        one_is_taken(traffic, 0);
        if (i % 1000 == 0)
            check_sums();
    }
    ck_assert_uint_gt(traffic->longest, 0);
    ck_assert_uint_le(traffic->longest, QUEUE_MAX);
    free(traffic);
}

TEST(uid_with_one_slot_gets_in_beside_greedy_ones)
{
    struct traffic *traffic = traffic_new();
    uint64_t others = 0;

    quota.queued = 64;
    quota.queued_bytes = 8192;
    for (int i = 0; i < STEPS / 4; i++) {
        for (int slot = 0; slot < SLOTS - SLOTS_PER_UID; slot++)
            one_sends(traffic, slot, i % SERVICES);
        one_sends(traffic, SLOTS - 1, i % SERVICES);
        one_is_taken(traffic, i % SERVICES);
    }
    check_sums();
    for (int uid = 0; uid < UIDS - 1; uid++)
        others = traffic->n_put[uid] > others ? traffic->n_put[uid] : others;
    ck_assert_uint_ge(traffic->n_put[UIDS - 1] * 10, others * 9); /* its share is as large */
    free(traffic);
}

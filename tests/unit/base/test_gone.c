/* SPDX-License-Identifier: MIT */
/* When memory is gone, with real memory and in a real poller. */
#include "daemon/base/gone.h"

#include "common/os/os.h"
#include "daemon/base/poller.h"
#include "tests/suite.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CAPACITY 1000
#define MANY 9000 /* with two events each more than a queue holds */
#define BYTES 4096

static struct poller *poller;
static struct gone gone;

static bool before_wait(void *context)
{
    (void)context;
    return true;
}

static void nothing(void *context) { (void)context; }

static const struct poller_ops ops = {nothing, nothing, nothing, before_wait};

static void set_up(void)
{
    ck_assert_int_eq(poller_new(&poller, &ops, NULL), 0);
    ck_assert_int_eq(gone_init(&gone, poller, CAPACITY), 0);
}

static void tear_down(void)
{
    gone_deinit(&gone);
    gone_deinit(&gone); /* safe twice */
    poller = poller_free(poller);
}

static uint32_t n_gone, n_lost, last_owner;

static void count(void *context, uint32_t owner, bool is_lost)
{
    ck_assert_ptr_eq(context, &gone);
    n_gone += !is_lost;
    n_lost += is_lost;
    last_owner = owner;
}

/* Takes all that the poller tells of. Return: how many are gone; the last one's owner */
static uint32_t take_all(uint32_t *ret_owner)
{
    struct poller_event events[POLLER_EVENTS_MAX];
    int n_events;

    n_gone = n_lost = 0;
    while ((n_events = poller_look(poller, events)) > 0) {
        for (int i = 0; i < n_events; i++) {
            ck_assert_int_eq(events[i].kind, POLLER_GONE);
            gone_take(&gone, events[i].index, count, &gone);
        }
    }
    *ret_owner = last_owner;
    return n_gone;
}

static void expect_gone(uint32_t owner)
{
    uint32_t last = 0;

    ck_assert_uint_eq(take_all(&last), 1);
    ck_assert_uint_eq(last, owner);
}

static void expect_none(void)
{
    uint32_t last;

    ck_assert_uint_eq(take_all(&last), 0);
}

static int watched_memory(uint32_t owner)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, BYTES), 0);
    ck_assert_int_eq(gone_watch(&gone, fd, owner), 0);
    ck_assert_int_eq(fipc_memory_hide(fd), 0);
    return fd;
}

GROUP(watch, .fixtures = {HOLDINGS_KEPT, {set_up, tear_down}});

/* ---- what keeps memory ---- */

static int lane[2];
static void *mapping;
static int other_fd;

static void keep_fd(int fd) { other_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0); }

static void keep_mapping(int fd)
{
    mapping = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(mapping, MAP_FAILED);
}

static void keep_path(int fd)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    other_fd = open(path, O_PATH | O_CLOEXEC);
}

static void keep_in_flight(int fd)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
    ck_assert_int_eq(fipc_lane_send_packet(lane[0], "x", 1, &fd, 1), 0);
    (void)close(lane[0]); /* as a broker that has closed the slot */
}

static void let_fd_go(void)
{
    ck_assert_int_ge(other_fd, 0);
    (void)close(other_fd);
}

static void let_mapping_go(void) { (void)munmap(mapping, BYTES); }

static void let_packet_go(void) { (void)close(lane[1]); }

static const struct {
    void (*keep)(int fd);
    void (*let_go)(void);
} keepers[] = {
    {keep_fd, let_fd_go},
    {keep_mapping, let_mapping_go},
    {keep_path, let_fd_go},
    {keep_in_flight, let_packet_go},
};

LOOP_TEST(memory_is_gone_with_the_last_that_keeps_it, COUNT_OF(keepers))
{
    int fd = watched_memory(77);

    keepers[_i].keep(fd);
    (void)close(fd);
    expect_none();
    keepers[_i].let_go();
    expect_gone(77);
    expect_none();
}

TEST(each_is_named_by_its_owner)
{
    int fds[3];

    for (uint32_t i = 0; i < 3; i++)
        fds[i] = watched_memory(10 + i);
    for (uint32_t i = 0; i < 3; i++) {
        (void)close(fds[(i + 1) % 3]);
        expect_gone(10 + (i + 1) % 3);
    }
}

/* ---- many ---- */

static int many[CAPACITY];

/* The queue of a set is never too short for what happens to its watches. */
TEST(none_is_missed_where_all_go_at_once)
{
    uint32_t owner, count = 0, n_sets;

    gone.watches_per_set = 100; /* the queues are longer, but as short as that in proportion */
    for (uint32_t i = 0; i < CAPACITY; i++)
        many[i] = watched_memory(i);
    n_sets = gone.n_sets;
    ck_assert_uint_eq(n_sets, CAPACITY / 100);
    for (uint32_t i = 0; i < CAPACITY; i++)
        (void)close(many[i]);
    count = take_all(&owner);
    ck_assert_uint_eq(count, CAPACITY);
    (void)close(watched_memory(5));
    expect_gone(5);
    ck_assert_uint_eq(gone.n_sets, n_sets); /* used again */
}

TEST(unread_event_takes_the_place_of_its_watch)
{
    int fd;

    gone.watches_per_set = 1;
    (void)close(watched_memory(1));
    fd = watched_memory(2);
    ck_assert_uint_eq(gone.n_sets, 2);
    expect_gone(1);
    (void)close(fd);
    expect_gone(2);
}

static void set_up_many(void)
{
    ck_assert_int_eq(poller_new(&poller, &ops, NULL), 0);
    ck_assert_int_eq(gone_init(&gone, poller, MANY + 1), 0);
    gone.watches_per_set = MANY + 1;
}

GROUP(overflow, .timeout = 60, .fixtures = {HOLDINGS_KEPT, {set_up_many, tear_down}});

/* As where a sandbox hides that queues are short. */
TEST(none_is_missed_where_a_queue_was_too_short)
{
    int fd = watched_memory(MANY);
    uint32_t owner;

    for (uint32_t i = 0; i < MANY; i++)
        (void)close(watched_memory(i));
    ck_assert_uint_eq(take_all(&owner), MANY);
    ck_assert_uint_eq(n_lost, 1); /* asking it took its watch */
    (void)close(fd);
    expect_none();
    (void)close(watched_memory(7));
    expect_gone(7);
}

GROUP(short_of_watches, .fixtures = {HOLDINGS_KEPT, {set_up, tear_down}});

/* ---- no watch left ---- */

TEST(without_a_place_for_its_watch_memory_is_not_watched)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    gone.watches_per_set = 0; /* as where the system has queues of no length */
    ck_assert_int_eq(gone_watch(&gone, fd, 1), -ENOSPC);
    gone.watches_per_set = 1;
    for (uint32_t i = 0; i < GONE_SETS_MAX; i++)
        many[i] = watched_memory(i);
    ck_assert_int_eq(gone_watch(&gone, fd, 1), -ENOSPC);
    (void)close(fd);
    for (uint32_t i = 0; i < GONE_SETS_MAX; i++) {
        (void)close(many[i]);
        expect_gone(i);
    }
}

TEST(watches_beyond_the_capacity_leave_nothing)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    for (uint32_t i = 0; i < CAPACITY; i++)
        many[i] = watched_memory(i);
    ck_assert_int_eq(gone_watch(&gone, fd, 1), -ENOSPC);
    (void)close(fd);
    expect_none();
    for (uint32_t i = 0; i < CAPACITY; i++)
        (void)close(many[i]);
}

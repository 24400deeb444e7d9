/* SPDX-License-Identifier: MIT */
/* Two ends of one channel: what one publishes the other finds, and is rung for if it sleeps. */
#include "common/channel.h"

#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static struct fipc_channel client, broker;
static int lane[2], eventfd_fd;

static void make_channel(void)
{
    struct fipc_region made, opened;
    int fd;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
    eventfd_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ck_assert_int_eq(fipc_region_create(&made, &fd, "test", 4096, 8192, FIPC_PLACES_MIN), 0);
    ck_assert_int_eq(fipc_region_open(&opened, fd, 4096, 8192, FIPC_PLACES_MIN), 0);
    (void)fd_close(fd);
    fipc_channel_init(&broker, FIPC_SIDE_BROKER, &made,
                      (struct fipc_bell){FIPC_BELL_LANE, lane[0]});
    fipc_channel_init(&client, FIPC_SIDE_CLIENT, &opened,
                      (struct fipc_bell){FIPC_BELL_EVENTFD, eventfd_fd});
    ck_assert_ptr_null(made.base); /* consumed */
    ck_assert_ptr_null(opened.base);
}

static void drop_channel(void)
{
    fipc_channel_deinit(&client);
    fipc_channel_deinit(&client); /* safe twice */
    fipc_channel_deinit(&broker);
    eventfd_fd = fd_close(eventfd_fd);
    lane[0] = fd_close(lane[0]);
    lane[1] = fd_close(lane[1]);
}

static int n_bells_of_broker(void)
{
    eventfd_t count = 0;

    (void)eventfd_read(eventfd_fd, &count);
    return (int)count;
}

static int n_bells_of_client(void)
{
    char byte;
    int count = 0;

    while (recv(lane[1], &byte, 1, MSG_DONTWAIT) == 1)
        count++;
    return count;
}

static void send_one(struct fipc_channel *channel, uint64_t id)
{
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .id = id};

    ck_assert_int_eq(fipc_producer_send(&channel->out, &header, NULL, 0), 0);
}

static void expect_one(struct fipc_channel *channel, uint64_t id)
{
    struct fipc_header header;
    const void *payload;

    ck_assert_int_eq(fipc_consumer_take(&channel->in, &header, &payload), 0);
    ck_assert_uint_eq(header.id, id);
    fipc_consumer_release(&channel->in);
}

/* ---- both ways ---- */

GROUP(both_ways, .fixtures = {HOLDINGS_KEPT, {make_channel, drop_channel}});

TEST(each_end_receives_what_the_other_sends)
{
    for (uint64_t id = 0; id < 1000; id += 3) { /* through several wraps of both rings */
        send_one(&client, id);
        send_one(&broker, id + 1);
        send_one(&broker, id + 2);
        expect_one(&broker, id);
        expect_one(&client, id + 1);
        expect_one(&client, id + 2);
    }
    ck_assert(!fipc_consumer_has_news(&client.in));
    ck_assert(!fipc_consumer_has_news(&broker.in));
}

TEST(each_end_has_the_ring_size_of_its_direction)
{
    ck_assert_uint_eq(client.out.capacity, 4096);
    ck_assert_uint_eq(broker.in.capacity, 4096);
    ck_assert_uint_eq(client.in.capacity, 8192);
    ck_assert_uint_eq(broker.out.capacity, 8192);
}

TEST(each_end_sees_how_the_other_sleeps)
{
    fipc_end_arm(client.own, FIPC_END_ASLEEP_FUTEX);
    ck_assert_uint_eq(atomic_load(&broker.peer->word), FIPC_END_ASLEEP_FUTEX);
    ck_assert_uint_eq(atomic_load(&broker.own->word), FIPC_END_AWAKE);
    fipc_end_close(broker.own);
    ck_assert(fipc_end_is_closing(client.peer));
    ck_assert(!fipc_end_is_closing(client.own));
}

TEST(nothing_stays_mapped)
{
    drop_channel();
    ck_assert_ptr_null(client.region.base);
    expect_same_holdings();
    make_channel();
}

/* ---- ringing ---- */

GROUP(ringing, .fixtures = {HOLDINGS_KEPT, {make_channel, drop_channel}});

TEST(who_is_awake_is_not_rung)
{
    client.bell.fd = broker.bell.fd = -1; /* ringing would fail */

    ck_assert_int_eq(fipc_channel_ring(&client, FIPC_NEWS_RECORDS | FIPC_NEWS_ROOM), 0);
    ck_assert_int_eq(fipc_channel_ring(&broker, FIPC_NEWS_RECORDS | FIPC_NEWS_ROOM), 0);
}

TEST(who_sleeps_on_its_fds_is_rung_once)
{
    fipc_end_arm(broker.own, FIPC_END_ASLEEP_FD);
    fipc_end_arm(client.own, FIPC_END_ASLEEP_FD);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fipc_channel_ring(&client, FIPC_NEWS_RECORDS), 0);
        ck_assert_int_eq(fipc_channel_ring(&broker, FIPC_NEWS_RECORDS), 0);
    }
    ck_assert_int_eq(n_bells_of_broker(), 1);
    ck_assert_int_eq(n_bells_of_client(), 1);
}

TEST(room_rings_only_who_waits_for_room)
{
    fipc_end_arm(client.own, FIPC_END_ASLEEP_FD);
    ck_assert_int_eq(fipc_channel_ring(&broker, FIPC_NEWS_ROOM), 0);
    ck_assert_int_eq(n_bells_of_client(), 0);

    fipc_end_arm(client.own, FIPC_END_ASLEEP_FD | FIPC_END_ROOM);
    ck_assert_int_eq(fipc_channel_ring(&broker, FIPC_NEWS_ROOM), 0);
    ck_assert_int_eq(n_bells_of_client(), 1);
}

TEST(who_sleeps_on_its_word_is_woken_there)
{
    pid_t child = fork(); /* the broker's end: its region is inherited */

    if (child == 0) {
        fipc_end_arm(broker.own, FIPC_END_ASLEEP_FUTEX);
        _exit(fipc_end_sleep(broker.own, FIPC_END_ASLEEP_FUTEX, UINT64_MAX) == 0 ? 0 : 1);
    }
    wait_until_blocked(child, child, SYS_futex, (unsigned long)&broker.own->word);
    ck_assert_int_eq(fipc_channel_ring(&client, FIPC_NEWS_RECORDS), 0);
    ck_assert_int_eq(wait_for_exit(child), 0);
    ck_assert_int_eq(n_bells_of_broker(), 0);
}

TEST(without_news_not_even_the_word_is_looked_at)
{
    fipc_end_set(broker.own, 0);
    ck_assert_int_eq(fipc_channel_ring(&client, FIPC_NEWS_NONE), 0);
}

TEST(corrupt_word_is_reported_and_nobody_rung)
{
    fipc_end_set(broker.own, 0);
    ck_assert_int_eq(fipc_channel_ring(&client, FIPC_NEWS_RECORDS), -EBADMSG);
    ck_assert_int_eq(n_bells_of_broker(), 0);
}

TEST(peer_that_is_gone_is_reported)
{
    lane[1] = fd_close(lane[1]);
    fipc_end_arm(client.own, FIPC_END_ASLEEP_FD);
    ck_assert_int_eq(fipc_channel_ring(&broker, FIPC_NEWS_RECORDS), -EPIPE);
}

/* SPDX-License-Identifier: MIT */
/* What each answer to HELLO means, for a session and for a one-shot. A thread plays the broker. */
#include "client/link/greeting.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "common/region.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <fipc/client.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define RING_BYTES 4096u

/* What the broker does with a client that says HELLO. */
struct play {
    enum fipc_control_type type; /* of its answer; 0: it hangs up */
    uint32_t reason, retry_ms;   /* of REFUSED */
    uint16_t version;            /* of REFUSED; 0: ours */
    bool hears;                  /* it reads HELLO before it hangs up */
    unsigned n_fds;              /* of WELCOME */
    uint32_t region_bytes;       /* of the region's rings; 0: RING_BYTES */
};

static int listener_fd;
static struct sockaddr_un address;
static const struct play *plays; /* one for each connection, the last one again and again */
static int n_plays;
static unsigned n_connections;
static pthread_t broker;

static void send_welcome(int lane_fd, const struct play *play)
{
    uint32_t bytes = play->region_bytes != 0 ? play->region_bytes : RING_BYTES;
    struct fipc_control welcome = {.type = FIPC_CONTROL_WELCOME,
                                   .welcome = {.request_ring_bytes = RING_BYTES,
                                               .reply_ring_bytes = RING_BYTES,
                                               .handler_ms = 1000,
                                               .calls_max = 32,
                                               .n_places = FIPC_PLACES_MIN}};
    struct fipc_region region;
    int fds[2];

    ck_assert_int_eq(fipc_region_create(&region, &fds[0], "played", bytes, bytes, FIPC_PLACES_MIN),
                     0);
    fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)fipc_lane_send(lane_fd, &welcome, fds, play->n_fds);
    fipc_region_deinit(&region);
    (void)fd_close(fds[0]);
    (void)fd_close(fds[1]);
}

static void send_refused(int lane_fd, const struct fipc_control *refused, uint16_t version)
{
    struct fipc_control_head packet;

    fipc_control_head(refused, &packet);
    if (version != 0)
        memcpy(packet.bytes + offsetof(struct fipc_control_header, version), &version,
               sizeof(version));
    (void)send(lane_fd, packet.bytes, packet.size, MSG_NOSIGNAL);
}

static void answer(int lane_fd, const struct play *play)
{
    struct fipc_control control = {.type = play->type};
    static char hello[FIPC_PACKET_BYTES_MAX];

    if (play->hears || play->type != 0)
        (void)recv(lane_fd, hello, sizeof(hello), 0);
    if (play->type == FIPC_CONTROL_WELCOME) {
        send_welcome(lane_fd, play);
    } else if (play->type == FIPC_CONTROL_REFUSED) {
        control.refused = (struct fipc_farewell){play->reason, play->retry_ms};
        send_refused(lane_fd, &control, play->version);
    } else if (play->type != 0) {
        (void)fipc_lane_send(lane_fd, &control, NULL, 0);
    }
}

static void *play_broker(void *arg)
{
    int lane_fd;

    (void)arg;
    while ((lane_fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        int nth = (int)n_connections++;

        answer(lane_fd, &plays[nth < n_plays ? nth : n_plays - 1]);
        (void)close(lane_fd);
    }
    return NULL;
}

static void make_broker(void)
{
    address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/fipc-greeting-%d",
                   (int)getpid());
    (void)unlink(address.sun_path);
    listener_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener_fd, 8), 0);
    n_connections = 0;
}

static void start_broker(const struct play *all, int n)
{
    plays = all;
    n_plays = n;
    ck_assert_int_eq(pthread_create(&broker, NULL, play_broker, NULL), 0);
}

static void drop_broker(void)
{
    (void)shutdown(listener_fd, SHUT_RDWR);
    if (broker != 0)
        (void)pthread_join(broker, NULL);
    (void)close(listener_fd);
    (void)unlink(address.sun_path);
}

static int greet(bool is_oneshot, uint64_t span_ns)
{
    static unsigned char packet[FIPC_PACKET_BYTES_MAX];
    struct fipc_greeting greeting = {
        .address = &address,
        .hello = {.type = FIPC_CONTROL_HELLO,
                  .hello = {.flags = is_oneshot ? FIPC_HELLO_ONESHOT : 0,
                            .name_bytes = is_oneshot ? 1 : 0,
                            .id = is_oneshot},
                  .name = "a"},
        .connect_deadline_ns = fipc_now_ns() + span_ns,
        .deadline_ns = fipc_now_ns() + span_ns,
        .packet = packet,
        .packet_size = sizeof(packet),
    };
    int r = fipc_greet(&greeting);

    if (r == 0)
        ck_assert_int_eq(greeting.channel.region.base != NULL, !is_oneshot);
    fipc_greeting_end(&greeting);
    ck_assert_int_eq(greeting.lane_fd, -1);
    fipc_greeting_end(&greeting); /* safe twice */
    return r;
}

GROUP(answers, .fixtures = {HOLDINGS_KEPT, {make_broker, drop_broker}});

#define REFUSED(reason_)                                                                           \
    {                                                                                              \
        FIPC_CONTROL_REFUSED, .reason = (reason_)                                                  \
    }
#define FOR_NOW(reason_)                                                                           \
    {                                                                                              \
        FIPC_CONTROL_REFUSED, .reason = (reason_), .retry_ms = 1                                   \
    }

static const struct {
    struct play play;
    int session, oneshot; /* what fipc_greet() returns */
} rows[] = {
    {{.type = FIPC_CONTROL_WELCOME, .n_fds = 2}, 0, -EPROTO},
    {{.type = FIPC_CONTROL_WELCOME, .n_fds = 1}, -EPROTO, -EPROTO},
    {{.type = FIPC_CONTROL_WELCOME, .n_fds = 0}, -EPROTO, -EPROTO},
    {{.type = FIPC_CONTROL_WELCOME, .n_fds = 2, .region_bytes = 2 * RING_BYTES}, -EPROTO, -EPROTO},
    {{.type = FIPC_CONTROL_ONESHOT_REPLY}, -EPROTO, 0},
    {{.type = FIPC_CONTROL_GOODBYE}, -EPROTO, -EPROTO},
    {REFUSED(FIPC_REASON_QUOTA), -EDQUOT, -EDQUOT},
    {REFUSED(FIPC_REASON_RING_BYTES), -EINVAL, -EINVAL},
    {REFUSED(FIPC_REASON_NO_SLOT), -EAGAIN, -EAGAIN},
    {REFUSED(FIPC_REASON_SHORT), -EAGAIN, -EAGAIN},
    {REFUSED(FIPC_REASON_VERSION), -EPROTONOSUPPORT, -EPROTONOSUPPORT},
    {{FIPC_CONTROL_REFUSED, .reason = FIPC_REASON_QUOTA, .version = 77},
     -EPROTONOSUPPORT,
     -EPROTONOSUPPORT},
    {REFUSED(FIPC_REASON_STOPPING), -ECONNREFUSED, -ECONNREFUSED},
    {REFUSED(FIPC_REASON_COUNT), -EPROTO, -EPROTO},
    {FOR_NOW(FIPC_REASON_NO_SLOT), -EAGAIN, -EAGAIN},         /* until the deadline */
    {FOR_NOW(FIPC_REASON_QUOTA), -EDQUOT, -EDQUOT},           /* the broker's last word */
    {{.type = 0, .hears = true}, -ECONNREFUSED, -ECONNRESET}, /* a one-shot is not said twice */
    {{.type = 0, .hears = false}, -ECONNREFUSED, -ECONNREFUSED},
};

LOOP_TEST(each_answer_to_a_session, COUNT_OF(rows))
{
    start_broker(&rows[_i].play, 1);
    ck_assert_int_eq(greet(false, 60 * FIPC_NS_PER_MS), rows[_i].session);
}

LOOP_TEST(each_answer_to_a_oneshot, COUNT_OF(rows))
{
    start_broker(&rows[_i].play, 1);
    ck_assert_int_eq(greet(true, 60 * FIPC_NS_PER_MS), rows[_i].oneshot);
}

TEST(both_versions_are_named_where_they_differ)
{
    static const struct play other[] = {
        {FIPC_CONTROL_REFUSED, .reason = FIPC_REASON_VERSION, .version = 77},
        {FIPC_CONTROL_REFUSED, .reason = FIPC_REASON_VERSION}};
    char expected[128];

    start_broker(other, COUNT_OF(other));
    ck_assert_int_eq(greet(false, FIPC_NS_PER_S), -EPROTONOSUPPORT);
    (void)snprintf(expected, sizeof(expected),
                   "the broker speaks version 77 of the protocol, this library version %d",
                   FIPC_CONTROL_VERSION);
    ck_assert_str_eq(fipc_strerror(-EPROTONOSUPPORT), expected);
    ck_assert_int_eq(greet(false, FIPC_NS_PER_S), -EPROTONOSUPPORT);
    (void)snprintf(expected, sizeof(expected),
                   "the broker speaks another version of the protocol than this library, which "
                   "speaks %d",
                   FIPC_CONTROL_VERSION);
    ck_assert_str_eq(fipc_strerror(EPROTONOSUPPORT), expected);
}

TEST(a_broker_on_its_way_up_is_tried_again)
{
    static const struct play row[] = {{.type = 0, .hears = true},
                                      FOR_NOW(FIPC_REASON_NO_SLOT),
                                      {.type = FIPC_CONTROL_WELCOME, .n_fds = 2}};

    start_broker(row, COUNT_OF(row));
    ck_assert_int_eq(greet(false, 3 * FIPC_NS_PER_S), 0);
    ck_assert_uint_eq(n_connections, 3);
}

TEST(nobody_listens_until_the_deadline)
{
    uint64_t started_ns = fipc_now_ns();

    (void)unlink(address.sun_path);
    ck_assert_int_eq(greet(false, 20 * FIPC_NS_PER_MS), -ECONNREFUSED);
    ck_assert_uint_ge(fipc_now_ns() - started_ns, 20 * FIPC_NS_PER_MS);
}

TEST(a_path_that_is_no_socket_of_a_broker_ends_at_once)
{
    (void)close(listener_fd);
    (void)unlink(address.sun_path);
    listener_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(greet(false, 10 * FIPC_NS_PER_S), -EPROTO);
}

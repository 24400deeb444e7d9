/* SPDX-License-Identifier: MIT */
#include "tests/integration/fake_broker.h"

#include "common/os/os.h"
#include "tests/integration/broker.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

void fake_init(struct fake_broker *fake, int backlog)
{
    *fake = (struct fake_broker){.lane_fd = -1, .region_fd = -1, .bell_fd = -1};
    (void)snprintf(fake->folder, sizeof(fake->folder), "/tmp/fipc-fake.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fake->folder));
    fake->address.sun_family = AF_UNIX;
    (void)snprintf(fake->address.sun_path, sizeof(fake->address.sun_path), "%s/control.sock",
                   fake->folder);
    fake->listener_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fake->listener_fd, 0);
    ck_assert_int_eq(
        bind(fake->listener_fd, (const struct sockaddr *)&fake->address, sizeof(fake->address)), 0);
    ck_assert_int_eq(listen(fake->listener_fd, backlog), 0);
}

void fake_deinit(struct fake_broker *fake)
{
    fake_drop(fake);
    fake->listener_fd = fd_close(fake->listener_fd);
    ck_assert_int_eq(remove(fake->address.sun_path), 0);
    ck_assert_int_eq(remove(fake->folder), 0);
}

static void wait_readable(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    TEST_WAIT_FOR(poll(&readable, 1, 1000) > 0);
}

void fake_accept(struct fake_broker *fake)
{
    unsigned char packet[FIPC_PACKET_BYTES_MAX];
    struct fipc_lane_fds fds;
    struct fipc_control hello;
    size_t size;

    wait_readable(fake->listener_fd);
    fake->lane_fd = accept4(fake->listener_fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(fake->lane_fd, 0);
    wait_readable(fake->lane_fd);
    ck_assert_int_eq(fipc_lane_receive(fake->lane_fd, packet, sizeof(packet), &size, &fds), 0);
    ck_assert_uint_eq(fds.count, 0);
    ck_assert_int_eq(fipc_control_decode(packet, size, &hello), 0);
    ck_assert_int_eq(hello.type, FIPC_CONTROL_HELLO);
    fake->hello = hello.hello;
}

void fake_drop(struct fake_broker *fake)
{
    fipc_channel_deinit(&fake->channel);
    fake->region_fd = fd_close(fake->region_fd);
    fake->bell_fd = fd_close(fake->bell_fd);
    fake->lane_fd = fd_close(fake->lane_fd);
}

void fake_send_packet(struct fake_broker *fake, const struct fipc_control *packet, const int *fds,
                      size_t n_fds)
{
    ck_assert_int_eq(fipc_lane_send(fake->lane_fd, packet, fds, n_fds), 0);
}

void fake_send_bytes(struct fake_broker *fake, const void *bytes, size_t size)
{
    ck_assert_int_eq(send(fake->lane_fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

void fake_refuse(struct fake_broker *fake, enum fipc_reason reason, uint32_t retry_ms)
{
    struct fipc_control refused = {
        .type = FIPC_CONTROL_REFUSED,
        .refused = {.reason = reason, .retry_ms = retry_ms},
    };

    fake_send_packet(fake, &refused, NULL, 0);
}

void fake_make_channel(struct fake_broker *fake)
{
    struct fipc_region region;

    ck_assert_int_eq(fipc_region_create(&region, &fake->region_fd, "fake", FAKE_RING_BYTES,
                                        FAKE_RING_BYTES, FIPC_PLACES_MAX),
                     0);
    fake->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ck_assert_int_ge(fake->bell_fd, 0);
    fipc_channel_init(&fake->channel, FIPC_SIDE_BROKER, &region,
                      (struct fipc_bell){.kind = FIPC_BELL_LANE, .fd = fake->lane_fd});
}

void fake_welcome(struct fake_broker *fake)
{
    struct fipc_control welcome = {
        .type = FIPC_CONTROL_WELCOME,
        .welcome = {.request_ring_bytes = FAKE_RING_BYTES,
                    .reply_ring_bytes = FAKE_RING_BYTES,
                    .handler_ms = 30000,
                    .calls_max = 1024,
                    .n_places = FIPC_PLACES_MAX},
    };

    fake_make_channel(fake);
    fake_send_packet(fake, &welcome, (const int[]){fake->region_fd, fake->bell_fd}, 2);
}

/* Return: whether there was a record */
static bool try_receive(struct fake_broker *fake)
{
    const void *payload;

    if (fipc_consumer_take(&fake->channel.in, &fake->header, &payload) < 0)
        return false;
    fake->payload_bytes = fipc_payload_size(&fake->header);
    memcpy(fake->payload, payload, fake->payload_bytes);
    fipc_consumer_release(&fake->channel.in);
    (void)fipc_channel_ring(&fake->channel, FIPC_NEWS_ROOM);
    return fake->header.kind != FIPC_KIND_SKIP;
}

bool fake_receive(struct fake_broker *fake)
{
    bool received = false;

    TEST_WAIT_FOR((received = try_receive(fake)) || fipc_lane_is_hung_up(fake->lane_fd));
    return received;
}

void fake_send(struct fake_broker *fake, const struct fipc_header *header, const void *payload,
               size_t size)
{
    ck_assert_int_eq(fipc_producer_send(&fake->channel.out, header, payload, size), 0);
    (void)fipc_channel_ring(&fake->channel, FIPC_NEWS_RECORDS);
}

void fake_send_control(struct fake_broker *fake, const struct fipc_header *header,
                       const struct fipc_control *control)
{
    unsigned char packet[256];
    size_t size;

    ck_assert_int_eq(fipc_control_encode(control, packet, sizeof(packet), &size), 0);
    fake_send(fake, header, packet, size);
}

void fake_answer(struct fake_broker *fake)
{
    static const struct fipc_control opened = {.type = FIPC_CONTROL_OPENED};
    struct fipc_header header = {.kind = fake->header.kind, .id = fake->header.id};

    if (fake->header.kind == FIPC_KIND_CONTROL) {
        header.target = FAKE_TARGET;
        fake_send_control(fake, &header, &opened);
    } else {
        header.kind = FIPC_KIND_REPLY;
        fake_send(fake, &header, fake->payload, fake->payload_bytes);
    }
}

void fake_receive_request(struct fake_broker *fake)
{
    ck_assert(fake_receive(fake));
    while (fake->header.kind == FIPC_KIND_CONTROL) {
        fake_answer(fake);
        ck_assert(fake_receive(fake));
    }
    ck_assert_int_eq(fake->header.kind, FIPC_KIND_REQUEST);
    ck_assert_uint_eq(fake->header.target, FAKE_TARGET);
}

void fake_serve(struct fake_broker *fake)
{
    while (fake_receive(fake))
        fake_answer(fake);
}

/* SPDX-License-Identifier: MIT */
#include "tests/integration/raw_client.h"

#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* How often a sleeper looks whether the peer is still there. */
#define LOOK_MS 100

static uint64_t raw_deadline(void)
{
    return fipc_deadline_after(fipc_now_ns(), RAW_DEADLINE_MS * FIPC_NS_PER_MS);
}

/* ---- the lane ---- */

uid_t raw_connect_uid;

int raw_connect_fd(int fd, const struct sockaddr_un *address)
{
    uid_t uid = raw_connect_uid;
    int r, error;

    if (uid != 0 && (setegid(uid) < 0 || seteuid(uid) < 0))
        return -1;
    r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    error = errno;
    if (uid != 0 && (seteuid(0) < 0 || setegid(0) < 0))
        return -1;
    errno = error;
    return r;
}

int raw_connect(struct raw_client *client, const char *socket_path)
{
    static const struct timeval limit = {.tv_sec = RAW_DEADLINE_MS / 1000};
    FIPC_CLEANUP(fd_closep) int fd = -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(socket_path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, socket_path, strlen(socket_path));
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
        return -errno;
    if (raw_connect_fd(fd, &address) < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    client->lane_fd = fd_steal(&fd);
    return 0;
}

void raw_close(struct raw_client *client)
{
    fipc_channel_deinit(&client->channel);
    (void)fd_close(client->lane_fd);
    (void)fd_close(client->region_fd);
    (void)fd_close(client->bell_fd);
    free(client->payload);
    *client = RAW_CLIENT_EMPTY;
}

int raw_send_bytes(struct raw_client *client, const void *bytes, size_t size, const int *fds,
                   size_t n_fds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FIPC_LANE_FDS_MAX * sizeof(int))];
    } ancillary = {.bytes = {0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (n_fds > 0) {
        message.msg_control = ancillary.bytes;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        ancillary.header.cmsg_level = SOL_SOCKET;
        ancillary.header.cmsg_type = SCM_RIGHTS;
        ancillary.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(&ancillary.header), fds, n_fds * sizeof(int));
    }
    return sendmsg(client->lane_fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int raw_send_packet(struct raw_client *client, const struct fipc_control *packet)
{
    return fipc_lane_send(client->lane_fd, packet, NULL, 0);
}

/* Waits for news on the lane: a packet or the hang-up. */
static int lane_wait(const struct raw_client *client, uint64_t deadline_ns)
{
    struct pollfd lane = {.fd = client->lane_fd, .events = POLLIN | POLLRDHUP};
    uint64_t now_ns = fipc_now_ns();

    if (now_ns >= deadline_ns)
        return -ETIMEDOUT;
    if (poll(&lane, 1, (int)((deadline_ns - now_ns) / FIPC_NS_PER_MS + 1)) < 0)
        return -errno;
    return lane.revents != 0 ? 0 : -ETIMEDOUT;
}

static int take_fds(struct raw_client *client, struct fipc_lane_fds *fds)
{
    if (fds->count == 2 && client->region_fd < 0 && client->bell_fd < 0) {
        client->region_fd = fds->fds[0];
        client->bell_fd = fds->fds[1];
        return 0;
    }
    if (fds->count == 0)
        return 0;
    fipc_lane_fds_close(fds);
    return -EBADMSG;
}

int raw_receive_packet(struct raw_client *client)
{
    uint64_t deadline_ns = raw_deadline();
    struct fipc_lane_fds fds;
    size_t size;
    int r;

    do {
        r = lane_wait(client, deadline_ns);
        if (r < 0)
            return r;
        r = fipc_lane_receive(client->lane_fd, client->packet_bytes, sizeof(client->packet_bytes),
                              &size, &fds);
    } while (r == -EAGAIN);
    if (r < 0) {
        fipc_lane_fds_close(&fds);
        return r;
    }
    r = take_fds(client, &fds);
    if (r < 0)
        return r;
    return fipc_control_decode(client->packet_bytes, size, &client->packet);
}

int raw_wait_hang_up(struct raw_client *client)
{
    uint64_t deadline_ns = raw_deadline();
    struct pollfd lane = {.fd = client->lane_fd, .events = POLLRDHUP};

    while (!fipc_lane_is_hung_up(client->lane_fd)) {
        if (fipc_now_ns() >= deadline_ns)
            return -ETIMEDOUT;
        (void)poll(&lane, 1, LOOK_MS);
    }
    return 0;
}

/* ---- a session ---- */

int raw_send_hello(struct raw_client *client, const struct fipc_hello *hello)
{
    struct fipc_control packet = {.type = FIPC_CONTROL_HELLO, .hello = *hello};

    return raw_send_packet(client, &packet);
}

int raw_await_welcome(struct raw_client *client)
{
    int r = raw_receive_packet(client);

    if (r < 0)
        return r;
    if (client->packet.type == FIPC_CONTROL_REFUSED)
        return -ECONNREFUSED;
    if (client->packet.type != FIPC_CONTROL_WELCOME || client->bell_fd < 0)
        return -EBADMSG;
    client->welcome = client->packet.welcome;
    return 0;
}

int raw_receive_welcome(struct raw_client *client)
{
    struct fipc_bell bell = {.kind = FIPC_BELL_EVENTFD, .fd = -1};
    struct fipc_region region;
    int r;

    r = raw_await_welcome(client);
    if (r < 0)
        return r;
    r = fipc_region_open(&region, client->region_fd, client->welcome.request_ring_bytes,
                         client->welcome.reply_ring_bytes, client->welcome.n_places);
    if (r < 0)
        return r;
    bell.fd = client->bell_fd;
    fipc_channel_init(&client->channel, FIPC_SIDE_CLIENT, &region, bell);
    client->payload = malloc(client->welcome.reply_ring_bytes);
    return client->payload == NULL ? -ENOMEM : raw_ring_bell(client);
}

int raw_open_session(struct raw_client *client, const char *socket_path,
                     uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    const struct fipc_hello hello = {
        .request_ring_bytes = request_ring_bytes,
        .reply_ring_bytes = reply_ring_bytes,
    };
    int r;

    r = raw_connect(client, socket_path);
    if (r == 0)
        r = raw_send_hello(client, &hello);
    return r < 0 ? r : raw_receive_welcome(client);
}

int raw_send_record(struct raw_client *client, const struct fipc_header *header,
                    const void *payload, size_t size)
{
    int r;

    r = fipc_producer_send(&client->channel.out, header, payload, size);
    if (r < 0)
        return r;
    return fipc_channel_ring(&client->channel, FIPC_NEWS_RECORDS);
}

int raw_ring_bell(struct raw_client *client) { return fipc_bell_ring(&client->channel.bell); }

/* Copies the oldest record. Return: 0; -EAGAIN there is none; -EBADMSG */
static int record_take(struct raw_client *client)
{
    const void *payload;
    int r;

    do {
        r = fipc_consumer_take(&client->channel.in, &client->header, &payload);
        if (r < 0)
            return r;
        client->payload_bytes = fipc_payload_size(&client->header);
        memcpy(client->payload, payload, client->payload_bytes);
        fipc_consumer_release(&client->channel.in);
    } while (client->header.kind == FIPC_KIND_SKIP);
    return 0;
}

int raw_try_receive_record(struct raw_client *client)
{
    int r = record_take(client);

    if (r == 0 && fipc_consumer_left_room(&client->channel.in))
        (void)fipc_channel_ring(&client->channel, FIPC_NEWS_ROOM);
    return r;
}

/* Sleeps until a record may have come, or for a moment. */
static void record_wait(struct raw_client *client)
{
    struct fipc_end *own = client->channel.own;

    fipc_end_arm(own, FIPC_END_ASLEEP_FUTEX);
    if (!fipc_consumer_has_news(&client->channel.in))
        (void)fipc_end_sleep(own, FIPC_END_ASLEEP_FUTEX, fipc_now_ns() + FIPC_END_FUTEX_NS);
    (void)fipc_end_disarm(own);
}

int raw_receive_record(struct raw_client *client)
{
    uint64_t deadline_ns = raw_deadline();

    for (;;) {
        int r = raw_try_receive_record(client);

        if (r != -EAGAIN)
            return r;
        if (fipc_lane_is_hung_up(client->lane_fd)) {
            /* all records published before the hang-up are there by now */
            r = raw_try_receive_record(client);
            return r == -EAGAIN ? -EPIPE : r;
        }
        if (fipc_now_ns() >= deadline_ns)
            return -ETIMEDOUT;
        record_wait(client);
    }
}

/* Reads the control packet of the record that was received last. */
static int record_decode(struct raw_client *client)
{
    if (client->header.kind != FIPC_KIND_CONTROL)
        return -EBADMSG;
    memcpy(client->packet_bytes, client->payload, client->payload_bytes);
    return fipc_control_decode(client->packet_bytes, client->payload_bytes, &client->packet);
}

int raw_receive_goodbye(struct raw_client *client, enum fipc_reason *ret_reason)
{
    int r;

    do {
        r = raw_receive_record(client);
        if (r < 0)
            return r;
    } while (record_decode(client) < 0 || client->packet.type != FIPC_CONTROL_GOODBYE);
    *ret_reason = client->packet.goodbye.reason;
    return raw_wait_hang_up(client);
}

/* Waits for the record of this kind that answers a question, passing over others. */
static int receive_answer(struct raw_client *client, enum fipc_kind kind, uint64_t id)
{
    int r;

    do
        r = raw_receive_record(client);
    while (r == 0 && (client->header.kind != kind || client->header.id != id));
    return r;
}

/* Sends a control record that the client gives the next id. */
static int send_control(struct raw_client *client, const struct fipc_control *control,
                        uint64_t remaining_ns)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_CONTROL,
        .id = ++client->last_id,
        .remaining_ns = remaining_ns,
    };
    unsigned char packet[sizeof(struct fipc_control_header) + sizeof(struct fipc_serve) +
                         FIPC_NAME_BYTES_MAX];
    size_t size;
    int r;

    r = fipc_control_encode(control, packet, sizeof(packet), &size);
    return r < 0 ? r : raw_send_record(client, &header, packet, size);
}

/* Return: its status, or why there was none */
static int ask(struct raw_client *client, const struct fipc_control *question,
               enum fipc_control_type answer, uint32_t *ret_target)
{
    int r = send_control(client, question, 0);

    if (r == 0)
        r = receive_answer(client, FIPC_KIND_CONTROL, client->last_id);
    if (r == 0)
        r = record_decode(client);
    if (r == 0 && client->packet.type != answer)
        r = -EBADMSG;
    if (r < 0)
        return r;
    *ret_target = client->header.target;
    return client->header.status;
}

int raw_open_name(struct raw_client *client, const char *name, uint32_t *ret_target)
{
    const struct fipc_control open = {
        .type = FIPC_CONTROL_OPEN,
        .open = {.name_bytes = (uint32_t)strlen(name)},
        .name = name,
    };

    return ask(client, &open, FIPC_CONTROL_OPENED, ret_target);
}

int raw_serve(struct raw_client *client, const char *name, uint32_t concurrency,
              uint32_t *ret_target)
{
    const struct fipc_control serve = {
        .type = FIPC_CONTROL_SERVE,
        .serve = {.name_bytes = (uint32_t)strlen(name), .concurrency = concurrency},
        .name = name,
    };

    return ask(client, &serve, FIPC_CONTROL_SERVED, ret_target);
}

int raw_send_wait(struct raw_client *client, const char *name, uint64_t remaining_ns,
                  uint64_t *ret_id)
{
    const struct fipc_control wait = {
        .type = FIPC_CONTROL_WAIT,
        .wait = {.name_bytes = (uint32_t)strlen(name)},
        .name = name,
    };
    int r = send_control(client, &wait, remaining_ns);

    *ret_id = client->last_id;
    return r;
}

int raw_take_request(struct raw_client *client, struct fipc_delivery *ret_delivery,
                     size_t *ret_data_at)
{
    int r = raw_receive_record(client);

    if (r < 0)
        return r;
    if (client->header.kind != FIPC_KIND_REQUEST || client->payload_bytes < sizeof(*ret_delivery))
        return -EBADMSG;
    memcpy(ret_delivery, client->payload, sizeof(*ret_delivery));
    *ret_data_at = sizeof(*ret_delivery) + ret_delivery->n_groups * sizeof(gid_t);
    return *ret_data_at <= client->payload_bytes ? 0 : -EBADMSG;
}

int raw_send_reply(struct raw_client *client, uint32_t number, uint64_t id, int32_t status,
                   const void *data, size_t size)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_REPLY, .target = number, .id = id, .status = status};

    return raw_send_record(client, &header, data, size);
}

int raw_send_request(struct raw_client *client, uint32_t target, const void *data, size_t size,
                     uint64_t *ret_id)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_REQUEST,
        .target = target,
        .id = client->last_id + 1,
    };
    int r;

    r = raw_send_record(client, &header, data, size);
    if (r == 0)
        *ret_id = ++client->last_id;
    return r;
}

int raw_call(struct raw_client *client, uint32_t target, const void *data, size_t size)
{
    uint64_t id;
    int r;

    r = raw_send_request(client, target, data, size, &id);
    if (r == 0)
        r = receive_answer(client, FIPC_KIND_REPLY, id);
    return r < 0 ? r : client->header.status;
}

/* ---- a one-shot ---- */

int raw_call_once(struct raw_client *client, const char *socket_path, const char *name,
                  const void *data, size_t size)
{
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello =
            {
                .flags = FIPC_HELLO_ONESHOT,
                .id = ++client->last_id,
                .name_bytes = (uint32_t)strlen(name),
                .data_bytes = (uint32_t)size,
            },
        .name = name,
        .data = data,
    };
    int r;

    r = raw_connect(client, socket_path);
    if (r == 0)
        r = raw_send_packet(client, &hello);
    if (r == 0)
        r = raw_receive_packet(client);
    if (r < 0)
        return r;
    if (client->packet.type == FIPC_CONTROL_REFUSED)
        return -ECONNREFUSED;
    if (client->packet.type != FIPC_CONTROL_ONESHOT_REPLY ||
        client->packet.oneshot_reply.id != client->last_id)
        return -EBADMSG;
    return client->packet.oneshot_reply.status;
}

/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/rogue_broker.h"

#include "common/lane.h"
#include "common/os/os.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUPS_MAX 8

/* The faults of a WELCOME. */
enum welcome_form {
    WELCOME_RIGHT,
    WELCOME_FDS_SWAPPED,
    WELCOME_FDS_MISSING,
    WELCOME_FDS_TOO_MANY,
    WELCOME_NOT_SEALED,
    WELCOME_OTHER_SIZES,
    WELCOME_FORM_COUNT,
};

static struct rogue broker = ROGUE_EMPTY;
static uint32_t n_targets;    /* that it gave out: 1, 2, ... */
static uint32_t last_served;  /* target */
static uint32_t n_deliveries; /* numbered likewise */

/* ---- on the lane ---- */

static int make_unsealed(size_t size)
{
    int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    FUZZ_CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    return fd;
}

static void make_channel(uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    struct fipc_region region;

    fipc_channel_deinit(&broker.channel);
    broker.sent = NULL;
    broker.region_fd = fd_close(broker.region_fd);
    broker.bell_fd = fd_close(broker.bell_fd);
    FUZZ_CHECK(fipc_region_create(&region, &broker.region_fd, "fuzz", request_ring_bytes,
                                  reply_ring_bytes, FIPC_PLACES_MIN) == 0);
    broker.bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    FUZZ_CHECK(broker.bell_fd >= 0);
    fipc_channel_init(&broker.channel, FIPC_SIDE_BROKER, &region,
                      (struct fipc_bell){.kind = FIPC_BELL_LANE, .fd = broker.lane_fd});
}

static void broker_welcomes(struct input *input)
{
    enum welcome_form form = input_byte(input) % WELCOME_FORM_COUNT;
    uint8_t rings = input_byte(input);
    uint32_t request_ring_bytes = UINT32_C(4096) << rings % 3;
    uint32_t reply_ring_bytes = UINT32_C(4096) << rings / 16 % 3;
    struct fipc_control welcome = {
        .type = FIPC_CONTROL_WELCOME,
        .welcome = {.request_ring_bytes = request_ring_bytes,
                    .reply_ring_bytes = reply_ring_bytes,
                    .handler_ms = input_u32(input),
                    .calls_max = 1024,
                    .n_places = FIPC_PLACES_MIN},
    };
    size_t n_fds = 2;
    int fds[4];

    make_channel(request_ring_bytes, reply_ring_bytes);
    if (form == WELCOME_NOT_SEALED) {
        (void)close(broker.region_fd);
        broker.region_fd = make_unsealed(broker.channel.region.size);
    }
    fds[0] = form == WELCOME_FDS_SWAPPED ? broker.bell_fd : broker.region_fd;
    fds[1] = form == WELCOME_FDS_SWAPPED ? broker.region_fd : broker.bell_fd;
    fds[2] = fds[3] = broker.bell_fd;
    if (form == WELCOME_FDS_MISSING || form == WELCOME_FDS_TOO_MANY)
        n_fds = form == WELCOME_FDS_MISSING ? 1 : 4;
    if (form == WELCOME_OTHER_SIZES)
        welcome.welcome.request_ring_bytes = input_u32(input);
    (void)fipc_lane_send(broker.lane_fd, &welcome, fds, n_fds);
}

static void broker_refuses(struct input *input)
{
    struct fipc_control refused = {
        .type = FIPC_CONTROL_REFUSED,
        .refused = {.reason = input_byte(input), .retry_ms = input_u32(input)},
    };

    (void)fipc_lane_send(broker.lane_fd, &refused, NULL, 0);
}

/* Hears HELLO, since its id has to be in the reply. */
static void broker_replies(struct input *input)
{
    static unsigned char packet[FIPC_PACKET_BYTES_MAX];
    struct fipc_control hello, reply = {.type = FIPC_CONTROL_ONESHOT_REPLY};
    size_t size;

    reply.oneshot_reply.status = (int32_t)input_u32(input);
    reply.data = input_bytes(input, input_u16(input) % FIPC_ONESHOT_REPLY_BYTES_MAX, &size);
    reply.oneshot_reply.data_bytes = (uint32_t)size;
    if (fipc_lane_receive_plain(broker.lane_fd, packet, sizeof(packet), &size) == 0 &&
        fipc_control_decode(packet, size, &hello) == 0)
        reply.oneshot_reply.id = hello.hello.id;
    (void)fipc_lane_send(broker.lane_fd, &reply, NULL, 0);
}

/* ---- in the rings ---- */

static void send_record(const struct fipc_header *header, const void *payload, size_t size)
{
    (void)fipc_producer_send(&broker.channel.out, header, payload, size);
    (void)fipc_channel_ring(&broker.channel, FIPC_NEWS_RECORDS);
}

static void send_control(const struct fipc_control *control, const struct fipc_header *header)
{
    unsigned char packet[64];
    size_t size;

    FUZZ_CHECK(fipc_control_encode(control, packet, sizeof(packet), &size) == 0);
    send_record(header, packet, size);
}

/* Sends what PIDFD asks for: the fd on the lane, and the record that announces it. */
static void announce_fd(const struct fipc_header *header)
{
    const struct fipc_control fds = {.type = FIPC_CONTROL_FDS,
                                     .announce = {.id = header->id, .n_fds = 1}};
    struct fipc_control announce = fds;

    announce.type = FIPC_CONTROL_ANNOUNCE;
    announce.announce.n_fds = fipc_lane_send(broker.lane_fd, &fds, &(int){STDIN_FILENO}, 1) == 0;
    send_control(&announce, header);
}

/* To the last record that it took, as an honest broker does, but for what it says. */
static void answer(int32_t status, const void *data, size_t size)
{
    struct fipc_control control = {.type = FIPC_CONTROL_OPENED};
    struct fipc_header header = {
        .kind = FIPC_KIND_CONTROL, .id = broker.taken.id, .status = status};

    if (broker.taken.kind != FIPC_KIND_CONTROL) {
        header.kind = FIPC_KIND_REPLY;
        send_record(&header, data, size);
        return;
    }
    if (broker.taken_type == FIPC_CONTROL_PIDFD && status == 0) {
        announce_fd(&header);
        return;
    }
    header.target = ++n_targets;
    if (broker.taken_type == FIPC_CONTROL_SERVE) {
        control.type = FIPC_CONTROL_SERVED;
        last_served = header.target;
    } else if (broker.taken_type == FIPC_CONTROL_WAIT) {
        control.type = FIPC_CONTROL_WAITED;
    } else if (broker.taken_type == FIPC_CONTROL_PIDFD) {
        control.type = FIPC_CONTROL_ANNOUNCE;
    }
    send_control(&control, &header);
}

static void broker_answers(struct input *input)
{
    int32_t status = (int32_t)input_u32(input);
    size_t size;
    const void *data = input_bytes(input, input_u16(input), &size);

    answer(status, data, size);
}

static void broker_obeys(void)
{
    while (rogue_take(&broker)) {
        if (broker.taken.kind == FIPC_KIND_REQUEST || broker.taken.kind == FIPC_KIND_CONTROL)
            answer(0, "yes", 3);
    }
}

static void broker_delivers(struct input *input)
{
    struct {
        struct fipc_delivery delivery;
        uint32_t groups[GROUPS_MAX];
    } by = {.delivery = {.number = ++n_deliveries, .uid = 1, .gid = 2, .pid = 3}};
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .id = n_deliveries};
    struct fipc_loan loan;
    size_t by_bytes, size;
    const void *data;
    uint8_t n_groups;

    header.target = input_byte(input);
    if (header.target == 0)
        header.target = last_served;
    n_groups = input_byte(input);
    by.delivery.n_groups = n_groups % (GROUPS_MAX + 1);
    by.delivery.name_bytes = n_groups >> 7; /* that is nonsense */
    by_bytes = sizeof(by.delivery) + by.delivery.n_groups * sizeof(by.groups[0]);
    data = input_bytes(input, input_u16(input), &size);
    if (fipc_producer_reserve(&broker.channel.out, by_bytes + size, &loan) < 0)
        return;
    memcpy(loan.payload, &by, by_bytes);
    if (size > 0)
        memcpy((unsigned char *)loan.payload + by_bytes, data, size);
    fipc_producer_commit(&broker.channel.out, &loan, &header);
    (void)fipc_channel_ring(&broker.channel, FIPC_NEWS_RECORDS);
}

static void broker_cancels(struct input *input)
{
    uint32_t number = n_deliveries - input_byte(input);

    send_record(&(struct fipc_header){.kind = FIPC_KIND_CANCEL, .target = number, .id = number},
                NULL, 0);
}

static void broker_has_room(struct input *input)
{
    send_control(&(struct fipc_control){.type = FIPC_CONTROL_ROOM},
                 &(struct fipc_header){.kind = FIPC_KIND_CONTROL, .target = input_byte(input)});
}

static void broker_says_goodbye(struct input *input)
{
    struct fipc_control goodbye = {.type = FIPC_CONTROL_GOODBYE};

    goodbye.goodbye.reason = input_byte(input);
    goodbye.goodbye.retry_ms = input_u16(input);
    send_control(&goodbye, &(struct fipc_header){.kind = FIPC_KIND_CONTROL});
}

/* ---- */

static void move_in_rings(struct input *input, enum broker_move move)
{
    switch (move) {
    case BROKER_ANSWERS:
        broker_answers(input);
        break;
    case BROKER_OBEYS:
        broker_obeys();
        break;
    case BROKER_DELIVERS:
        broker_delivers(input);
        break;
    case BROKER_CANCELS:
        broker_cancels(input);
        break;
    case BROKER_HAS_ROOM:
        broker_has_room(input);
        break;
    default:
        broker_says_goodbye(input);
    }
}

static void move_on_lane(struct input *input, enum broker_move move)
{
    switch (move) {
    case BROKER_WELCOMES:
        broker_welcomes(input);
        break;
    case BROKER_REFUSES:
        broker_refuses(input);
        break;
    default:
        broker_replies(input);
    }
}

/* A copy of its end may lie in the client's queue, and would keep the lane up. */
static void hang_up(void)
{
    if (broker.lane_fd >= 0)
        (void)shutdown(broker.lane_fd, SHUT_RDWR);
    rogue_hang_up(&broker);
}

bool rogue_broker_moves(struct input *input, unsigned move)
{
    if (move == BROKER_ROGUE + ROGUE_HANG_UP)
        hang_up();
    else if (move >= BROKER_ROGUE)
        rogue_step(&broker, (enum rogue_step)(move - BROKER_ROGUE), input);
    else if (broker.lane_fd < 0 || move == BROKER_WAITS)
        return false;
    else if (move < BROKER_ANSWERS)
        move_on_lane(input, (enum broker_move)move);
    else if (broker.channel.region.base != NULL)
        move_in_rings(input, (enum broker_move)move);
    return true;
}

int rogue_broker_accept(void)
{
    hang_up();
    return rogue_connect(&broker);
}

void rogue_broker_die(void)
{
    hang_up();
    n_targets = last_served = n_deliveries = 0;
}

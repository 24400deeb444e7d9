/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/rogue.h"

#include "common/os/os.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define FDS_MAX 4

/* ---- what nobody else can reach ---- */

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names them */
void __real_fipc_consumer_release(struct fipc_consumer *consumer);
void __wrap_fipc_consumer_release(struct fipc_consumer *consumer);
int __real_fipc_producer_send(struct fipc_producer *producer, const struct fipc_header *header,
                              const void *payload, size_t size);
int __wrap_fipc_producer_send(struct fipc_producer *producer, const struct fipc_header *header,
                              const void *payload, size_t size);

/* Nothing is taken that was not published, or that lies behind the ring. */
void __wrap_fipc_consumer_release(struct fipc_consumer *consumer)
{
    uint64_t offset = consumer->head & (consumer->capacity - 1);

    FUZZ_CHECK(offset + consumer->span <= consumer->capacity);
    FUZZ_CHECK(consumer->span <= consumer->tail - consumer->head);
    FUZZ_CHECK(consumer->tail - consumer->head <= consumer->capacity);
    __real_fipc_consumer_release(consumer);
}

/* Nothing is overwritten that was not taken. */
int __wrap_fipc_producer_send(struct fipc_producer *producer, const struct fipc_header *header,
                              const void *payload, size_t size)
{
    int r = __real_fipc_producer_send(producer, header, payload, size);

    FUZZ_CHECK(producer->tail - producer->head <= producer->capacity);
    return r;
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- on the lane ---- */

static void send_packet(const struct rogue *rogue, const void *packet, size_t size, size_t n_fds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } ancillary = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)packet, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    const int fds[FDS_MAX] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, rogue->lane_fd};

    if (n_fds > 0) {
        message.msg_control = ancillary.bytes;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        ancillary.header.cmsg_level = SOL_SOCKET;
        ancillary.header.cmsg_type = SCM_RIGHTS;
        ancillary.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(&ancillary.header), fds, n_fds * sizeof(int));
    }
    (void)sendmsg(rogue->lane_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A right header before the bytes, less of them if they don't fit. Return: the packet's size */
static size_t frame(unsigned char packet[FIPC_PACKET_BYTES_MAX], uint16_t type,
                    const uint8_t *bytes, size_t size)
{
    struct fipc_control_header header = {
        .magic = FIPC_CONTROL_MAGIC,
        .version = FIPC_CONTROL_VERSION,
        .type = type,
    };

    if (size > FIPC_PACKET_BYTES_MAX - sizeof(header))
        size = FIPC_PACKET_BYTES_MAX - sizeof(header);
    header.size = (uint32_t)(sizeof(header) + size);
    memcpy(packet, &header, sizeof(header));
    if (size > 0)
        memcpy(packet + sizeof(header), bytes, size);
    return sizeof(header) + size;
}

static void step_on_lane(const struct rogue *rogue, struct input *input, bool is_framed)
{
    unsigned char packet[FIPC_PACKET_BYTES_MAX];
    uint16_t type = is_framed ? input_u16(input) : 0;
    size_t size, n_fds = input_byte(input) % (FDS_MAX + 1);
    const uint8_t *bytes = input_bytes(input, input_u16(input), &size);

    if (is_framed)
        send_packet(rogue, packet, frame(packet, type, bytes, size), n_fds);
    else
        send_packet(rogue, bytes, size, n_fds);
}

/* ---- in the region ---- */

static void send_record(struct rogue *rogue, const struct fipc_header *header, const void *payload,
                        size_t size)
{
    struct fipc_loan loan;

    if (fipc_producer_reserve(&rogue->channel.out, size, &loan) < 0)
        return;
    if (size > 0)
        memcpy(loan.payload, payload, size);
    rogue->sent = (struct fipc_header *)loan.payload - 1;
    fipc_producer_commit(&rogue->channel.out, &loan, header);
    (void)fipc_channel_ring(&rogue->channel, FIPC_NEWS_RECORDS);
}

/* 255: of the last record that it took. */
static uint32_t read_target(const struct rogue *rogue, struct input *input)
{
    uint8_t target = input_byte(input);

    return target != UINT8_MAX ? target : rogue->taken.target;
}

static uint64_t read_id(const struct rogue *rogue, struct input *input)
{
    uint64_t id = input_u16(input);

    return id != 0 ? id : rogue->taken.id;
}

static void step_record(struct rogue *rogue, struct input *input)
{
    struct fipc_header header = {
        .kind = input_byte(input),
        .flags = input_byte(input),
        .target = read_target(rogue, input),
        .status = (int32_t)input_u32(input),
        .id = read_id(rogue, input),
        .remaining_ns = input_number(input, 8),
    };
    size_t size;
    const uint8_t *bytes = input_bytes(input, input_u16(input), &size);

    send_record(rogue, &header, bytes, size);
}

static void step_control(struct rogue *rogue, struct input *input)
{
    unsigned char packet[FIPC_PACKET_BYTES_MAX];
    uint16_t type = input_byte(input);
    struct fipc_header header = {.kind = FIPC_KIND_CONTROL, .id = read_id(rogue, input)};
    size_t size;
    const uint8_t *bytes = input_bytes(input, input_byte(input), &size);

    size = frame(packet, type, bytes, size);
    send_record(rogue, &header, packet, size);
}

static void step_poke(const struct rogue *rogue, struct input *input)
{
    const struct fipc_region *region = &rogue->channel.region;
    size_t size, offset = input_u16(input) % region->size;
    const uint8_t *bytes = input_bytes(input, input_byte(input), &size);

    if (size > region->size - offset)
        size = region->size - offset;
    if (size > 0)
        memcpy((unsigned char *)region->base + offset, bytes, size);
}

/* Adds to a position, or sets a word. */
static void step_word(const struct rogue *rogue, struct input *input)
{
    struct fipc_control_block *shared = fipc_region_control(&rogue->channel.region);
    _Atomic uint64_t *positions[] = {&shared->request.tail, &shared->request.head,
                                     &shared->reply.tail, &shared->reply.head};
    _Atomic uint32_t *words[] = {&shared->client.word, &shared->client.closing,
                                 &shared->broker.word, &shared->broker.closing};
    uint8_t which = input_byte(input) % 8;
    bool is_sum = input_byte(input) % 2 != 0;
    uint64_t value = input_number(input, 8);

    if (which < 4)
        atomic_store(positions[which], is_sum ? atomic_load(positions[which]) + value : value);
    else
        atomic_store(words[which - 4], (uint32_t)value);
}

static void step_bell(const struct rogue *rogue, struct input *input)
{
    uint32_t value = input_u32(input);

    if (rogue->channel.bell.kind == FIPC_BELL_EVENTFD)
        (void)eventfd_write(rogue->bell_fd, value);
    else
        (void)fipc_bell_ring(&rogue->channel.bell);
}

bool rogue_take(struct rogue *rogue)
{
    struct fipc_control_header control;
    struct fipc_header header;
    const void *payload;

    if (fipc_consumer_take(&rogue->channel.in, &header, &payload) < 0) {
        (void)fipc_channel_ring(&rogue->channel, FIPC_NEWS_ROOM);
        return false;
    }
    rogue->taken = header;
    rogue->taken_type = 0;
    if (header.kind == FIPC_KIND_CONTROL && header.size >= sizeof(header) + sizeof(control)) {
        memcpy(&control, payload, sizeof(control));
        rogue->taken_type = control.type;
    }
    fipc_consumer_release(&rogue->channel.in);
    return true;
}

static void step_take(struct rogue *rogue)
{
    while (rogue_take(rogue)) {
    }
}

static void step_punch(const struct rogue *rogue, struct input *input)
{
    off_t page = input_byte(input) % 8, pages = input_byte(input) % 8;

    if (pages == 0)
        (void)ftruncate(rogue->region_fd, 0);
    else
        (void)fallocate(rogue->region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        page * FIPC_REGION_PAGE, pages * FIPC_REGION_PAGE);
}

static void step_lie(const struct rogue *rogue, struct input *input)
{
    uint32_t size = input_u32(input);

    if (rogue->sent != NULL)
        rogue->sent->size = size;
}

static void step_in_region(struct rogue *rogue, enum rogue_step step, struct input *input)
{
    switch (step) {
    case ROGUE_RECORD:
        step_record(rogue, input);
        break;
    case ROGUE_CONTROL:
        step_control(rogue, input);
        break;
    case ROGUE_POKE:
        step_poke(rogue, input);
        break;
    case ROGUE_WORD:
        step_word(rogue, input);
        break;
    case ROGUE_BELL:
        step_bell(rogue, input);
        break;
    case ROGUE_TAKE:
        step_take(rogue);
        break;
    case ROGUE_LIE:
        step_lie(rogue, input);
        break;
    default:
        step_punch(rogue, input);
    }
}

/* ---- */

void rogue_step(struct rogue *rogue, enum rogue_step step, struct input *input)
{
    if (step == ROGUE_PACKET || step == ROGUE_BYTES) {
        if (rogue->lane_fd >= 0)
            step_on_lane(rogue, input, step == ROGUE_PACKET);
    } else if (step == ROGUE_HANG_UP) {
        rogue_hang_up(rogue);
    } else if (rogue->channel.region.base != NULL) {
        step_in_region(rogue, step, input);
    }
}

void rogue_hang_up(struct rogue *rogue)
{
    fipc_channel_deinit(&rogue->channel);
    rogue->sent = NULL;
    rogue->lane_fd = fd_close(rogue->lane_fd);
    rogue->region_fd = fd_close(rogue->region_fd);
    rogue->bell_fd = fd_close(rogue->bell_fd);
}

int rogue_connect(struct rogue *rogue)
{
    int lanes[2];

    rogue_hang_up(rogue);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lanes) == 0);
    rogue->lane_fd = lanes[1];
    return lanes[0];
}

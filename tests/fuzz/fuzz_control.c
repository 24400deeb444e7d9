/* SPDX-License-Identifier: MIT */
/*
 * Packets on a lane, with any bytes and any fds. An input is a row of packets:
 *
 *      how        1 byte   enum how
 *      n_fds      1 byte   how many fds go with it, cut to what the kernel takes
 *      kinds      1 byte   two bits for each kind of fd, in turn
 *      type       2 bytes  in the header that HOW_FRAMED writes
 *      size       2 bytes  and that many bytes, or as many as are left
 */
#include "common/control.h"
#include "common/lane.h"
#include "common/os/os.h"
#include "tests/fuzz/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define PACKETS_MAX 8
#define KINDS 4
/* Cuts off some packets. */
#define SMALL_BUFFER_BYTES 64

enum how {
    HOW_FRAMED = 1 << 0, /* a right header comes before the bytes */
    HOW_PLAIN = 1 << 1,  /* received as the broker does, who takes no fds */
    HOW_SMALL = 1 << 2,  /* into a small buffer */
    HOW_LEFT = 1 << 3,   /* not received: it lies in the lane when that is closed */
};

struct packet {
    unsigned char bytes[FIPC_PACKET_BYTES_MAX + sizeof(struct fipc_control_header)];
    size_t size;
    int fds[FIPC_LANE_FDS_MAX];
    size_t n_fds;
};

/* One fd of each kind, for all inputs. */
static int sample_fds[KINDS];

static void make_samples(void)
{
    int ends[2];

    if (sample_fds[0] != 0)
        return;
    sample_fds[0] = memfd_create("sample", MFD_CLOEXEC);
    sample_fds[1] = eventfd(0, EFD_CLOEXEC);
    FUZZ_CHECK(pipe2(ends, O_CLOEXEC) == 0);
    sample_fds[2] = ends[0];
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    sample_fds[3] = ends[0];
}

static void packet_read(struct input *input, uint8_t how, struct packet *packet)
{
    struct fipc_control_header header = {
        .magic = FIPC_CONTROL_MAGIC,
        .version = FIPC_CONTROL_VERSION,
    };
    size_t size, header_bytes = (how & HOW_FRAMED) != 0 ? sizeof(header) : 0;
    const uint8_t *bytes;
    uint8_t kinds;

    packet->n_fds = input_byte(input);
    if (packet->n_fds > FIPC_LANE_FDS_MAX)
        packet->n_fds = FIPC_LANE_FDS_MAX;
    kinds = input_byte(input);
    for (size_t i = 0; i < packet->n_fds; i++)
        packet->fds[i] = sample_fds[(kinds >> 2 * (i % KINDS)) % KINDS];
    header.type = input_u16(input);
    bytes = input_bytes(input, input_u16(input), &size);
    if (size > FIPC_PACKET_BYTES_MAX)
        size = FIPC_PACKET_BYTES_MAX;
    header.size = (uint32_t)(header_bytes + size);
    memcpy(packet->bytes, &header, header_bytes);
    if (size > 0)
        memcpy(packet->bytes + header_bytes, bytes, size);
    packet->size = header_bytes + size;
}

static void packet_send(int lane_fd, struct packet *packet)
{
    static char ancillary[CMSG_SPACE(FIPC_LANE_FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
    struct iovec part = {.iov_base = packet->bytes, .iov_len = packet->size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (packet->n_fds > 0) {
        struct cmsghdr *rights = (struct cmsghdr *)(void *)ancillary;

        message.msg_control = ancillary;
        message.msg_controllen = CMSG_SPACE(packet->n_fds * sizeof(int));
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(packet->n_fds * sizeof(int));
        memcpy(CMSG_DATA(rights), packet->fds, packet->n_fds * sizeof(int));
    }
    FUZZ_CHECK(sendmsg(lane_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)packet->size);
}

static bool is_same_file(int a, int b)
{
    struct stat status_a, status_b;

    FUZZ_CHECK(fstat(a, &status_a) == 0 && fstat(b, &status_b) == 0);
    return status_a.st_dev == status_b.st_dev && status_a.st_ino == status_b.st_ino;
}

/* All that were sent came, in order, and no child of ours gets them. */
static void check_fds(const struct packet *packet, const struct fipc_lane_fds *fds)
{
    FUZZ_CHECK(fds->count == packet->n_fds);
    for (size_t i = 0; i<fds->count; i += fds->count> 8 ? fds->count - 1 : 1) {
        FUZZ_CHECK(is_same_file(fds->fds[i], packet->fds[i]));
        FUZZ_CHECK((fcntl(fds->fds[i], F_GETFD) & FD_CLOEXEC) != 0);
    }
}

/* The decoded parts lie inside the packet; encoded and sent, they are the same packet again. */
static void check_decoded(const int lanes[2], const struct fipc_control *control,
                          const unsigned char *packet, size_t size)
{
    static unsigned char again[FIPC_PACKET_BYTES_MAX];
    struct fipc_lane_fds fds;
    size_t again_size = 0;

    FUZZ_CHECK((const unsigned char *)control->name <= (const unsigned char *)control->data);
    FUZZ_CHECK((const unsigned char *)control->data <= packet + size);
    FUZZ_CHECK(strcmp(fipc_control_type_name(control->type), "unknown") != 0);
    FUZZ_CHECK(fipc_reason_name(control->refused.reason) != NULL);

    FUZZ_CHECK(fipc_control_encode(control, again, size - 1, &again_size) == -EMSGSIZE);
    FUZZ_CHECK(fipc_control_encode(control, again, sizeof(again), &again_size) == 0);
    FUZZ_CHECK(again_size == size && memcmp(again, packet, size) == 0);

    FUZZ_CHECK(fipc_lane_send(lanes[1], control, sample_fds, KINDS) == 0);
    FUZZ_CHECK(fipc_lane_receive(lanes[0], again, sizeof(again), &again_size, &fds) == 0);
    FUZZ_CHECK(fds.count == KINDS && again_size == size && memcmp(again, packet, size) == 0);
    fipc_lane_fds_close(&fds);
}

/* In a block of exactly its size, so that ASan sees who reads past its end. */
static void decode(const int lanes[2], const unsigned char *packet, size_t size)
{
    unsigned char *exact = malloc(size);
    struct fipc_control control;

    FUZZ_CHECK(exact != NULL);
    memcpy(exact, packet, size);
    if (fipc_control_decode(exact, size, &control) == 0)
        check_decoded(lanes, &control, exact, size);
    free(exact);
}

/* Return: what a packet is received with */
static int expected(const struct packet *packet, uint8_t how, size_t buffer_size)
{
    if ((how & HOW_PLAIN) != 0 && packet->n_fds > 0)
        return -EPERM;
    if (packet->size > buffer_size)
        return -EMSGSIZE;
    return packet->size == 0 ? -EPIPE : 0;
}

/* Return: whether the lane can go on: a packet that was refused stays in it */
static bool receive(const int lanes[2], const struct packet *packet, uint8_t how)
{
    static unsigned char buffer[sizeof(packet->bytes)];
    struct fipc_lane_fds fds = {.count = 0};
    size_t buffer_size = (how & HOW_SMALL) != 0 ? SMALL_BUFFER_BYTES : sizeof(buffer);
    size_t size = 0;
    int r;

    if ((how & HOW_PLAIN) != 0) {
        r = fipc_lane_receive_plain(lanes[0], buffer, buffer_size, &size);
    } else {
        r = fipc_lane_receive(lanes[0], buffer, buffer_size, &size, &fds);
        check_fds(packet, &fds);
    }
    fipc_lane_fds_close(&fds);
    FUZZ_CHECK(r == expected(packet, how, buffer_size));
    if (r == 0) {
        FUZZ_CHECK(size == packet->size && memcmp(buffer, packet->bytes, size) == 0);
        decode(lanes, buffer, size);
    }
    return r != -EPERM;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct packet packet;
    struct input input = {data, size};
    int n_fds, lanes[2], n_packets = 0;
    bool is_empty = true;

    make_samples();
    n_fds = fuzz_count_fds();
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lanes) == 0);
    while (is_empty && input.left > 0 && n_packets++ < PACKETS_MAX) {
        uint8_t how = input_byte(&input);

        packet_read(&input, how, &packet);
        packet_send(lanes[1], &packet);
        is_empty = (how & HOW_LEFT) == 0 && receive(lanes, &packet, how);
    }
    FUZZ_CHECK(!fipc_lane_is_hung_up(lanes[0]));
    FUZZ_CHECK(fipc_lane_finish(lanes[0]) == is_empty);
    (void)close(lanes[0]);
    FUZZ_CHECK(fipc_lane_is_hung_up(lanes[1]));
    (void)close(lanes[1]);
    FUZZ_CHECK(fuzz_count_fds() == n_fds);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The broker in this process, turn by turn, between clients that do what they like with their
 * regions and lanes. An input is a row of steps: one byte enum step, one byte that chooses the
 * client, then what the step needs. Afterwards the broker holds nothing of them, and still answers
 * somebody honest.
 */
#include "common/channel.h"
#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/base/log.h"
#include "daemon/base/poller.h"
#include "daemon/broker.h"
#include "daemon/config/config.h"
#include "daemon/config/load.h"
#include "daemon/life/admission.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/rogue.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <syslog.h>

#define STEPS_MAX 64
/* One more than there are slots: somebody waits. */
#define CLIENTS 3
/* Turns of the loop after which an honest client has its answer, and nobody's remains are left. */
#define TURNS_MAX 64

enum step {
    STEP_TURN,    /* the loop runs once */
    STEP_CONNECT, /* and HELLO: flags, sizes of the rings as powers of two, service, data */
    STEP_ROGUE,   /* and on: enum rogue_step */
    STEP_COUNT = STEP_ROGUE + ROGUE_STEP_COUNT,
};

static struct broker broker;
static struct rogue clients[CLIENTS];

/* ---- the broker ---- */

/* Log entries are made, and go nowhere. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier): the linker names it */
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

/* NOLINTNEXTLINE(bugprone-reserved-identifier): the linker names it */
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    (void)bytes;
    FUZZ_CHECK(fd == STDERR_FILENO);
    return (ssize_t)size;
}

static void print_error(const char *line, void *userdata)
{
    (void)userdata;
    (void)fprintf(stderr, "%s\n", line);
}

static struct config *make_config(const char *folder)
{
    struct config *config;
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC);

    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(dprintf(fd,
                       "{\"control\": {\"socket\": \"%s/control.sock\"},"
                       " \"slots\": {\"count\": 2, \"per_uid\": 2, \"request_ring_bytes\": 4096,"
                       " \"reply_ring_bytes\": 4096, \"ring_bytes_max\": 8192},"
                       " \"dispatch\": {\"spin_us\": 0}}",
                       folder) > 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    FUZZ_CHECK(config_load(path, true, &config, print_error, NULL) == 0);
    (void)close(fd);
    return config;
}

/* One broker for all inputs. Nobody connects to its socket: clients are handed to it. */
static void start_broker(void)
{
    char folder[] = "/tmp/fipc-fuzz-XXXXXX";

    if (broker.core.config != NULL)
        return;
    FUZZ_CHECK(mkdtemp(folder) != NULL);
    log_set_level(LOG_DEBUG);
    FUZZ_CHECK(broker_init(&broker, make_config(folder)) == 0);
    listener_close(&broker.listener);
    FUZZ_CHECK(rmdir(folder) == 0);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = ROGUE_EMPTY;
}

static void turn(void)
{
    const struct handler_table *handlers = &broker.core.handlers;
    uint64_t n_ended = 0;

    poller_run_once(broker.core.poller);
    for (int i = 0; i < HANDLER_OUTCOME_COUNT; i++)
        n_ended += handlers->n_ended[i];
    FUZZ_CHECK(handlers->n_started == n_ended + handlers->n_live);
}

/* ---- a client ---- */

/* Connects without a word. */
static void connect_client(struct rogue *client)
{
    admission_admit(&broker.admission, rogue_connect(client));
}

/* Takes its end of the channel if it was welcomed. */
static void hear_welcome(struct rogue *client)
{
    static unsigned char packet[FIPC_PACKET_BYTES_MAX];
    struct fipc_lane_fds fds;
    struct fipc_control answer;
    struct fipc_region region;
    size_t size;

    if (client->lane_fd < 0 || client->channel.region.base != NULL ||
        fipc_lane_receive(client->lane_fd, packet, sizeof(packet), &size, &fds) < 0)
        return;
    FUZZ_CHECK(fipc_control_decode(packet, size, &answer) == 0);
    if (answer.type != FIPC_CONTROL_WELCOME) {
        FUZZ_CHECK(fds.count == 0);
        return;
    }
    FUZZ_CHECK(fds.count == 2);
    client->region_fd = fds.fds[0];
    client->bell_fd = fds.fds[1];
    if (fipc_region_open(&region, client->region_fd, answer.welcome.request_ring_bytes,
                         answer.welcome.reply_ring_bytes, answer.welcome.n_places) < 0) {
        rogue_hang_up(client); /* it is taken back already */
        return;
    }
    fipc_channel_init(&client->channel, FIPC_SIDE_CLIENT, &region,
                      (struct fipc_bell){.kind = FIPC_BELL_EVENTFD, .fd = client->bell_fd});
    FUZZ_CHECK(fipc_bell_ring(&client->channel.bell) == 0);
}

/* ---- steps ---- */

static void step_connect(struct rogue *client, struct input *input)
{
    static const char *const services[] = {"fipc.echo", "fipc.ping", "fipc.list", "fipc.stats",
                                           "fipc.delay"};
    unsigned char packet[FIPC_PACKET_BYTES_MAX];
    uint8_t flags = input_byte(input), rings = input_byte(input);
    const char *service = services[input_byte(input) % (sizeof(services) / sizeof(services[0]))];
    size_t size, data_bytes;
    const uint8_t *data = input_bytes(input, input_byte(input), &data_bytes);
    struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello =
            {
                .flags = flags,
                .wait_ms = UINT32_MAX,
                .request_ring_bytes = UINT32_C(1) << rings % 16,
                .reply_ring_bytes = UINT32_C(1) << rings / 16,
                .id = 1,
                .name_bytes = (uint32_t)((flags & 1) != 0 ? strlen(service) : 0),
                .data_bytes = (uint32_t)data_bytes,
            },
        .name = service,
        .data = data,
    };

    connect_client(client);
    FUZZ_CHECK(fipc_control_encode(&hello, packet, sizeof(packet), &size) == 0);
    (void)send(client->lane_fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    turn();
    hear_welcome(client);
}

static void run_step(struct input *input)
{
    unsigned step = input_byte(input) % STEP_COUNT;
    struct rogue *client = &clients[input_byte(input) % CLIENTS];

    if (step == STEP_CONNECT) {
        step_connect(client, input);
    } else if (step == STEP_TURN) {
        turn();
        hear_welcome(client);
    } else {
        if (client->lane_fd < 0)
            connect_client(client);
        rogue_step(client, (enum rogue_step)(step - STEP_ROGUE), input);
    }
}

/* ---- afterwards ---- */

static void wait_for_closer(void)
{
    while (closer_collect(&broker.closer, &broker.core.accounts, broker.core.now_ns) > 0)
        (void)sched_yield();
}

static void check_nothing_is_left(void)
{
    for (int i = 0; i < TURNS_MAX && (slot_n_taken(&broker.core.slots) > 0 ||
                                      broker.core.n_waiting > 0 || broker.core.hot.count > 0);
         i++) {
        wait_for_closer();
        turn();
    }
    wait_for_closer();
    FUZZ_CHECK(slot_n_taken(&broker.core.slots) == 0);
    FUZZ_CHECK(broker.core.n_waiting == 0);
    FUZZ_CHECK(broker.core.hot.count == 0);
    FUZZ_CHECK(broker.core.handlers.n_live == 0);
}

static void check_honest_client_is_served(void)
{
    static const char text[] = "hello";
    static unsigned char packet[FIPC_PACKET_BYTES_MAX];
    struct fipc_control answer, hello = {
                                    .type = FIPC_CONTROL_HELLO,
                                    .hello = {.flags = FIPC_HELLO_ONESHOT,
                                              .id = 7,
                                              .name_bytes = sizeof("fipc.echo") - 1,
                                              .data_bytes = sizeof(text)},
                                    .name = "fipc.echo",
                                    .data = text,
                                };
    struct rogue *client = &clients[0];
    struct fipc_lane_fds fds;
    size_t size;
    int r = -EAGAIN;

    connect_client(client);
    FUZZ_CHECK(fipc_lane_send(client->lane_fd, &hello, NULL, 0) == 0);
    for (int i = 0; i < TURNS_MAX && r == -EAGAIN; i++) {
        turn();
        r = fipc_lane_receive(client->lane_fd, packet, sizeof(packet), &size, &fds);
    }
    FUZZ_CHECK(r == 0 && fipc_control_decode(packet, size, &answer) == 0);
    FUZZ_CHECK(answer.type == FIPC_CONTROL_ONESHOT_REPLY && answer.oneshot_reply.status == 0);
    FUZZ_CHECK(answer.oneshot_reply.data_bytes == sizeof(text) &&
               memcmp(answer.data, text, sizeof(text)) == 0);
    rogue_hang_up(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    int n_fds;

    start_broker();
    n_fds = fuzz_count_fds();
    for (int i = 0; i < STEPS_MAX && input.left > 0; i++)
        run_step(&input);
    turn();
    for (int i = 0; i < CLIENTS; i++)
        rogue_hang_up(&clients[i]);
    check_nothing_is_left();
    check_honest_client_is_served();
    check_nothing_is_left();
    FUZZ_CHECK(fuzz_count_fds() == n_fds);
    return 0;
}

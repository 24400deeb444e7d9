/* SPDX-License-Identifier: MIT */
#include "tests/stress/test_crowd_fixture.h"

#include "common/os/os.h"
#include "tests/bench/process_memory.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define PAYLOAD_BYTES 64

/* ---- the broker ---- */

void crowd_broker_pause(const struct test_broker *broker)
{
    int status;

    ck_assert_int_eq(kill(broker->pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(broker->pid, &status, WUNTRACED), broker->pid);
    ck_assert(WIFSTOPPED(status));
}

void crowd_broker_resume(const struct test_broker *broker)
{
    ck_assert_int_eq(kill(broker->pid, SIGCONT), 0);
}

/* Opens a file of /proc/PID. */
static FILE *open_proc(const struct test_broker *broker, const char *name)
{
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", broker->pid, name);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    return file;
}

bool crowd_broker_is_asleep(const struct test_broker *broker)
{
    char line[512], *after_name;
    FILE *file = open_proc(broker, "stat");

    ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
    (void)fclose(file);
    after_name = strrchr(line, ')');
    ck_assert_ptr_nonnull(after_name);
    return after_name[2] == 'S';
}

int crowd_count_mappings(const struct test_broker *broker)
{
    FILE *file = open_proc(broker, "maps");
    char line[4096];
    int count = 0;

    while (fgets(line, sizeof(line), file) != NULL)
        count++;
    (void)fclose(file);
    return count;
}

long crowd_rss_kib(const struct test_broker *broker)
{
    struct process_memory memory;

    ck_assert_int_eq(process_memory_of(broker->pid, &memory), 0);
    return (long)memory.rss;
}

long long crowd_number(const struct test_broker *broker, const char *path)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    long long value;

    ck_assert_int_eq(raw_call_once(&client, broker->socket, "fipc.stats", NULL, 0), 0);
    value = test_report_number(client.packet.data, client.packet.oneshot_reply.data_bytes, path);
    raw_close(&client);
    return value;
}

/* ---- clients ---- */

/* They are large: pages of a mapping are there only once they are used. */
struct raw_client *crowd_clients_new(int count)
{
    struct raw_client *clients = mmap(NULL, (size_t)count * sizeof(*clients),
                                      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert(clients != MAP_FAILED);
    for (int i = 0; i < count; i++)
        clients[i].lane_fd = clients[i].region_fd = clients[i].bell_fd = -1;
    return clients;
}

struct raw_client *crowd_clients_free(struct raw_client *clients, int count)
{
    if (clients == NULL)
        return NULL;
    for (int i = 0; i < count; i++) {
        if (clients[i].lane_fd >= 0)
            raw_close(&clients[i]);
    }
    ck_assert_int_eq(munmap(clients, (size_t)count * sizeof(*clients)), 0);
    return NULL;
}

static int connect_now(struct raw_client *client, const struct test_broker *broker)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", broker->socket);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || raw_connect_fd(fd, &address) < 0)
        return -errno;
    client->lane_fd = fd_steal(&fd);
    return 0;
}

/* What the client with this number sends: no two send the same. */
static void write_payload(uint32_t payload[PAYLOAD_BYTES / sizeof(uint32_t)], int number)
{
    for (size_t i = 0; i < PAYLOAD_BYTES / sizeof(uint32_t); i++)
        payload[i] = (uint32_t)number * UINT32_C(2654435761) + (uint32_t)i;
}

static bool is_payload(const void *data, size_t size, int number)
{
    uint32_t payload[PAYLOAD_BYTES / sizeof(uint32_t)];

    write_payload(payload, number);
    return size == sizeof(payload) && memcmp(data, payload, sizeof(payload)) == 0;
}

int crowd_send_session(struct raw_client *client, const struct test_broker *broker)
{
    const struct fipc_hello hello = {.wait_ms = UINT32_MAX};
    int r;

    r = connect_now(client, broker);
    return r < 0 ? r : raw_send_hello(client, &hello);
}

int crowd_send_oneshot(struct raw_client *client, const struct test_broker *broker, int number)
{
    static const char name[] = "fipc.echo";
    uint32_t payload[PAYLOAD_BYTES / sizeof(uint32_t)];
    const struct fipc_control hello = {
        .type = FIPC_CONTROL_HELLO,
        .hello =
            {
                .flags = FIPC_HELLO_ONESHOT,
                .wait_ms = UINT32_MAX,
                .id = (uint64_t)number,
                .name_bytes = sizeof(name) - 1,
                .data_bytes = sizeof(payload),
            },
        .name = name,
        .data = payload,
    };
    int r;

    write_payload(payload, number);
    r = connect_now(client, broker);
    return r < 0 ? r : raw_send_packet(client, &hello);
}

int crowd_receive_oneshot(struct raw_client *client, int number)
{
    const struct fipc_control *packet = &client->packet;
    int r;

    r = raw_receive_packet(client);
    if (r < 0)
        return r;
    if (packet->type == FIPC_CONTROL_REFUSED)
        return -ECONNREFUSED;
    if (packet->type != FIPC_CONTROL_ONESHOT_REPLY ||
        packet->oneshot_reply.id != (uint64_t)number ||
        !is_payload(packet->data, packet->oneshot_reply.data_bytes, number))
        return -EBADMSG;
    return packet->oneshot_reply.status;
}

int crowd_send_call(struct raw_client *client, uint32_t echo, int number)
{
    uint32_t payload[PAYLOAD_BYTES / sizeof(uint32_t)];
    uint64_t id;

    write_payload(payload, number);
    return raw_send_request(client, echo, payload, sizeof(payload), &id);
}

int crowd_receive_call(struct raw_client *client, int number)
{
    int r;

    r = raw_receive_record(client);
    if (r < 0)
        return r;
    if (client->header.kind != FIPC_KIND_REPLY || client->header.id != client->last_id ||
        !is_payload(client->payload, client->payload_bytes, number))
        return -EBADMSG;
    return client->header.status;
}

int crowd_call(struct raw_client *client, uint32_t echo, int number)
{
    int r;

    r = crowd_send_call(client, echo, number);
    return r < 0 ? r : crowd_receive_call(client, number);
}

bool crowd_has_answer(const struct raw_client *client)
{
    struct pollfd lane = {.fd = client->lane_fd, .events = POLLIN};

    return poll(&lane, 1, 0) > 0;
}

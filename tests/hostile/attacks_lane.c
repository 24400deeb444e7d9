/* SPDX-License-Identifier: MIT */
/* The socket: packets, fds, and connections that come and go. */
#include "tests/hostile/attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GIANT_BYTES (200 << 10)
#define CROWD 200

static const struct fipc_hello session_hello;

static void pause_a_moment(void)
{
    static const struct timespec moment = {.tv_nsec = 500000};

    (void)nanosleep(&moment, NULL);
}

static void garbage(struct attack_scene *scene)
{
    static unsigned char bytes[4096];

    while (attack_goes_on(scene)) {
        struct raw_client client = RAW_CLIENT_EMPTY;
        size_t size = attack_random(scene, sizeof(bytes));

        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)attack_random(scene, 256);
        if (raw_connect(&client, scene->socket) == 0)
            (void)raw_send_bytes(&client, bytes, size, NULL, 0);
        raw_close(&client);
    }
}

/* A greeting that ends too soon, has one byte changed, or goes on and on. */
static void half_and_giant_packets(struct attack_scene *scene)
{
    unsigned char *bytes = calloc(1, GIANT_BYTES);
    const struct fipc_control hello = {.type = FIPC_CONTROL_HELLO};
    size_t size = 0;

    if (bytes == NULL || fipc_control_encode(&hello, bytes, GIANT_BYTES, &size) < 0)
        size = 0;
    while (size > 0 && attack_goes_on(scene)) {
        struct raw_client client = RAW_CLIENT_EMPTY;
        size_t at = attack_random(scene, size);

        if (raw_connect(&client, scene->socket) < 0)
            continue;
        bytes[at] ^= 0x40;
        if (attack_random(scene, 3) == 0)
            (void)raw_send_bytes(&client, bytes, GIANT_BYTES - attack_random(scene, 1000), NULL, 0);
        else
            (void)raw_send_bytes(&client, bytes, attack_random(scene, size + 2), NULL, 0);
        bytes[at] ^= 0x40;
        (void)raw_send_bytes(&client, bytes, size, NULL, 0);
        raw_close(&client);
    }
    free(bytes);
}

/* ---- fds ---- */

/* A TCP connection whose last close(2) waits a second. Return: -1: there is none */
static int slow_to_close(void)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 1};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    static const char data[65536];
    int listening_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(listening_fd, (struct sockaddr *)&address, size) == 0 &&
        listen(listening_fd, 1) == 0 &&
        getsockname(listening_fd, (struct sockaddr *)&address, &size) == 0 &&
        connect(fd, (struct sockaddr *)&address, size) == 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        while (send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            ;
    }
    (void)close(listening_fd);
    return fd;
}

/* From none to as many as one packet can carry, of all kinds, with and without a greeting. */
static void fds_of_all_kinds(struct attack_scene *scene)
{
    int kinds[4];

    kinds[0] = eventfd(0, EFD_CLOEXEC);
    kinds[1] = slow_to_close();
    kinds[2] = dup(STDERR_FILENO);
    kinds[3] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    while (attack_goes_on(scene)) {
        struct raw_client client = RAW_CLIENT_EMPTY;
        int fds[FIPC_LANE_FDS_MAX];
        size_t count = attack_random(scene, FIPC_LANE_FDS_MAX + 1);

        if (raw_connect(&client, scene->socket) < 0)
            continue;
        for (size_t i = 0; i < count; i++)
            fds[i] = attack_random(scene, 8) == 0 ? client.lane_fd /* over itself */
                                                  : kinds[attack_random(scene, 4)];
        if (attack_random(scene, 2) == 0)
            (void)raw_send_hello(&client, &session_hello);
        (void)raw_send_bytes(&client, "x", 1, fds, count);
        raw_close(&client);
    }
    for (int i = 0; i < 4; i++)
        (void)close(kinds[i]);
}

/* Sessions whose WELCOME, with two fds in it, nobody takes. */
static void welcomes_never_read(struct attack_scene *scene)
{
    struct raw_client clients[CROWD];

    for (int i = 0; i < CROWD; i++)
        clients[i] = RAW_CLIENT_EMPTY;
    while (attack_goes_on(scene)) {
        for (int i = 0; i < CROWD && attack_goes_on(scene); i++) {
            raw_close(&clients[i]);
            if (raw_connect(&clients[i], scene->socket) == 0)
                (void)raw_send_hello(&clients[i], &session_hello);
        }
        pause_a_moment();
    }
    for (int i = 0; i < CROWD; i++)
        raw_close(&clients[i]);
}

/* ---- connections ---- */

static void dies_at_every_step(struct attack_scene *scene)
{
    while (attack_goes_on(scene)) {
        struct raw_client client = RAW_CLIENT_EMPTY;
        uint64_t steps = attack_random(scene, 7), id;
        uint32_t echo = 0;

        (void)(steps < 1 || raw_connect(&client, scene->socket) < 0 || steps < 2 ||
               raw_send_hello(&client, &session_hello) < 0 || steps < 3 ||
               raw_receive_welcome(&client) < 0 || steps < 4 ||
               raw_open_name(&client, "fipc.delay", &echo) < 0 || steps < 5 ||
               raw_send_request(&client, echo, "100", 3, &id) < 0 || steps < 6 ||
               raw_try_receive_record(&client) < 0);
        raw_close(&client);
    }
}

static void connect_storm(struct attack_scene *scene)
{
    while (attack_goes_on(scene)) {
        struct raw_client clients[16];

        for (int i = 0; i < 16; i++) {
            clients[i] = RAW_CLIENT_EMPTY;
            (void)raw_connect(&clients[i], scene->socket);
        }
        for (int i = 0; i < 16; i++)
            raw_close(&clients[i]);
    }
}

/* Connections that say nothing, and take the seats of others of this uid. */
static void slow_greetings(struct attack_scene *scene)
{
    struct raw_client clients[CROWD];

    for (int i = 0; i < CROWD; i++)
        clients[i] = RAW_CLIENT_EMPTY;
    while (attack_goes_on(scene)) {
        for (int i = 0; i < CROWD && attack_goes_on(scene); i++) {
            if (clients[i].lane_fd < 0 || attack_is_thrown_out(&clients[i])) {
                raw_close(&clients[i]);
                (void)raw_connect(&clients[i], scene->socket);
            }
        }
        pause_a_moment();
    }
    for (int i = 0; i < CROWD; i++)
        raw_close(&clients[i]);
}

const struct attack attacks_on_lane[] = {
    {.name = "garbage", .run = garbage},
    {.name = "half and giant packets", .run = half_and_giant_packets},
    {.name = "fds of all kinds", .run = fds_of_all_kinds},
    {.name = "welcomes never read", .run = welcomes_never_read},
    {.name = "dies at every step", .run = dies_at_every_step},
    {.name = "connect storm", .run = connect_storm},
    {.name = "slow greetings", .run = slow_greetings},
    {0},
};

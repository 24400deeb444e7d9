/* SPDX-License-Identifier: MIT */
/* The fds by which both ends wake each other, and what their other holder can do with them. */
#include "tests/hostile/attack.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define WATCHERS 5000
#define EVENTFD_FULL UINT64_C(0xfffffffffffffffe)

/* O_NONBLOCK belongs to the open file that both hold: a process that writes or reads now may wait
 * for ever. */
static void blocking_bell(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        uint64_t value = EVENTFD_FULL;

        if (!attack_enter(scene, &client, &echo))
            continue;
        for (int i = 0; i < 50; i++) {
            struct pollfd readable = {.fd = client.bell_fd, .events = POLLIN};

            (void)fcntl(client.bell_fd, F_SETFL, O_NONBLOCK);
            (void)!write(client.bell_fd, &value, sizeof(value));
            (void)fcntl(client.bell_fd, F_SETFL, 0);
            attack_request(&client, echo);
            if (poll(&readable, 1, 0) == 1)
                (void)!read(client.bell_fd, &value, sizeof(value));
            value = EVENTFD_FULL;
        }
    }
    raw_close(&client);
}

static void *storm(void *argument)
{
    const struct raw_client *client = argument;

    while (!attack_is_thrown_out(client)) {
        for (int i = 0; i < 100; i++)
            attack_ring(client);
    }
    return NULL;
}

/* Rings without any news, from two threads. */
static void ring_storm(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    pthread_t thread;
    uint32_t echo;

    while (attack_goes_on(scene) && !attack_enter(scene, &client, &echo))
        ;
    if (!attack_goes_on(scene) || pthread_create(&thread, NULL, storm, &client) != 0)
        return;
    while (attack_goes_on(scene))
        attack_ring(&client);
    (void)shutdown(client.lane_fd, SHUT_RDWR);
    (void)pthread_join(thread, NULL);
    raw_close(&client);
}

/* Each wake-up that the broker sends goes through all of them. */
static void watchers(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    int sets[WATCHERS];
    int count = 0;
    uint32_t echo = 0;

    while (attack_goes_on(scene) && !attack_enter(scene, &client, &echo))
        ;
    while (count < WATCHERS && attack_goes_on(scene)) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};

        sets[count] = epoll_create1(EPOLL_CLOEXEC);
        if (sets[count] < 0)
            break;
        (void)epoll_ctl(sets[count++], EPOLL_CTL_ADD, client.lane_fd, &event);
    }
    while (attack_goes_on(scene) && !attack_is_thrown_out(&client)) {
        char bytes[64];

        atomic_store(&client.channel.own->word, FIPC_END_ASLEEP_FD);
        attack_request(&client, echo);
        (void)recv(client.lane_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    }
    while (count > 0)
        (void)close(sets[--count]);
    raw_close(&client);
}

/* What the broker wakes, or is woken by, is gone, or is something else now. */
static void fds_reused(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        int pair[2];

        if (!attack_enter(scene, &client, &echo) ||
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
            continue;
        attack_request(&client, echo);
        switch (attack_random(scene, 4)) {
        case 0:
            (void)shutdown(client.lane_fd, SHUT_RD);
            break;
        case 1:
            (void)shutdown(client.lane_fd, SHUT_WR);
            break;
        case 2:
            (void)dup2(pair[0], client.lane_fd);
            break;
        default:
            (void)dup2(pair[0], client.bell_fd);
        }
        atomic_store(&client.channel.own->word, FIPC_END_ASLEEP_FD);
        attack_request(&client, echo);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
    raw_close(&client);
}

const struct attack attacks_on_bells[] = {
    {.name = "blocking bell", .run = blocking_bell},
    {.name = "ring storm", .run = ring_storm},
    {.name = "watchers", .run = watchers},
    {.name = "fds reused", .run = fds_reused},
    {0},
};

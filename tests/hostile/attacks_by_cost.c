/* SPDX-License-Identifier: MIT */
/* Acts that cost a client little and the broker much: system calls on a file that many watch, and
 * many small ones that fall due at one moment. */
#include "tests/hostile/attack.h"

#include "common/clock.h"
#include "tests/integration/poll_crowd.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FLOOD_THREADS 4000
#define FLOOD_WORDS 128 /* as many as futex_waitv(2) takes */
#define FLOOD_STACK_BYTES (64 << 10)
#define CROWD_MOMENTS 4
#define SEATED 32
#define DYING 200
#define WAITING 4000
#define HALF_OPEN 8000
#define CALLING 256
#define LISTED 2000

static void wait_a_moment(void)
{
    static const struct timespec moment = {.tv_nsec = 500000};

    (void)nanosleep(&moment, NULL);
}

static struct raw_client *clients_new(size_t count)
{
    struct raw_client *clients = calloc(count, sizeof(*clients));

    if (clients == NULL)
        _exit(1);
    for (size_t i = 0; i < count; i++)
        clients[i] = RAW_CLIENT_EMPTY;
    return clients;
}

static void clients_close(struct raw_client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++)
        raw_close(&clients[i]);
}

/* ---- wake-ups ---- */

static void *sleep_on_words(void *argument)
{
    struct futex_waitv waits[FLOOD_WORDS];
    uint32_t *words = argument;

    for (int i = 0; i < FLOOD_WORDS; i++)
        waits[i] = (struct futex_waitv){.uaddr = (uintptr_t)&words[i], .flags = FUTEX_32};
    (void)syscall(SYS_futex_waitv, waits, FLOOD_WORDS, 0, NULL, 0);
    return NULL;
}

/* Sleeps on half a million shared words, and never says a word to the broker: each wake-up of
 * anybody walks those that share its bucket of the kernel's table. */
static void futex_flood(struct attack_scene *scene)
{
    size_t bytes = (size_t)FLOOD_THREADS * FLOOD_WORDS * sizeof(uint32_t);
    uint32_t *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;

    if (words == MAP_FAILED || pthread_attr_init(&attributes) != 0)
        return;
    (void)pthread_attr_setstacksize(&attributes, FLOOD_STACK_BYTES);
    for (int i = 0; i < FLOOD_THREADS && attack_goes_on(scene); i++)
        (void)pthread_create(&thread, &attributes, sleep_on_words, words + (size_t)i * FLOOD_WORDS);
    while (attack_goes_on(scene))
        wait_a_moment();
}

/* A crowd on this fd of a client, which most often hangs there in time. */
static bool hang_crowd(struct poll_crowd *crowd, int fd, short events)
{
    if (poll_crowd_start(crowd, fd, events) < 0)
        return false;
    for (int i = 0; i < CROWD_MOMENTS; i++)
        wait_a_moment();
    return true;
}

/* WELCOME, and the close that follows, walk all that watch the lane. */
static void watched_greetings(struct attack_scene *scene)
{
    static const struct fipc_hello hello;

    while (attack_goes_on(scene)) {
        struct raw_client client = RAW_CLIENT_EMPTY;
        struct poll_crowd crowd;

        if (raw_connect(&client, scene->socket) < 0 || !hang_crowd(&crowd, client.lane_fd, POLLIN))
            continue;
        if (raw_send_hello(&client, &hello) < 0)
            (void)shutdown(client.lane_fd, SHUT_RDWR);
        poll_crowd_end(&crowd);
        raw_close(&client);
    }
}

/* The broker takes the bell of a session that ends out of its set, from among all that watch it. */
static void watched_bells(struct attack_scene *scene)
{
    static const uint64_t one = 1;

    while (attack_goes_on(scene)) {
        struct raw_client client = RAW_CLIENT_EMPTY;
        struct poll_crowd crowd;
        uint32_t echo;

        if (!attack_enter(scene, &client, &echo) ||
            !hang_crowd(&crowd, client.bell_fd, POLLHUP | POLLERR)) {
            raw_close(&client);
            continue;
        }
        (void)!write(client.bell_fd, &one, sizeof(one));
        (void)shutdown(client.lane_fd, SHUT_RDWR);
        wait_a_moment();
        (void)pthread_cancel(crowd.thread);
        poll_crowd_end(&crowd);
        raw_close(&client);
    }
}

/* ---- many at one moment ---- */

/* Calls in as many sessions as there are to be had, all due at one moment before the end. */
static void calls_due_at_once(struct attack_scene *scene)
{
    uint64_t due_ns = scene->end_ns - (scene->end_ns - fipc_now_ns()) / 4;
    struct raw_client *clients = clients_new(CALLING);

    for (int i = 0; i < CALLING && fipc_now_ns() < due_ns; i++) {
        uint32_t delay, echo;
        uint64_t id;
        char ms[24];

        if (!attack_enter(scene, &clients[i], &echo) ||
            raw_open_name(&clients[i], "fipc.delay", &delay) < 0)
            break;
        do
            (void)snprintf(ms, sizeof(ms), "%llu",
                           (unsigned long long)((due_ns - fipc_now_ns()) / FIPC_NS_PER_MS));
        while (raw_send_request(&clients[i], delay, ms, strlen(ms), &id) == 0 &&
               fipc_now_ns() < due_ns);
    }
    while (attack_goes_on(scene))
        wait_a_moment();
    clients_close(clients, CALLING);
    free(clients);
}

static void greet_all(struct attack_scene *scene, struct raw_client *clients, size_t count,
                      const struct fipc_hello *hello)
{
    for (size_t i = 0; i < count && attack_goes_on(scene); i++) {
        if (raw_connect(&clients[i], scene->socket) < 0)
            return;
    }
    for (size_t i = 0; i < count && hello != NULL && attack_goes_on(scene); i++)
        (void)raw_send_hello(&clients[i], hello);
}

/* As many HELLO at once as the broker reads in a row, each for a region of its own. */
static void seated_in_a_row(struct attack_scene *scene)
{
    static const struct fipc_hello hello;
    struct raw_client *clients = clients_new(SEATED);

    while (attack_goes_on(scene)) {
        greet_all(scene, clients, SEATED, &hello);
        for (int i = 0; i < SEATED && attack_goes_on(scene); i++)
            (void)raw_await_welcome(&clients[i]);
        clients_close(clients, SEATED);
    }
    free(clients);
}

static void waiting_room(struct attack_scene *scene)
{
    static const struct fipc_hello hello = {.wait_ms = 60000};
    struct raw_client *clients = clients_new(WAITING);

    while (attack_goes_on(scene)) {
        greet_all(scene, clients, WAITING, &hello);
        clients_close(clients, WAITING);
    }
    free(clients);
}

static void half_open_greetings(struct attack_scene *scene)
{
    struct raw_client *clients = clients_new(HALF_OPEN);

    while (attack_goes_on(scene)) {
        greet_all(scene, clients, HALF_OPEN, NULL);
        clients_close(clients, HALF_OPEN);
    }
    free(clients);
}

/* Opens sessions, says so, and is killed with all of them. */
static void die_with_sessions(struct attack_scene *scene, int pipe_fd)
{
    struct raw_client *clients = clients_new(DYING);
    uint32_t echo;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < DYING && attack_goes_on(scene); i++) {
        if (!attack_enter(scene, &clients[i], &echo))
            break;
    }
    (void)!write(pipe_fd, "", 1);
    (void)pause();
    _exit(0);
}

static void deaths_at_once(struct attack_scene *scene)
{
    while (attack_goes_on(scene)) {
        int fds[2];
        pid_t pid;
        char byte;

        if (pipe(fds) < 0)
            return;
        pid = fork();
        if (pid == 0)
            die_with_sessions(scene, fds[1]);
        (void)close(fds[1]);
        (void)!read(fds[0], &byte, 1);
        (void)close(fds[0]);
        if (pid > 0) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
        }
    }
}

/* Sessions that come, ring their bells without news, and go. */
static void short_storms(struct attack_scene *scene)
{
    struct raw_client *clients = clients_new(SEATED);

    while (attack_goes_on(scene)) {
        struct raw_client *client = &clients[attack_random(scene, SEATED)];
        uint32_t echo;

        (void)attack_enter(scene, client, &echo);
        for (int i = 0; i < 20 * SEATED; i++) {
            if (clients[i % SEATED].bell_fd >= 0)
                attack_ring(&clients[i % SEATED]);
        }
    }
    clients_close(clients, SEATED);
    free(clients);
}

/* ---- reports ---- */

static void ask_for_lists(struct raw_client *client, uint32_t list)
{
    uint64_t id;

    while (raw_try_receive_record(client) == 0)
        ;
    while (raw_send_request(client, list, "", 0, &id) == 0)
        ;
}

/* Serves many names, and asks for the list of all of them all the time. */
static void long_lists(struct attack_scene *scene)
{
    struct raw_client *clients = clients_new(SEATED);
    uint32_t lists[SEATED] = {0}, target, echo;
    char name[64];

    for (int i = 0; i < SEATED && attack_goes_on(scene); i++) {
        if (attack_enter(scene, &clients[i], &echo))
            (void)raw_open_name(&clients[i], "fipc.list", &lists[i]);
    }
    for (int i = 0; i < LISTED && attack_goes_on(scene); i++) {
        (void)snprintf(name, sizeof(name), "com.example.u%u.n%d", (unsigned)getuid(), i);
        (void)raw_serve(&clients[i % SEATED], name, 1, &target);
    }
    while (attack_goes_on(scene)) {
        for (int i = 0; i < SEATED; i++) {
            if (clients[i].lane_fd >= 0)
                ask_for_lists(&clients[i], lists[i]);
        }
    }
    clients_close(clients, SEATED);
    free(clients);
}

const struct attack attacks_by_cost[] = {
    {.name = "futex flood", .run = futex_flood, .ready_ms = 1500},
    {.name = "watched greetings", .run = watched_greetings, .n_uids = 4},
    {.name = "watched bells", .run = watched_bells, .n_uids = 4},
    {.name = "calls due at once", .run = calls_due_at_once},
    {.name = "seated in a row", .run = seated_in_a_row},
    {.name = "waiting room", .run = waiting_room, .n_uids = 4},
    {.name = "half-open greetings", .run = half_open_greetings},
    {.name = "deaths at once", .run = deaths_at_once, .n_uids = 4},
    {.name = "short storms", .run = short_storms},
    {.name = "long lists", .run = long_lists, .n_uids = 8, .ready_ms = 1000},
    {0},
};

/* SPDX-License-Identifier: MIT */
/* The memory that a client shares with the broker: all of it may change at any moment. */
#include "common/os/os.h"
#include "tests/hostile/attack.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAITERS 1000

static struct fipc_control_block *control_of(const struct raw_client *client)
{
    return fipc_region_control(&client->channel.region);
}

/* Any value, or one near to what is right. */
static uint64_t twist(struct attack_scene *scene, uint64_t value)
{
    switch (attack_random(scene, 4)) {
    case 0:
        return attack_random(scene, UINT64_MAX);
    case 1:
        return value + attack_random(scene, 2) * 2 - 1;
    case 2:
        return value + 32 * (attack_random(scene, 5) - 2);
    default:
        return value ^ UINT64_C(1) << attack_random(scene, 64);
    }
}

static void positions(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        struct fipc_control_block *control;
        _Atomic uint64_t *words[4];
        size_t which = attack_random(scene, 4);

        if (!attack_enter(scene, &client, &echo))
            continue;
        control = control_of(&client);
        words[0] = &control->request.tail;
        words[1] = &control->request.head;
        words[2] = &control->reply.tail;
        words[3] = &control->reply.head;
        attack_request(&client, echo);
        atomic_store(words[which], twist(scene, atomic_load(words[which])));
        attack_ring(&client);
        while (attack_goes_on(scene) && !attack_is_thrown_out(&client) && which != 1 && which != 2)
            attack_ring(&client);
    }
    raw_close(&client);
}

static void headers(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .id = 1};

        if (!attack_enter(scene, &client, &echo))
            continue;
        header.target = (uint16_t)attack_random(scene, 16);
        header.kind = (uint8_t)attack_random(scene, 8);
        header.flags = (uint8_t)attack_random(scene, 4);
        header.remaining_ns = attack_random(scene, UINT64_MAX);
        if (raw_send_record(&client, &header, "x", 1) == 0) {
            unsigned char *ring = fipc_region_request_ring(&client.channel.region);
            uint64_t size = twist(scene, sizeof(header));

            /* the size of the first record, published long ago */
            memcpy(ring + attack_random(scene, FIPC_RING_BYTES_MIN / 32) * 32, &size, 4);
        }
        for (int i = 0; i < 20; i++)
            attack_request(&client, echo);
    }
    raw_close(&client);
}

/* ---- a second thread ---- */

struct writer {
    unsigned char *base;
    size_t size;
    uint64_t random;
    _Atomic bool ends;
};

static void *scribble(void *argument)
{
    struct writer *writer = argument;
    struct attack_scene dice = {.random = writer->random};

    while (!atomic_load(&writer->ends)) {
        volatile unsigned char *byte = writer->base + attack_random(&dice, writer->size);

        *byte ^= (unsigned char)(1U << attack_random(&dice, 8));
    }
    return NULL;
}

/* A word may change between its check and its use. */
static void changes_in_use(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        struct writer writer = {.random = scene->random};
        pthread_t thread;

        if (!attack_enter(scene, &client, &echo))
            continue;
        writer.base = fipc_region_request_ring(&client.channel.region);
        writer.size = FIPC_RING_BYTES_MIN;
        if (pthread_create(&thread, NULL, scribble, &writer) != 0)
            continue;
        while (attack_goes_on(scene) && !attack_is_thrown_out(&client))
            attack_request(&client, echo);
        atomic_store(&writer.ends, true);
        (void)pthread_join(thread, NULL);
        (void)attack_random(scene, 2);
    }
    raw_close(&client);
}

/* ---- the file ---- */

/* Into what is sealed. */
static void holes(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        size_t pages;

        if (!attack_enter(scene, &client, &echo))
            continue;
        pages = client.channel.region.size / FIPC_REGION_PAGE;
        while (attack_goes_on(scene) && !attack_is_thrown_out(&client)) {
            off_t page = (off_t)attack_random(scene, pages);

            attack_request(&client, echo);
            (void)fallocate(client.region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                            page * FIPC_REGION_PAGE, FIPC_REGION_PAGE);
        }
    }
    raw_close(&client);
}

static void sizes(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        void *again;

        if (!attack_enter(scene, &client, &echo))
            continue;
        attack_request(&client, echo);
        (void)!ftruncate(client.region_fd, (off_t)attack_random(scene, 1 << 20));
        (void)!ftruncate(client.region_fd, 0);
        (void)fallocate(client.region_fd, 0, 0, 1 << 20);
        (void)fcntl(client.region_fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
        again = mmap(NULL, client.channel.region.size, PROT_READ | PROT_WRITE, MAP_SHARED,
                     client.region_fd, 0);
        if (again != MAP_FAILED)
            (void)munmap(again, client.channel.region.size);
        attack_request(&client, echo);
    }
    raw_close(&client);
}

/* ---- memory that is kept ---- */

#define KEPT_MAX 4000

/* Greets, keeps the memory, hangs up, and again: all of it counts, and other users have theirs. */
static void kept_memory(struct attack_scene *scene)
{
    static int kept[KEPT_MAX];
    size_t count = 0;

    while (attack_goes_on(scene)) {
        static const struct fipc_hello hello = {.wait_ms = 1};
        struct raw_client client = RAW_CLIENT_EMPTY;

        if (count < KEPT_MAX && raw_connect(&client, scene->socket) == 0 &&
            raw_send_hello(&client, &hello) == 0 && raw_await_welcome(&client) == 0)
            kept[count++] = fd_steal(&client.region_fd);
        raw_close(&client);
    }
    while (count > 0)
        (void)close(kept[--count]);
}

/* Likewise, but for the WELCOMEs, which stay unread with two fds each. */
static void unread_welcomes(struct attack_scene *scene)
{
    static int kept[KEPT_MAX];
    size_t count = 0;

    while (attack_goes_on(scene)) {
        static const struct fipc_hello hello = {.wait_ms = 1};
        struct raw_client client = RAW_CLIENT_EMPTY;
        struct pollfd lane;

        if (count < KEPT_MAX && raw_connect(&client, scene->socket) == 0 &&
            raw_send_hello(&client, &hello) == 0) {
            lane = (struct pollfd){.fd = client.lane_fd, .events = POLLIN};
            (void)poll(&lane, 1, 100);
            (void)shutdown(client.lane_fd, SHUT_WR);
            kept[count++] = fd_steal(&client.lane_fd);
        }
        raw_close(&client);
    }
    while (count > 0)
        (void)close(kept[--count]);
}

/* ---- end words ---- */

static void end_words(struct attack_scene *scene)
{
    static const uint32_t words[] = {0,    1,    2,    3,    4,          0x10,
                                     0x11, 0x12, 0x13, 0x14, UINT32_MAX, 0x80000001};
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        if (!attack_enter(scene, &client, &echo))
            continue;
        while (attack_goes_on(scene) && !attack_is_thrown_out(&client)) {
            struct fipc_control_block *control = control_of(&client);
            struct fipc_end *end =
                attack_random(scene, 2) == 0 ? &control->client : &control->broker;

            attack_request(&client, echo);
            atomic_store(&end->word, words[attack_random(scene, sizeof(words) / sizeof(*words))]);
            if (attack_random(scene, 8) == 0)
                atomic_store(&end->closing, (uint32_t)attack_random(scene, 3));
            attack_ring(&client);
        }
    }
    raw_close(&client);
}

/* Whatever the word is now, as often as fifty times a second. */
static void *wait_on_word(void *word)
{
    static const struct timespec moment = {.tv_nsec = 20000000};

    for (;;) {
        (void)syscall(SYS_futex, word, FUTEX_WAIT, FIPC_END_ASLEEP_FUTEX, NULL, NULL, 0);
        (void)nanosleep(&moment, NULL);
    }
    return NULL;
}

/* A thousand threads sleep on the word that the broker wakes one of. Ends with the process. */
static void crowd_on_a_word(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    pthread_attr_t small;
    uint32_t echo;

    if (!attack_enter(scene, &client, &echo))
        return;
    (void)pthread_attr_init(&small);
    (void)pthread_attr_setstacksize(&small, (size_t)64 << 10);
    (void)pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < WAITERS; i++) {
        pthread_t thread;

        if (pthread_create(&thread, &small, wait_on_word, &control_of(&client)->client.word) != 0)
            break;
    }
    (void)pthread_attr_destroy(&small);
    while (attack_goes_on(scene) && !attack_is_thrown_out(&client)) {
        atomic_store(&control_of(&client)->client.word, FIPC_END_ASLEEP_FUTEX);
        attack_request(&client, echo);
    }
    _exit(0); /* the threads use what would be unmapped */
}

const struct attack attacks_on_region[] = {
    {.name = "positions", .run = positions},
    {.name = "headers", .run = headers},
    {.name = "changes in use", .run = changes_in_use},
    {.name = "holes", .run = holes},
    {.name = "sizes", .run = sizes},
    {.name = "kept memory", .run = kept_memory},
    {.name = "unread welcomes", .run = unread_welcomes},
    {.name = "end words", .run = end_words},
    {.name = "crowd on a word", .run = crowd_on_a_word},
    {0},
};

/* SPDX-License-Identifier: MIT */
/* Work that a client has the kernel do with the memory that it shares: a process that touches the
 * memory meanwhile waits, and a client of idle priority, beside others, takes as long as it likes.
 */
#include "tests/hostile/attack.h"

#include "common/clock.h"
#include "common/os/os.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LARGE_RING_BYTES (512u << 10) /* as large as a stranger may have */
#define ALIASES 20000
#define WORK_NS (20 * FIPC_NS_PER_MS)

static _Atomic bool slow_work_goes_on;

static void rest(void)
{
    static const struct timespec moment = {.tv_nsec = 500000};

    (void)nanosleep(&moment, NULL);
}

/* Takes the CPU from the idle thread that is in the kernel, for whom nobody else has a use. */
static void *burn(void *argument)
{
    (void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    for (;;) {
        if (!atomic_load(&slow_work_goes_on))
            rest();
    }
    return argument;
}

static void start_burners(int count)
{
    pthread_t thread;

    for (int i = 0; i < count; i++)
        (void)pthread_create(&thread, NULL, burn, NULL);
}

static bool await_welcome(struct attack_scene *scene, struct raw_client *client,
                          uint32_t ring_bytes)
{
    const struct fipc_hello hello = {.request_ring_bytes = ring_bytes,
                                     .reply_ring_bytes = ring_bytes};

    raw_close(client);
    if (raw_connect(client, scene->socket) == 0 && raw_send_hello(client, &hello) == 0 &&
        raw_await_welcome(client) == 0)
        return true;
    rest();
    return false;
}

/* Rings a moment after the slow work has begun, and hangs up some time later. */
static void *provoke(void *argument)
{
    const struct raw_client *client = argument;
    uint64_t end_ns = fipc_now_ns() + WORK_NS;

    while (!atomic_load(&slow_work_goes_on))
        rest();
    rest();
    while (fipc_now_ns() < end_ns && !attack_is_thrown_out(client)) {
        attack_ring(client);
        rest();
    }
    (void)shutdown(client->lane_fd, SHUT_RDWR);
    return NULL;
}

/* Holes in what is not sealed. Ends with the process, as all here: the burners go on. */
static void slow_holes(struct attack_scene *scene)
{
    size_t size = fipc_region_size(LARGE_RING_BYTES, LARGE_RING_BYTES, FIPC_PLACES_MIN);
    struct raw_client client = RAW_CLIENT_EMPTY;
    pthread_t thread;

    start_burners(4);
    while (attack_goes_on(scene)) {
        if (!await_welcome(scene, &client, LARGE_RING_BYTES) ||
            pthread_create(&thread, NULL, provoke, &client) != 0)
            continue;
        atomic_store(&slow_work_goes_on, true);
        while (attack_goes_on(scene) && !attack_is_thrown_out(&client)) {
            (void)fallocate(client.region_fd, 0, 0, (off_t)size);
            (void)fallocate(client.region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                            (off_t)size);
        }
        atomic_store(&slow_work_goes_on, false);
        (void)pthread_join(thread, NULL);
    }
    _exit(0);
}

/* Room for the aliases, which those of the next region replace. */
static void *aliases_at;

/* Publishes a request that lies in a page which only this process has touched, and has that page
 * written out: the kernel looks for it in thousands of mappings, with the page locked. Return: the
 * page */
static void *page_with_a_request(struct raw_client *client)
{
    struct fipc_bell bell = {.kind = FIPC_BELL_EVENTFD, .fd = client->bell_fd};
    const struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .id = 1};
    static const char data[5000]; /* more than there is before the end of the ring */
    unsigned char *page, *aliases = aliases_at;
    struct fipc_region region;

    if (fipc_region_open(&region, client->region_fd, client->welcome.request_ring_bytes,
                         client->welcome.reply_ring_bytes, client->welcome.n_places) < 0)
        return MAP_FAILED;
    fipc_channel_init(&client->channel, FIPC_SIDE_CLIENT, &region, bell);
    (void)fipc_producer_send(&client->channel.out, &header, data, sizeof(data));
    page = client->channel.region.base;
    (void)madvise(page, FIPC_REGION_PAGE, MADV_DONTNEED);
    for (size_t i = 0; i < ALIASES; i++)
        (void)mremap(page, 0, FIPC_REGION_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                     aliases + i * FIPC_REGION_PAGE);
    page = mremap(page, 0, FIPC_REGION_PAGE, MREMAP_MAYMOVE);
    if (page != MAP_FAILED)
        (void)*(volatile unsigned char *)page;
    return page;
}

static void pages_written_out(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    pthread_t thread;
    void *page;

    aliases_at = mmap(NULL, (size_t)ALIASES * FIPC_REGION_PAGE, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (aliases_at == MAP_FAILED)
        return;
    start_burners(1);
    while (attack_goes_on(scene)) {
        if (!await_welcome(scene, &client, 0))
            continue;
        page = page_with_a_request(&client);
        if (page == MAP_FAILED || pthread_create(&thread, NULL, provoke, &client) != 0)
            continue;
        atomic_store(&slow_work_goes_on, true);
        while (attack_goes_on(scene) && !attack_is_thrown_out(&client))
            (void)madvise(page, FIPC_REGION_PAGE, MADV_PAGEOUT);
        atomic_store(&slow_work_goes_on, false);
        (void)pthread_join(thread, NULL);
        (void)munmap(page, FIPC_REGION_PAGE);
    }
    _exit(0);
}

const struct attack attacks_by_slow_work[] = {
    {.name = "slow holes", .run = slow_holes},
    {.name = "pages written out", .run = pages_written_out},
    {0},
};

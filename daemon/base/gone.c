/* SPDX-License-Identifier: MIT */
/*
 * inotify tells of the end of a file by IN_DELETE_SELF, and of the end of its watch by IN_IGNORED
 * right after. Both take a place in a queue, and one that is full drops events. So a set has half
 * as many watches as its queue has places, and a further set is made where they are used up. A
 * sandbox may hide how long queues are: should one be too short all the same, each of its watches
 * is asked, which ends it.
 */
#include "daemon/base/gone.h"

#include "common/os/os.h"
#include "daemon/base/poller.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define BUCKETS 4096u
#define EVENTS_PER_WATCH 2
#define QUEUE_PLACES 16384 /* the kernel's default */
#define EVENTS_MAX 64
#define QUEUE_PATH "/proc/sys/fs/inotify/max_queued_events"

struct gone_watch {
    uint32_t set;
    int number; /* in its set */
    uint32_t owner;
    uint32_t next; /* in its bucket: place + 1; 0: none */
};

/* ---- by number ---- */

/* Numbers of a set follow one another. */
static uint32_t *bucket_of(const struct gone *gone, uint32_t set, int number)
{
    return &gone->first[((uint32_t)number * GONE_SETS_MAX + set) % BUCKETS];
}

static void watch_add(struct gone *gone, uint32_t place, const struct gone_watch *watch)
{
    uint32_t *first = bucket_of(gone, watch->set, watch->number);

    gone->watches[place] = *watch;
    gone->watches[place].next = *first;
    *first = place + 1;
    gone->sets[watch->set].n_watches++;
}

/* Return: whether there was one of this number */
static bool watch_take(struct gone *gone, uint32_t set, int number, uint32_t *ret_owner)
{
    uint32_t *link = bucket_of(gone, set, number);

    while (*link != 0) {
        struct gone_watch *watch = &gone->watches[*link - 1];
        uint32_t place = *link - 1;

        if (watch->set == set && watch->number == number) {
            *link = watch->next;
            *ret_owner = watch->owner;
            table_give_back(&gone->places, place);
            gone->sets[set].n_watches--;
            return true;
        }
        link = &watch->next;
    }
    return false;
}

/* ---- sets ---- */

static uint32_t queue_places(void)
{
    char text[16] = "";
    FIPC_CLEANUP(fd_closep) int fd = open(QUEUE_PATH, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    return size <= 0 ? QUEUE_PLACES : (uint32_t)strtoul(text, NULL, 10);
}

static int set_make(struct gone *gone)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    int r;

    if (gone->n_sets == GONE_SETS_MAX)
        return -ENOSPC;
    fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0)
        return -errno;
    r = poller_watch(gone->poller, POLLER_GONE, fd, gone->n_sets, 0);
    if (r < 0)
        return r;
    gone->sets[gone->n_sets++] = (struct gone_set){.fd = fd_steal(&fd)};
    return 0;
}

/* Return: 0, and a set that can take a watch; as set_make() */
static int set_find(struct gone *gone, uint32_t *ret_set)
{
    int r;

    for (uint32_t i = 0; i < gone->n_sets; i++) {
        if (gone->sets[i].n_watches < gone->watches_per_set) {
            *ret_set = i;
            return 0;
        }
    }
    if (gone->watches_per_set == 0)
        return -ENOSPC;
    r = set_make(gone);
    if (r == 0)
        *ret_set = gone->n_sets - 1;
    return r;
}

/* ---- life ---- */

int gone_init(struct gone *gone, struct poller *poller, uint32_t capacity)
{
    int r;

    *gone = (struct gone){.poller = poller, .watches_per_set = queue_places() / EVENTS_PER_WATCH};
    gone->first = calloc(BUCKETS, sizeof(*gone->first));
    if (gone->first == NULL)
        return -ENOMEM;
    r = table_init(&gone->places, capacity, sizeof(*gone->watches));
    gone->watches = gone->places.elements;
    if (r < 0)
        gone_deinit(gone);
    else if (gone->watches_per_set > 0)
        (void)set_make(gone); /* else the first watch tries again */
    return r;
}

void gone_deinit(struct gone *gone)
{
    for (uint32_t i = 0; i < gone->n_sets; i++) {
        poller_unwatch(gone->poller, gone->sets[i].fd);
        (void)fd_close(gone->sets[i].fd);
    }
    table_deinit(&gone->places);
    free(gone->first);
    *gone = (struct gone){.n_sets = 0};
}

int gone_watch(struct gone *gone, int fd, uint32_t owner)
{
    struct gone_watch watch = {.owner = owner};
    uint32_t place;
    char path[32];
    int r = set_find(gone, &watch.set);

    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    watch.number = inotify_add_watch(gone->sets[watch.set].fd, path, IN_DELETE_SELF);
    if (watch.number < 0)
        return -errno;
    place = table_take(&gone->places);
    if (place == TABLE_NONE) {
        /* its IN_IGNORED is of an unknown number then */
        (void)inotify_rm_watch(gone->sets[watch.set].fd, watch.number);
        return -ENOSPC;
    }
    watch_add(gone, place, &watch);
    return 0;
}

/* Events of this set were dropped. */
static void ask_all(struct gone *gone, uint32_t set, gone_fn *fn, void *context)
{
    uint32_t end = gone->places.n_used;

    for (uint32_t place = 0; place < end; place++) {
        struct gone_watch watch = gone->watches[place];

        if (!table_is_taken(&gone->places, place) || watch.set != set)
            continue;
        (void)watch_take(gone, set, watch.number, &watch.owner);
        fn(context, watch.owner, inotify_rm_watch(gone->sets[set].fd, watch.number) == 0);
    }
}

void gone_take(struct gone *gone, uint32_t set, gone_fn *fn, void *context)
{
    struct inotify_event events[EVENTS_MAX]; /* none of them has a name */
    ssize_t size;
    uint32_t owner;

    assert(set < gone->n_sets);
    size = read(gone->sets[set].fd, events, sizeof(events));
    for (ssize_t i = 0; i < size / (ssize_t)sizeof(events[0]); i++) {
        if ((events[i].mask & IN_Q_OVERFLOW) != 0)
            ask_all(gone, set, fn, context);
        else if ((events[i].mask & IN_IGNORED) != 0 && watch_take(gone, set, events[i].wd, &owner))
            fn(context, owner, false);
    }
}

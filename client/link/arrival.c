/* SPDX-License-Identifier: MIT */
#include "client/link/arrival.h"

#include "common/os/os.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>

#define NS_PER_S UINT64_C(1000000000)
#define SELF_GONE (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED | IN_Q_OVERFLOW)

void fipc_arrival_init(struct fipc_arrival *arrival, const char *path)
{
    *arrival = (struct fipc_arrival){.path = path, .fd = -1, .watch = -1};
}

void fipc_arrival_deinit(struct fipc_arrival *arrival)
{
    arrival->fd = fd_close(arrival->fd);
    arrival->watch = -1;
}

/* Watches the folder of the first @bytes bytes of the path. Return: a watch; -1 */
static int watch_folder(const struct fipc_arrival *arrival, size_t bytes)
{
    char folder[PATH_MAX];

    if (bytes >= sizeof(folder))
        return -1;
    memcpy(folder, arrival->path, bytes);
    folder[bytes] = '\0';
    return inotify_add_watch(arrival->fd, bytes > 0 ? folder : "/",
                             IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

bool fipc_arrival_watch(struct fipc_arrival *arrival)
{
    const char *slash = strrchr(arrival->path, '/');
    int watch = -1;

    if (arrival->path[0] != '/')
        return false;
    if (arrival->fd < 0)
        arrival->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (arrival->fd < 0)
        return false;
    while ((watch = watch_folder(arrival, (size_t)(slash - arrival->path))) < 0 &&
           slash > arrival->path)
        slash = memrchr(arrival->path, '/', (size_t)(slash - arrival->path));
    if (watch == arrival->watch)
        return false;
    if (arrival->watch >= 0)
        (void)inotify_rm_watch(arrival->fd, arrival->watch);
    arrival->watch = watch;
    arrival->part = slash + 1;
    return watch >= 0;
}

static bool is_part(const struct fipc_arrival *arrival, const struct inotify_event *event)
{
    size_t bytes = strcspn(arrival->part, "/");

    return event->len > bytes && memcmp(event->name, arrival->part, bytes) == 0 &&
           event->name[bytes] == '\0';
}

bool fipc_arrival_came(struct fipc_arrival *arrival)
{
    _Alignas(struct inotify_event) char events[4096];
    bool came = false;
    ssize_t size;

    while ((size = read(arrival->fd, events, sizeof(events))) > 0) {
        const struct inotify_event *event;

        for (char *next = events; next < events + size; next += sizeof(*event) + event->len) {
            event = (const struct inotify_event *)(const void *)next;
            if (event->wd != arrival->watch && (event->mask & IN_Q_OVERFLOW) == 0)
                continue; /* of a folder that was watched before */
            if ((event->mask & SELF_GONE) != 0)
                arrival->watch = -1; /* the next one is another one, whatever its number */
            came = came || (event->mask & SELF_GONE) != 0 || is_part(arrival, event);
        }
    }
    return came;
}

bool fipc_arrival_wait(struct fipc_arrival *arrival, uint64_t end_ns)
{
    struct pollfd fd = {.fd = arrival->fd, .events = POLLIN};
    uint64_t now_ns;

    while ((now_ns = fipc_now_ns()) < end_ns) {
        struct timespec left = {
            .tv_sec = (time_t)((end_ns - now_ns) / NS_PER_S),
            .tv_nsec = (long)((end_ns - now_ns) % NS_PER_S),
        };

        if (ppoll(&fd, 1, end_ns == UINT64_MAX ? NULL : &left, NULL) > 0 &&
            fipc_arrival_came(arrival))
            return true;
    }
    return false;
}

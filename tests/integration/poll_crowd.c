/* SPDX-License-Identifier: MIT */
#include "tests/integration/poll_crowd.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define POLLS_MAX 20000

static void *poll_all(void *argument)
{
    struct poll_crowd *crowd = argument;

    atomic_store(&crowd->tid, gettid());
    (void)poll(crowd->polls, crowd->n_polls, -1);
    return NULL;
}

int poll_crowd_start(struct poll_crowd *crowd, int fd, short events)
{
    struct rlimit limit;
    int r;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    *crowd =
        (struct poll_crowd){.n_polls = limit.rlim_cur < POLLS_MAX ? limit.rlim_cur : POLLS_MAX};
    crowd->polls = calloc(crowd->n_polls, sizeof(*crowd->polls));
    if (crowd->polls == NULL)
        return -ENOMEM;
    for (nfds_t i = 0; i < crowd->n_polls; i++)
        crowd->polls[i] = (struct pollfd){.fd = fd, .events = events};
    r = pthread_create(&crowd->thread, NULL, poll_all, crowd);
    if (r != 0)
        free(crowd->polls);
    return -r;
}

bool poll_crowd_sleeps(const struct poll_crowd *crowd)
{
    pid_t tid = atomic_load(&crowd->tid);
    char path[64], state = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    file = tid == 0 ? NULL : fopen(path, "re");
    if (file == NULL)
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    (void)fclose(file);
    return state == 'S';
}

void poll_crowd_end(struct poll_crowd *crowd)
{
    (void)pthread_join(crowd->thread, NULL);
    free(crowd->polls);
}

/* SPDX-License-Identifier: MIT */
#include "daemon/closer.h"

#include "common/fd.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define LAST_CLOSE_S 1

static void *closer_run(void *argument)
{
    struct closer *closer = argument;

    (void)pthread_mutex_lock(&closer->lock);
    for (;;) {
        int fd;

        while (closer->count == 0 && !closer->ending)
            (void)pthread_cond_wait(&closer->more, &closer->lock);
        if (closer->count == 0)
            break;
        fd = closer->fds[closer->first];
        closer->first = (closer->first + 1) % closer->capacity;
        closer->count--;
        (void)pthread_mutex_unlock(&closer->lock);
        (void)fd_close(fd);
        (void)pthread_mutex_lock(&closer->lock);
        closer->n_open--;
    }
    (void)pthread_mutex_unlock(&closer->lock);
    return NULL;
}

/* Signals are the loop's. */
static int start_without_signals(struct closer *closer)
{
    sigset_t all, before;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&closer->thread, NULL, closer_run, closer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

int closer_init(struct closer *closer, bool threaded, size_t fds_max)
{
    int r;

    *closer = (struct closer){.capacity = fds_max};
    if (!threaded)
        return 0;
    closer->fds = calloc(fds_max, sizeof(*closer->fds));
    if (closer->fds == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&closer->lock, NULL);
    (void)pthread_cond_init(&closer->more, NULL);
    r = start_without_signals(closer);
    if (r < 0) {
        free(closer->fds);
        closer->fds = NULL;
        return r;
    }
    closer->threaded = true;
    return 0;
}

void closer_deinit(struct closer *closer)
{
    struct timespec limit;

    if (!closer->threaded)
        return;
    (void)pthread_mutex_lock(&closer->lock);
    closer->ending = true;
    (void)pthread_cond_signal(&closer->more);
    (void)pthread_mutex_unlock(&closer->lock);

    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += LAST_CLOSE_S;
    if (pthread_timedjoin_np(closer->thread, NULL, &limit) != 0)
        return; /* stuck in a close: it and what it uses end with the process */
    closer->threaded = false;
    free(closer->fds);
    closer->fds = NULL;
}

void closer_close(struct closer *closer, int fd)
{
    if (!closer->threaded) {
        (void)fd_close(fd);
        return;
    }
    if (fd < 0)
        return;
    (void)pthread_mutex_lock(&closer->lock);
    assert(closer->count < closer->capacity); /* there are no more fds than that */
    closer->fds[(closer->first + closer->count) % closer->capacity] = fd;
    closer->count++;
    closer->n_open++;
    (void)pthread_cond_signal(&closer->more);
    (void)pthread_mutex_unlock(&closer->lock);
}

void closer_close_all(struct closer *closer, struct fipc_lane_fds *fds)
{
    while (fds->count > 0)
        closer_close(closer, fds->fds[--fds->count]);
}

size_t closer_n_open(struct closer *closer)
{
    size_t n_open;

    if (!closer->threaded)
        return 0;
    (void)pthread_mutex_lock(&closer->lock);
    n_open = closer->n_open;
    (void)pthread_mutex_unlock(&closer->lock);
    return n_open;
}

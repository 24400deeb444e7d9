/* SPDX-License-Identifier: MIT */
#include "daemon/base/offload.h"

#include "daemon/base/poller.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FINISH_S 1

struct offload {
    struct poller *poller;
    offload_fn *run;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows; a job between done and given is the thread's alone */
    pthread_cond_t more;
    /* free-running positions in the ring of jobs: taken_back <= done <= given */
    size_t n_given, n_done, n_taken_back;
    bool is_finishing;
    size_t capacity;
    size_t job_bytes, place_bytes; /* of a job, and of its place in the ring */
    alignas(max_align_t) unsigned char jobs[];
};

static void *job_at(struct offload *offload, size_t position)
{
    return offload->jobs + position % offload->capacity * offload->place_bytes;
}

static void *offload_run(void *argument)
{
    struct offload *offload = argument;

    (void)pthread_mutex_lock(&offload->lock);
    for (;;) {
        void *job;

        while (offload->n_done == offload->n_given && !offload->is_finishing)
            (void)pthread_cond_wait(&offload->more, &offload->lock);
        if (offload->n_done == offload->n_given)
            break;
        job = job_at(offload, offload->n_done);
        (void)pthread_mutex_unlock(&offload->lock);
        offload->run(job);
        (void)pthread_mutex_lock(&offload->lock);
        offload->n_done++;
        if (!offload->is_finishing) /* else the poller may be gone */
            poller_wake(offload->poller);
    }
    (void)pthread_mutex_unlock(&offload->lock);
    return NULL;
}

/* Signals are the loop's. */
static int start_without_signals(struct offload *offload)
{
    sigset_t all, before;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&offload->thread, NULL, offload_run, offload);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

int offload_new(struct offload **ret_offload, struct poller *poller, size_t capacity,
                size_t job_bytes, offload_fn *run)
{
    const size_t align = alignof(max_align_t);
    size_t place_bytes = (job_bytes + align - 1) / align * align;
    struct offload *offload = calloc(1, sizeof(*offload) + capacity * place_bytes);
    int r;

    if (offload == NULL)
        return -ENOMEM;
    offload->poller = poller;
    offload->run = run;
    offload->capacity = capacity;
    offload->job_bytes = job_bytes;
    offload->place_bytes = place_bytes;
    (void)pthread_mutex_init(&offload->lock, NULL);
    (void)pthread_cond_init(&offload->more, NULL);
    r = start_without_signals(offload);
    if (r < 0) {
        free(offload);
        return r;
    }
    *ret_offload = offload;
    return 0;
}

void offload_give(struct offload *offload, const void *job)
{
    (void)pthread_mutex_lock(&offload->lock);
    assert(offload->n_given - offload->n_taken_back < offload->capacity);
    memcpy(job_at(offload, offload->n_given), job, offload->job_bytes);
    offload->n_given++;
    (void)pthread_cond_signal(&offload->more);
    (void)pthread_mutex_unlock(&offload->lock);
}

const void *offload_take_back(struct offload *offload)
{
    const void *job = NULL;

    (void)pthread_mutex_lock(&offload->lock);
    if (offload->n_taken_back != offload->n_done)
        job = job_at(offload, offload->n_taken_back++);
    (void)pthread_mutex_unlock(&offload->lock);
    return job;
}

size_t offload_n_open(struct offload *offload)
{
    size_t n_open;

    (void)pthread_mutex_lock(&offload->lock);
    n_open = offload->n_given - offload->n_done;
    (void)pthread_mutex_unlock(&offload->lock);
    return n_open;
}

int offload_finish(struct offload *offload)
{
    struct timespec limit;

    (void)pthread_mutex_lock(&offload->lock);
    offload->is_finishing = true;
    (void)pthread_cond_signal(&offload->more);
    (void)pthread_mutex_unlock(&offload->lock);

    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += FINISH_S;
    return pthread_timedjoin_np(offload->thread, NULL, &limit) == 0 ? 0 : -ETIMEDOUT;
}

struct offload *offload_free(struct offload *offload)
{
    if (offload == NULL)
        return NULL;
    (void)pthread_cond_destroy(&offload->more);
    (void)pthread_mutex_destroy(&offload->lock);
    free(offload);
    return NULL;
}

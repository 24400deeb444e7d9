/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_OFFLOAD_H
#define FIPC_DAEMON_BASE_OFFLOAD_H

/*
 * The one thread beside the loop: it does what can block, one job after the other, while the loop
 * goes on. A job is a struct of the owner's; the loop gives it away and gets it back when it is
 * done.
 */
#include <stddef.h>

struct offload;
struct poller;

typedef void offload_fn(void *job);

/**
 * offload_new() - start the thread, which takes no signals
 * @poller:     woken after each job that is done
 * @capacity:   the most jobs that may be given and not be taken back
 * @job_bytes:  of one job
 * @run:        called in the thread
 *
 * Return: 0; -ENOMEM; the errno of pthread_create(3)
 */
int offload_new(struct offload **ret_offload, struct poller *poller, size_t capacity,
                size_t job_bytes, offload_fn *run);

/* Never blocks. @job: copied */
void offload_give(struct offload *offload, const void *job);

/* Takes back the oldest job that is done. Return: the job, valid until the next call; NULL if none
 * is done. Threads: the loop's, as all but @run */
const void *offload_take_back(struct offload *offload);

/* How many jobs were given and are not done yet. */
size_t offload_n_open(struct offload *offload);

/**
 * offload_finish() - wait until all jobs are done and the thread has ended, for a second at most
 *
 * Afterwards the jobs can be taken back, and offload_free() frees. Of a thread that is stuck
 * nothing can be freed: it ends with the process.
 *
 * Return: 0; -ETIMEDOUT the thread is stuck
 */
int offload_finish(struct offload *offload);

/* After offload_finish() returned 0. Takes NULL. Return: NULL */
struct offload *offload_free(struct offload *offload);

#endif

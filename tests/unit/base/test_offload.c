/* SPDX-License-Identifier: MIT */
/* Jobs are done in order by one other thread, and come back in order. */
#include "daemon/base/offload.h"
#include "daemon/base/poller.h"
#include "tests/suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#define CAPACITY 8
#define JOBS 10000

struct job {
    int number;
    int result;
    bool waits; /* for the gate */
};

static struct poller *poller;
static struct offload *offload;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void after_wait(void *context) { (void)context; }
static bool before_wait(void *context)
{
    (void)context;
    return true;
}
static void woken(void *context)
{
    (void)context;
    poller_stop(poller);
}

static const struct poller_ops ops = {
    .after_wait = after_wait, .client_fds = after_wait, .woken = woken, .before_wait = before_wait};

static void square(void *userdata)
{
    struct job *job = userdata;

    if (job->waits) {
        (void)pthread_mutex_lock(&gate);
        (void)pthread_mutex_unlock(&gate);
    }
    job->result = job->number * job->number;
}

static void set_up(void)
{
    ck_assert_int_eq(poller_new(&poller, &ops, NULL), 0);
    ck_assert_int_eq(offload_new(&offload, poller, CAPACITY, sizeof(struct job), square), 0);
}

static void tear_down(void)
{
    ck_assert_int_eq(offload_finish(offload), 0);
    offload = offload_free(offload);
    offload = offload_free(offload); /* safe twice */
    poller = poller_free(poller);
}

/* Waits until the next job is done. */
static const struct job *take_back(void)
{
    const struct job *job;

    while ((job = offload_take_back(offload)) == NULL)
        poller_run(poller);
    return job;
}

GROUP(offload, .timeout = 30, .fixtures = {{set_up, tear_down}});

TEST(jobs_come_back_in_order_however_many_were_given)
{
    int n_given = 0;

    for (int i = 0; i < JOBS; i++) {
        const struct job *job;

        for (; n_given < JOBS && n_given - i < CAPACITY; n_given++)
            offload_give(offload, &(struct job){.number = n_given});
        job = take_back();
        if (job->number != i || job->result != i * i)
            ck_abort_msg("job %d came back as %d, with %d", i, job->number, job->result);
    }
    ck_assert_uint_eq(offload_n_open(offload), 0);
    ck_assert_ptr_null(offload_take_back(offload));
}

TEST(job_that_blocks_holds_up_the_next_ones_and_not_the_loop)
{
    (void)pthread_mutex_lock(&gate);
    offload_give(offload, &(struct job){.number = 1, .waits = true});
    offload_give(offload, &(struct job){.number = 2});
    ck_assert_ptr_null(offload_take_back(offload));
    ck_assert_uint_eq(offload_n_open(offload), 2);
    (void)pthread_mutex_unlock(&gate);
    ck_assert_int_eq(take_back()->number, 1);
    ck_assert_int_eq(take_back()->number, 2);
}

TEST(jobs_that_were_given_are_done_before_the_thread_ends)
{
    for (int i = 0; i < CAPACITY; i++)
        offload_give(offload, &(struct job){.number = i});
    ck_assert_int_eq(offload_finish(offload), 0);
    for (int i = 0; i < CAPACITY; i++)
        ck_assert_int_eq(((const struct job *)offload_take_back(offload))->result, i * i);
    offload = offload_free(offload);
    ck_assert_int_eq(offload_new(&offload, poller, CAPACITY, sizeof(struct job), square), 0);
}

TEST(thread_that_is_stuck_is_not_waited_for)
{
    (void)pthread_mutex_lock(&gate);
    offload_give(offload, &(struct job){.number = 3, .waits = true});
    ck_assert_int_eq(offload_finish(offload), -ETIMEDOUT);
    (void)pthread_mutex_unlock(&gate);
    /* tear_down() finishes it */
}

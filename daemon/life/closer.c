/* SPDX-License-Identifier: MIT */
#include "daemon/life/closer.h"

#include "common/lane.h"
#include "daemon/base/poller.h"
#include "daemon/model/account.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define LAST_CLOSE_S 1

static struct closing *closing_at(const struct closer *closer, size_t position)
{
    return &closer->closings[position % closer->capacity];
}

static void close_now(struct closing *closing)
{
    closing->lane_fd = fd_close(closing->lane_fd);
    if (closing->region_fd >= 0)
        fipc_memory_seal(closing->region_fd);
    fipc_region_deinit(&closing->region);
    closing->region_fd = fd_close(closing->region_fd);
}

static void *closer_run(void *argument)
{
    struct closer *closer = argument;

    (void)pthread_mutex_lock(&closer->lock);
    for (;;) {
        struct closing closing;

        while (closer->n_closed == closer->n_given && !closer->ending)
            (void)pthread_cond_wait(&closer->more, &closer->lock);
        if (closer->n_closed == closer->n_given)
            break;
        closing = *closing_at(closer, closer->n_closed);
        (void)pthread_mutex_unlock(&closer->lock);
        close_now(&closing);
        (void)pthread_mutex_lock(&closer->lock);
        closer->n_closed++;
        if (!closer->ending) /* else the loop may be gone */
            poller_wake(closer->poller);
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

int closer_init(struct closer *closer, struct poller *poller, bool lanes_may_block, size_t fds_max)
{
    int r;

    *closer =
        (struct closer){.lanes_may_block = lanes_may_block, .poller = poller, .capacity = fds_max};
    closer->closings = calloc(fds_max, sizeof(*closer->closings));
    if (closer->closings == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&closer->lock, NULL);
    (void)pthread_cond_init(&closer->more, NULL);
    r = start_without_signals(closer);
    if (r < 0) {
        free(closer->closings);
        closer->closings = NULL;
        return r;
    }
    closer->runs = true;
    return 0;
}

void closer_deinit(struct closer *closer, struct account_table *accounts)
{
    struct timespec limit;

    if (!closer->runs)
        return;
    (void)pthread_mutex_lock(&closer->lock);
    closer->ending = true;
    (void)pthread_cond_signal(&closer->more);
    (void)pthread_mutex_unlock(&closer->lock);

    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += LAST_CLOSE_S;
    if (pthread_timedjoin_np(closer->thread, NULL, &limit) != 0)
        return; /* stuck in a close: it and what it uses end with the process */
    (void)closer_collect(closer, accounts, fipc_now_ns());
    closer->runs = false;
    free(closer->closings);
    closer->closings = NULL;
}

/* Takes one packet out, such as a HELLO that was not read, if no fd is with it. */
static void discard_packet(int lane_fd)
{
    char byte;
    size_t size;

    (void)fipc_lane_receive_plain(lane_fd, &byte, sizeof(byte), &size);
}

static void give(struct closer *closer, const struct closing *closing)
{
    if (closing->account != NULL)
        closing->account->n_closing++;
    (void)pthread_mutex_lock(&closer->lock);
    assert(closer->n_given - closer->n_collected < closer->capacity); /* there are no more fds */
    *closing_at(closer, closer->n_given++) = *closing;
    (void)pthread_cond_signal(&closer->more);
    (void)pthread_mutex_unlock(&closer->lock);
}

void closer_close(struct closer *closer, int lane_fd, struct account *account)
{
    discard_packet(lane_fd); /* with one unread the peer would see a reset, not our last word */
    if (!closer->lanes_may_block || fipc_lane_finish(lane_fd))
        (void)fd_close(lane_fd);
    else
        give(closer, &(struct closing){.lane_fd = lane_fd, .region_fd = -1, .account = account});
}

void closer_unmap(struct closer *closer, struct fipc_region *region, int region_fd,
                  struct account *account)
{
    give(closer, &(struct closing){
                     .lane_fd = -1, .region_fd = region_fd, .region = *region, .account = account});
    *region = FIPC_REGION_EMPTY;
}

size_t closer_collect(struct closer *closer, struct account_table *accounts, uint64_t now_ns)
{
    size_t n_closed;

    if (!closer->runs)
        return 0;
    (void)pthread_mutex_lock(&closer->lock);
    n_closed = closer->n_closed;
    (void)pthread_mutex_unlock(&closer->lock);
    while (closer->n_collected != n_closed) {
        const struct closing *closing = closing_at(closer, closer->n_collected++);
        struct account *account = closing->account;

        if (account == NULL)
            continue;
        account->region_bytes -= closing->region.size;
        account->n_closing--;
        account_release_if_unused(accounts, account, now_ns);
    }
    return closer->n_given - n_closed;
}

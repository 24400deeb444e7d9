/* SPDX-License-Identifier: MIT */
#include "daemon/life/closer.h"

#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/base/offload.h"
#include "daemon/base/wake_test.h"
#include "daemon/model/account.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* A lane, a region, memory that malloc(3) keeps, or a test. */
struct closing {
    int lane_fd;   /* -1: it is a region */
    int region_fd; /* of a region that is not sealed; else -1 */
    struct fipc_region region;
    bool trims;
    bool tests_wakes;
    uint64_t wake_ns;        /* of the test */
    struct account *account; /* its n_closing counts this; NULL: no account does */
};

/* In the thread. */
static void close_now(void *job)
{
    struct closing *closing = job;
    uint64_t futex_ns;

#ifdef __GLIBC__
    if (closing->trims)
        (void)malloc_trim(0);
#endif
    if (closing->tests_wakes)
        wake_test(&closing->wake_ns, &futex_ns);
    closing->lane_fd = fd_close(closing->lane_fd);
    if (closing->region_fd >= 0)
        fipc_memory_seal(closing->region_fd);
    fipc_memory_close(closing->region.base, closing->region.size);
    closing->region_fd = fd_close(closing->region_fd);
}

int closer_init(struct closer *closer, struct poller *poller, bool lanes_may_block, size_t fds_max)
{
    *closer = (struct closer){.lanes_may_block = lanes_may_block};
    return offload_new(&closer->offload, poller, fds_max, sizeof(struct closing), close_now);
}

void closer_deinit(struct closer *closer, struct account_table *accounts)
{
    if (closer->offload == NULL || offload_finish(closer->offload) < 0)
        return;
    (void)closer_collect(closer, accounts, fipc_now_ns());
    closer->offload = offload_free(closer->offload);
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
    offload_give(closer->offload, closing);
}

void closer_close_apart(struct closer *closer, int lane_fd, struct account *account)
{
    give(closer, &(struct closing){.lane_fd = lane_fd, .region_fd = -1, .account = account});
}

void closer_close(struct closer *closer, int lane_fd, struct account *account)
{
    discard_packet(lane_fd); /* with one unread the peer would see a reset, not our last word */
    if (!closer->lanes_may_block || fipc_lane_finish(lane_fd))
        (void)fd_close(lane_fd);
    else
        give(closer, &(struct closing){.lane_fd = lane_fd, .region_fd = -1, .account = account});
}

void closer_unmap(struct closer *closer, struct fipc_region *region, int region_fd)
{
    give(closer, &(struct closing){.lane_fd = -1, .region_fd = region_fd, .region = *region});
    *region = FIPC_REGION_EMPTY;
}

void closer_trim(struct closer *closer)
{
    give(closer, &(struct closing){.lane_fd = -1, .region_fd = -1, .trims = true});
}

void closer_test_wakes(struct closer *closer)
{
    give(closer, &(struct closing){.lane_fd = -1, .region_fd = -1, .tests_wakes = true});
}

size_t closer_collect(struct closer *closer, struct account_table *accounts, uint64_t now_ns)
{
    const struct closing *closing;

    if (closer->offload == NULL)
        return 0;
    while ((closing = offload_take_back(closer->offload)) != NULL) {
        struct account *account = closing->account;

        if (closing->wake_ns > 0)
            closer->wake_ns = closing->wake_ns;
        if (account == NULL)
            continue;
        account->n_closing--;
        account_release_if_unused(accounts, account, now_ns);
    }
    return offload_n_open(closer->offload);
}

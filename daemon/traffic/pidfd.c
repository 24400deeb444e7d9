/* SPDX-License-Identifier: MIT */
/*
 * The pidfd is the kernel's, of the process that connected: it is there as long as its caller's
 * lane is open. Fds that lie unread in a lane are counted against our own uid, so that one packet
 * of them at most is on its way to each worker.
 */
#include "daemon/traffic/pidfd.h"

#include "common/lane.h"
#include "common/os/os.h"
#include "daemon/model/core.h"
#include "daemon/traffic/outbound.h"

#include <errno.h>

/* Return: a pidfd; -ESRCH nobody waits for this delivery any more; -EOPNOTSUPP the kernel has none
 */
static int caller_pidfd(struct core *core, const struct slot *worker, uint32_t number)
{
    const struct delivery *delivery = delivery_of(&core->deliveries, worker, number);

    if (delivery == NULL || delivery->handler == NULL)
        return -ESRCH;
    return fipc_peer_hold(slot_of_caller(&core->slots, delivery->handler)->lane_fd);
}

static int send_pidfd(struct core *core, const struct slot *slot,
                      const struct fipc_header *question)
{
    const struct fipc_control packet = {.type = FIPC_CONTROL_FDS,
                                        .announce = {.id = question->id, .n_fds = 1}};
    FIPC_CLEANUP(fd_closep) int fd = -1;
    uint64_t began_cpu_ns;
    int r;

    if (!fipc_lane_is_read(slot->lane_fd))
        return -EAGAIN;
    fd = caller_pidfd(core, slot, question->target);
    if (fd < 0)
        return fd;
    began_cpu_ns = core_begin_toll(core);
    r = fipc_lane_send(slot->lane_fd, &packet, &fd, 1);
    core_end_toll(core, slot->account, began_cpu_ns);
    return r;
}

void pidfd_answer(struct core *core, struct slot *slot, const struct fipc_header *question)
{
    int r = send_pidfd(core, slot, question);
    const struct fipc_control announce = {
        .type = FIPC_CONTROL_ANNOUNCE,
        .announce = {.id = question->id, .n_fds = r == 0 ? 1 : 0},
    };

    if (r == -ETOOMANYREFS)
        r = -EAGAIN;
    outbound_answer(slot, question, &announce, r, 0);
}

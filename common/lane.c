/* SPDX-License-Identifier: MIT */
/* A packet is sent from where its parts lie: a copy of the largest would take 32 KiB of the stack
 * of any thread that connects. */
#include "common/lane.h"

#include <errno.h>

int fipc_lane_send(int lane_fd, const struct fipc_control *control, const int *fds, size_t n_fds)
{
    struct fipc_control_head head;
    struct fipc_part parts[FIPC_LANE_PARTS_MAX];

    fipc_control_head(control, &head);
    if (head.size + head.name_bytes + head.data_bytes > FIPC_PACKET_BYTES_MAX)
        return -EMSGSIZE;
    parts[0] = (struct fipc_part){head.bytes, head.size};
    parts[1] = (struct fipc_part){control->name, head.name_bytes};
    parts[2] = (struct fipc_part){control->data, head.data_bytes};
    return fipc_lane_send_parts(lane_fd, parts, FIPC_LANE_PARTS_MAX, fds, n_fds);
}

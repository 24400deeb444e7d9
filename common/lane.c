/* SPDX-License-Identifier: MIT */
#include "common/lane.h"

int fipc_lane_send(int lane_fd, const struct fipc_control *control, const int *fds, size_t n_fds)
{
    unsigned char packet[FIPC_PACKET_BYTES_MAX];
    size_t size;
    int r;

    r = fipc_control_encode(control, packet, sizeof(packet), &size);
    if (r < 0)
        return r;
    return fipc_lane_send_packet(lane_fd, packet, size, fds, n_fds);
}

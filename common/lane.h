/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_LANE_H
#define FIPC_COMMON_LANE_H

/* Control packets on the lane, the SOCK_SEQPACKET socket beside the rings. The other direction is
 * fipc_lane_receive() of common/os/os.h, then fipc_control_decode(). */
#include "common/control.h"
#include "common/os/os.h"

/**
 * fipc_lane_send() - send one control packet
 * @fds:  borrowed; @n_fds of them go with the packet, FIPC_LANE_SEND_FDS_MAX at most
 *
 * Never blocks.
 *
 * Return: as fipc_lane_send_parts()
 */
int fipc_lane_send(int lane_fd, const struct fipc_control *control, const int *fds, size_t n_fds);

#endif

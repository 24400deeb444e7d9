/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_LANE_H
#define FIPC_COMMON_LANE_H

/* The SOCK_SEQPACKET socket beside the rings: whole packets in and out, never blocking, fds counted
 * exactly. */
#include "common/control.h"

#include <stdbool.h>
#include <stddef.h>

/* The most fds that one packet can carry: SCM_MAX_FD of the kernel, unix(7). */
#define FIPC_LANE_FDS_MAX 253

struct fipc_lane_fds {
    int fds[FIPC_LANE_FDS_MAX];
    size_t count;
};

/**
 * fipc_lane_send() - send one control packet
 * @fds:  borrowed; @n_fds of them go with the packet
 *
 * Return: 0; -EAGAIN the peer does not read; -EPIPE it is gone; -ETOOMANYREFS too many fds in
 * flight; -ENOMEM; -EMSGSIZE larger than the lane takes
 */
int fipc_lane_send(int lane_fd, const struct fipc_control *control, const int *fds, size_t n_fds);

/**
 * fipc_lane_receive() - receive one packet
 * @ret_size:  bytes of it
 * @ret_fds:   every fd that came, also on failure: returned to the caller, who closes them
 *
 * There is room for every fd that can come, so that the kernel closes none in our name.
 *
 * Return: 0; -EAGAIN nothing there; -EPIPE the peer hung up; -EMSGSIZE the packet was larger than
 * @buffer_size; -EBADMSG fds were lost on the way; else the errno of recvmsg(2)
 */
int fipc_lane_receive(int lane_fd, void *buffer, size_t buffer_size, size_t *ret_size,
                      struct fipc_lane_fds *ret_fds);

/**
 * fipc_lane_receive_plain() - receive one packet that must come without fds
 *
 * One with fds is left where it is: whoever takes a foreign fd has to close it, which can take as
 * long as its sender likes.
 *
 * Return: as fipc_lane_receive(), but: -EPERM it brings fds, and stays unread
 */
int fipc_lane_receive_plain(int lane_fd, void *buffer, size_t buffer_size, size_t *ret_size);

/* Closes all of them. */
void fipc_lane_fds_close(struct fipc_lane_fds *fds);

/**
 * fipc_lane_finish() - take no more packets, and look whether closing the lane can block
 *
 * It can only while a packet with fds lies unread in it.
 *
 * Return: whether nothing lies unread in it
 */
bool fipc_lane_finish(int lane_fd);

/* Whether the peer hung up; what it sent before may still be there. Makes one system call. */
bool fipc_lane_is_hung_up(int lane_fd);

#endif

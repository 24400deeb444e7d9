/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_GREETING_H
#define FIPC_CLIENT_LINK_GREETING_H

/*
 * Finding a broker and hearing its answer to HELLO. Goes on trying while that can help: while
 * nobody listens yet, the backlog is full, the broker is on its way up or down, or asks to be tried
 * again later.
 */
#include "common/channel.h"
#include "common/lane.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

struct fipc_greeting {
    /* the question, and its deadlines: */
    const struct sockaddr_un *address; /* borrowed, likewise all of @hello */
    struct fipc_control hello;         /* its wait_ms and remaining_ns are filled in */
    uint64_t connect_deadline_ns;      /* for finding a broker */
    uint64_t deadline_ns;              /* for the answer to a one-shot; FIPC_NEVER: the broker's */
    unsigned char *packet;             /* where the answer is received; borrowed */
    size_t packet_size;
    /* the answer: */
    int lane_fd; /* -1: no lane */
    struct fipc_lane_fds fds;
    struct fipc_control answer;  /* borrows from the packet */
    struct fipc_channel channel; /* of a session; channel.region.base is NULL without one */
};

/**
 * fipc_greet() - connect, say HELLO, receive WELCOME and take the client's end of the channel that
 * came with it, or ONESHOT_REPLY
 * @greeting:  its first part filled in; on success owns the lane, and of a session the channel and
 *             its two fds, the region and the bell; to be ended by fipc_greeting_end() in any case
 *
 * A one-shot is not said again once a broker may have heard it. Blocks until the deadlines.
 *
 * Return: 0; -ECONNREFUSED no broker in time; -EACCES; -EAGAIN no slot in time; -EDQUOT; -EINVAL
 * ring sizes that the broker does not allow; -EPROTONOSUPPORT a broker of another version; -EPROTO,
 * also if the broker did not hand out the region that it announced; of a one-shot also -ETIMEDOUT
 * no answer in time, -ECONNRESET the broker was lost; else the errno of socket(2), connect(2)
 */
int fipc_greet(struct fipc_greeting *greeting);

/* Closes the fds and the channel that the greeting still owns. */
void fipc_greeting_end(struct fipc_greeting *greeting);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_LISTENER_H
#define FIPC_DAEMON_LIFE_LISTENER_H

/* The control socket: a client that connects gets a slot. */
#include "daemon/base/deadline.h"
#include "daemon/life/control_socket.h"

#include <stdbool.h>

struct admission;
struct closer;
struct core;

struct listener {
    struct core *core;
    struct admission *admission;
    struct closer *closer;
    struct control_socket socket;
    struct deadline retry; /* set while accepting is paused: fds or memory ran out */
    uint64_t pause_ns;     /* how long it pauses; 0: the last attempt succeeded */
    bool is_short;         /* that it paused was logged; until all who wait are accepted */
    int fds_limit;
    int fds_own; /* of these: what the broker needs for itself */
};

/* Listens on the control socket. Errors are logged. Return: 0; a negative errno */
int listener_open(struct listener *listener, struct core *core, struct admission *admission,
                  struct closer *closer);

/* Stops listening, and removes the socket unless it is systemd's. Does nothing the second time. */
void listener_close(struct listener *listener);

#endif

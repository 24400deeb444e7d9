/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_CONTROL_SOCKET_H
#define FIPC_DAEMON_LIFE_CONTROL_SOCKET_H

/* The socket that clients connect to: given by systemd, which keeps it open over restarts, or made
 * by ourselves, with a lock file beside it that tells whether its owner is alive. */
#include "daemon/config/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct control_socket {
    int fd;      /* -1 is the empty state */
    int lock_fd; /* held while a socket of our own is there */
    char *path;
    struct stat bound; /* the file of a socket of our own */
    bool has_made_folder;
    bool is_inherited; /* systemd's: it stays when we go */
};

#define CONTROL_SOCKET_EMPTY ((struct control_socket){.fd = -1, .lock_fd = -1})

/**
 * control_socket_open() - take over systemd's socket, else bind the configured one
 * @ret_control:  its empty state on failure
 *
 * A socket that a dead broker left behind is replaced; one that another broker holds is not. One of
 * our own does not listen yet: mode and group are in force before the first connection. Errors are
 * logged.
 *
 * Return: 0; a negative errno
 */
int control_socket_open(const struct config *config, struct control_socket *ret_control);

/* Listens; systemd's socket does so already. Return: 0; a negative errno */
int control_socket_listen(struct control_socket *control, uint32_t backlog);

/* Warns of each thing that the config says otherwise of systemd's socket, which listens. Asks the
 * name service, which may take its time: not from the loop. */
void control_socket_compare(const struct control_socket *control, const struct config *config);

/* Closes it, and removes one of our own; the empty state stays. Does nothing the second time. */
void control_socket_close(struct control_socket *control);

#endif

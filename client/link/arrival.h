/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_ARRIVAL_H
#define FIPC_CLIENT_LINK_ARRIVAL_H

/*
 * Learns that a broker's socket appears: the kernel watches its folder, or the nearest parent that
 * exists. Only a hint: the socket may be there and nobody listen yet, and where the kernel has no
 * watch to spare (128 for a user, by default) no hint comes.
 */
#include <stdbool.h>
#include <stdint.h>

struct fipc_arrival {
    const char *path; /* absolute; borrowed */
    int fd;           /* readable after something has happened; -1: there is no watch */
    int watch;        /* of the folder */
    const char *part; /* its next part that is missing there, up to a slash of the path */
};

/* Watches nothing yet. */
void fipc_arrival_init(struct fipc_arrival *arrival, const char *path);
void fipc_arrival_deinit(struct fipc_arrival *arrival);

/* Watches as deep as possible. Return: whether that is another folder than before: then the socket
 * may have appeared meanwhile */
bool fipc_arrival_watch(struct fipc_arrival *arrival);

/* Takes all that has happened. Return: whether the socket, or a folder on the way to it, may have
 * appeared */
bool fipc_arrival_came(struct fipc_arrival *arrival);

/* Waits until then, or until the time comes. Return: as fipc_arrival_came() */
bool fipc_arrival_wait(struct fipc_arrival *arrival, uint64_t end_ns);

#endif

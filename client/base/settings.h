/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_BASE_SETTINGS_H
#define FIPC_CLIENT_BASE_SETTINGS_H

/* A user's options, checked and with every default filled in. */
#include <fipc/client.h>
#include <stdint.h>
#include <sys/un.h>

struct fipc_settings {
    struct sockaddr_un address;
    uint64_t connect_ns;         /* FIPC_NEVER: no limit */
    uint64_t spin_ns;            /* 0: never spin */
    uint32_t request_ring_bytes; /* 0: the broker's default; likewise the next */
    uint32_t reply_ring_bytes;
};

/**
 * fipc_settings_init() - check options, and fill in the defaults
 * @options:  NULL: defaults; borrowed
 *
 * Reads the environment.
 *
 * Return: 0; -EINVAL; -ENAMETOOLONG the path of the socket
 */
int fipc_settings_init(struct fipc_settings *ret_settings, const fipc_options *options);

#endif

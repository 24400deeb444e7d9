/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_PAYLOAD_H
#define FIPC_FIPCTL_PAYLOAD_H

/* Bytes that grow as they are read. All zero: empty. */
#include <stddef.h>
#include <sys/types.h>

struct payload {
    char *bytes;
    size_t size, capacity;
};

void payload_deinit(struct payload *payload);

/**
 * payload_read() - add the bytes of one read(2)
 *
 * Return: the number of added bytes, 0 at the end; the error of read(2); -ENOMEM
 */
ssize_t payload_read(struct payload *payload, int fd);

#endif

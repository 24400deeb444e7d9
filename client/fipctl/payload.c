/* SPDX-License-Identifier: MIT */
#include "client/fipctl/payload.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define CAPACITY_MIN 65536

void payload_deinit(struct payload *payload)
{
    free(payload->bytes);
    *payload = (struct payload){0};
}

/* Return: 0; -ENOMEM */
static int payload_grow(struct payload *payload)
{
    size_t capacity = payload->capacity > 0 ? payload->capacity * 2 : CAPACITY_MIN;
    char *bytes = realloc(payload->bytes, capacity);

    if (bytes == NULL)
        return -ENOMEM;
    payload->bytes = bytes;
    payload->capacity = capacity;
    return 0;
}

ssize_t payload_read(struct payload *payload, int fd)
{
    ssize_t n;

    if (payload->size == payload->capacity && payload_grow(payload) < 0)
        return -ENOMEM;
    n = read(fd, payload->bytes + payload->size, payload->capacity - payload->size);
    if (n < 0)
        return -errno;
    payload->size += (size_t)n;
    return n;
}

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_BASE64_H
#define FIPC_FIPCTL_BASE64_H

#include <stddef.h>

/* RFC 4648, with padding, one line. Return: for free(3); NULL if there is no memory */
char *base64_encode(const void *data, size_t size);

#endif

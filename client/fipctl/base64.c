/* SPDX-License-Identifier: MIT */
#include "client/fipctl/base64.h"

#include <stdint.h>
#include <stdlib.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    char *text = malloc((size + 2) / 3 * 4 + 1);
    char *end = text;

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;

        if (i + 1 < size)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < size)
            group |= bytes[i + 2];
        *end++ = alphabet[group >> 18];
        *end++ = alphabet[group >> 12 & 63];
        *end++ = '=';
        *end++ = '=';
        if (i + 1 < size)
            end[-2] = alphabet[group >> 6 & 63];
        if (i + 2 < size)
            end[-1] = alphabet[group & 63];
    }
    *end = '\0';
    return text;
}

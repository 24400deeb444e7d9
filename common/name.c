/* SPDX-License-Identifier: MIT */
#include "common/name.h"

#include <string.h>

static bool is_of_an_element(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool fipc_name_is_valid(const char *name, size_t bytes)
{
    bool element_ended = true; /* and the next one has not begun */

    if (bytes > FIPC_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] != '.' ? !is_of_an_element(name[i]) : element_ended)
            return false;
        element_ended = name[i] == '.';
    }
    return !element_ended;
}

bool fipc_name_is_reserved(const char *name, size_t bytes)
{
    static const char prefix[] = "fipc.";

    return bytes >= sizeof(prefix) - 1 && memcmp(name, prefix, sizeof(prefix) - 1) == 0;
}

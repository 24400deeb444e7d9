/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_NAME_H
#define FIPC_COMMON_NAME_H

/*
 * The names of services: elements separated by single dots, each of one or more ASCII letters,
 * digits, '-' and '_'; at most FIPC_NAME_BYTES_MAX bytes in all. Case counts. Names that begin with
 * "fipc." are the broker's own.
 */
#include <stdbool.h>
#include <stddef.h>

#define FIPC_NAME_BYTES_MAX 255u /* without a terminating zero */

/* Whether a name follows these rules. @name is not terminated, and in private memory. */
bool fipc_name_is_valid(const char *name, size_t bytes);

/* Whether a name is one of the broker's own. */
bool fipc_name_is_reserved(const char *name, size_t bytes);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_MERGE_H
#define FIPC_CONFIG_MERGE_H

/* A config file and its drop-ins become the values of a program. */
#include "config/table.h"

#include <stdbool.h>
#include <stdint.h>

/* Receives one line for people, without a newline: `FILE:LINE: key.path: text`; a part that is not
 * known is left out. The line holds no control characters. */
typedef void config_error_fn(const char *line, void *userdata);

/**
 * config_merge() - read a file and its drop-ins, check all of it, fill in defaults
 * @path:        of the file
 * @must_exist:  false: without the file there are only the drop-ins and the defaults
 * @ret_values:  on success the program's struct; free it with config_values_free()
 * @ret_given:   on success the keys that a file gives: bits of config_table_bit()
 * @report:      called once for every error in any of the files
 *
 * The drop-ins of DIR/NAME.json are the files in DIR/NAME.d/ whose names end in .json and don't
 * begin with a dot, in the order of strcmp(3); a later file wins, key by key. Of a file that is not
 * JSON or gives a key twice only the first error is reported: nothing else is known of it.
 *
 * Does not block on a FIFO or a device. Replaces jansson's allocation functions while it runs.
 * Threads: while no other thread uses jansson.
 *
 * Return: 0; -EINVAL if errors were reported; -ENOMEM
 */
int config_merge(const struct config_table *table, const char *path, bool must_exist,
                 void **ret_values, uint64_t *ret_given, config_error_fn *report, void *userdata);

#endif

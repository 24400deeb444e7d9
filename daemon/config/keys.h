/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CONFIG_KEYS_H
#define FIPC_DAEMON_CONFIG_KEYS_H

/* The table of the broker's keys. */
#include "config/table.h"

#include <stdint.h>

/* Its values are a struct config. */
extern const struct config_table config_table;

/* Stands for a key of the table in config.given. */
uint64_t config_key_bit(const char *path);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_SCHEMA_H
#define FIPC_CONFIG_SCHEMA_H

#include "config/table.h"

#include <stdio.h>

/* Writes the JSON Schema of the config file. Return: 0; -EIO */
int config_write_schema(const struct config_table *table, FILE *out);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_MAN_H
#define FIPC_CONFIG_MAN_H

#include "config/table.h"

#include <stdio.h>

/* Writes the keys for a section of a man page, in the language of scdoc(5). Return: 0; -EIO */
int config_write_man(const struct config_table *table, FILE *out);

#endif

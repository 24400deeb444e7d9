/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_MAN_H
#define FIPC_CONFIG_MAN_H

#include <stdio.h>

/* Writes the keys as the section KEYS of fipcd.json(5), in the language of scdoc(5). Return: 0;
 * -EIO */
int config_write_man(FILE *out);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_VALUE_H
#define FIPC_CONFIG_VALUE_H

/* Values on their way from the file to the fields of the program's struct. */
#include "config/table.h"

#include <jansson.h>

/* Return: a struct of defaults, for config_values_free(); NULL if there is no memory */
void *config_values_new(const struct config_table *table);

/* Takes NULL too. Return: NULL */
void *config_values_free(const struct config_table *table, void *values);

/* Of a list that is given up: frees what its items own. The empty list stays. */
void config_list_deinit(const struct config_key *key, struct config_list *list);

/**
 * config_store() - check a value and give it to a key
 *
 * Not for a CONFIG_LIST: config_merge() gives each member of each object a value.
 *
 * Return: 0; -EINVAL if the key cannot have this value, nothing changed; -ENOMEM
 */
int config_store(void *values, const struct config_key *key, const json_t *value);

/* A text or value of a file may be as long as the file; these cut it for people. Return: a text,
 * maybe in @buffer */
const char *config_shorten(const char *text, char buffer[CONFIG_TEXT_BYTES]);
const char *config_describe(const json_t *value, char buffer[CONFIG_TEXT_BYTES]);

#endif

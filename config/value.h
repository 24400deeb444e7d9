/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_VALUE_H
#define FIPC_CONFIG_VALUE_H

/* Values on their way from the file to the fields of struct config. */
#include "daemon/config/keys.h"

#include <jansson.h>

/* Return: a config of defaults, for config_free(); NULL: no memory */
struct config *config_new(void);

/**
 * config_store() - check a value and give it to a key
 *
 * Return: 0; -EINVAL the key cannot have this value, nothing changed; -ENOMEM
 */
int config_store(struct config *config, const struct config_key *key, const json_t *value);

/* What a file gives may be as long as the file; these cut it for people. Return: a text, maybe in
 * @buffer. */
const char *config_shorten(const char *text, char buffer[CONFIG_TEXT_BYTES]);
const char *config_describe(const json_t *value, char buffer[CONFIG_TEXT_BYTES]);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CONFIG_LOAD_H
#define FIPC_DAEMON_CONFIG_LOAD_H

#include "config/merge.h"
#include "daemon/config/config.h"

/**
 * config_load() - read the broker's config and its drop-ins, by config_merge()
 * @ret_config:  on success a whole new config; free it with config_free()
 *
 * Return: 0; -EINVAL if errors were reported; -ENOMEM
 */
int config_load(const char *path, bool must_exist, struct config **ret_config,
                config_error_fn *report, void *userdata);

/* Takes NULL too. Return: NULL */
struct config *config_free(struct config *config);

#endif

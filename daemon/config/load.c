/* SPDX-License-Identifier: MIT */
#include "daemon/config/load.h"

#include "config/value.h"
#include "daemon/config/keys.h"

int config_load(const char *path, bool must_exist, struct config **ret_config,
                config_error_fn *report, void *userdata)
{
    struct config *config;
    void *values;
    uint64_t given;
    int r;

    r = config_merge(&config_table, path, must_exist, &values, &given, report, userdata);
    if (r < 0)
        return r;
    config = values;
    config->given = given;
    *ret_config = config;
    return 0;
}

struct config *config_free(struct config *config)
{
    return config_values_free(&config_table, config);
}

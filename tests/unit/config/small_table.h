/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_UNIT_CONFIG_SMALL_TABLE_H
#define FIPC_TESTS_UNIT_CONFIG_SMALL_TABLE_H

/* A program of its own for config/: a key of each type. */
#include "config/table.h"

#include <stdint.h>

struct small_item {
    uint32_t number;
    char *user;
};

struct small {
    struct {
        uint32_t number;
        uint32_t power_bytes;
        uint32_t power_max;
    } one;
    struct {
        uint32_t mode;
        char *path;
        char *name;
        int choice;
        struct config_list list; /* of struct small_item */
    } other;
};

extern const struct config_table small_table;

#endif

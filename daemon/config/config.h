/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CONFIG_CONFIG_H
#define FIPC_DAEMON_CONFIG_CONFIG_H

/* The broker's configuration: a field for each key of the table in daemon/config/keys.c. */
#include "config/table.h"

#include <stdint.h>

#ifndef CONFIG_DEFAULT_PATH /* a build with another PREFIX defines it */
#define CONFIG_DEFAULT_PATH "/etc/fipc/fipcd.json"
#endif

/* Uids that belong to a user. */
struct config_owner {
    uint32_t first;
    uint32_t count;
    char *owner; /* a name, or a uid as digits */
};

struct config {
    uint64_t given; /* by a file or an option: bits of config_key_bit() */
    struct {
        char *socket;
        uint32_t backlog;
        uint32_t mode;
        char *group; /* NULL: the group of the process */
    } control;
    struct {
        uint32_t count;
        uint32_t per_uid; /* 0: a quarter of count */
        uint32_t request_ring_bytes;
        uint32_t reply_ring_bytes;
        uint32_t ring_bytes_max;
        uint32_t stranger_ring_bytes;
    } slots;
    struct {
        uint32_t doorbell_ms;
        uint32_t idle_ms; /* 0: never */
        uint32_t handler_ms;
        uint32_t drain_ms;
    } timeouts;
    struct {
        uint32_t messages_per_turn;
        uint32_t spin_us;
    } dispatch;
    struct {
        struct config_list owners; /* of struct config_owner */
    } limits;
    struct {
        int level; /* of syslog(3) */
    } log;
};

#endif

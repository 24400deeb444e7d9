/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CONFIG_CONFIG_H
#define FIPC_DAEMON_CONFIG_CONFIG_H

/* The broker's configuration. One table of keys, in config_table.c, says what there is; it feeds
 * parser, defaults, error texts, JSON Schema and the README's table. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifndef CONFIG_DEFAULT_PATH /* a build with another PREFIX defines it */
#define CONFIG_DEFAULT_PATH "/etc/fipc/fipcd.json"
#endif

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
        int level; /* of syslog(3) */
    } log;
};

/* Receives one line for people, without a newline: `FILE:LINE: key.path: text`; what cannot be
 * known is left out. The line holds no control characters. */
typedef void config_error_fn(const char *line, void *userdata);

/**
 * config_load() - read a file and its drop-ins, check all of it, fill in defaults
 * @path:        of the file
 * @must_exist:  false: without the file there are only the drop-ins and the defaults
 * @ret_config:  on success a whole new config; free it with config_free()
 * @report:      called once for every error found in any of the files
 *
 * The drop-ins of DIR/NAME.json are the files in DIR/NAME.d/ whose names end in .json and don't
 * begin with a dot, in the order of strcmp(3); a later file wins, key by key. Of a file that is not
 * JSON or gives a key twice only the first error is reported: nothing else is known of it.
 *
 * Never waits for what is not a regular file. Replaces jansson's allocation functions while it
 * runs. Threads: while no other thread uses jansson.
 *
 * Return: 0; -EINVAL errors were reported; -ENOMEM
 */
int config_load(const char *path, bool must_exist, struct config **ret_config,
                config_error_fn *report, void *userdata);

/* Takes NULL too. Return: NULL. */
struct config *config_free(struct config *config);

/* Writes the JSON Schema of the config file, as shipped in config/. Return: 0; -EIO */
int config_write_schema(FILE *out);

/* Writes the keys as a table in Markdown, as shown in the README. Return: 0; -EIO */
int config_write_markdown(FILE *out);

#endif

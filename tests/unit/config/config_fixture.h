/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_UNIT_CONFIG_CONFIG_FIXTURE_H
#define FIPC_TESTS_UNIT_CONFIG_CONFIG_FIXTURE_H

/* A folder of config files and what config_load() makes of them. JSON is written with ' for ". */
#include "daemon/config/config.h"
#include "daemon/config/load.h"

#include <stdbool.h>
#include <stddef.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ERRORS_BYTES (1 << 16)

extern char main_path[64];        /* FOLDER/a.json */
extern char errors[ERRORS_BYTES]; /* lines of the last load; F is the main path, D the folder */
extern unsigned n_errors;
extern struct config *config; /* of the last load that succeeded */

/* Which call of malloc, calloc, strdup and scandir in a load fails, from 0; -1: none. */
extern int fail_at;
extern bool has_failed;

/* Checked fixture. */
void config_setup(void);
void config_teardown(void);

/* Return: FOLDER/NAME, until the next call. */
const char *path_of(const char *name);
void make_folder(const char *name);
void write_bytes(const char *name, const void *bytes, size_t size);
void write_json(const char *name, const char *text);

/* Load the named file, the main path, the same if it is there, or a text as the main path. Return:
 * as config_load(). */
int load_path(const char *path);
int load(void);
int load_optional(void);
int load_json(const char *text);

#endif

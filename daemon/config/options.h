/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CONFIG_OPTIONS_H
#define FIPC_DAEMON_CONFIG_OPTIONS_H

/* The command line of fipcd. */
#include <stdbool.h>

#define EXIT_USAGE 2
#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h */

struct options {
    const char *config;
    const char *socket;
    int log_level; /* of syslog(3); -1: the config's */
    bool user;
    bool check_config;
};

/* Exits by itself on --help, --version (0) and on wrong usage (EXIT_USAGE). */
void options_parse(struct options *ret_options, int argc, char **argv);

#endif

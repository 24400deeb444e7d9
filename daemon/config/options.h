/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_CONFIG_OPTIONS_H
#define FIPC_DAEMON_CONFIG_OPTIONS_H

/* The command line of fipcd. */
#include <stdbool.h>

#define EXIT_USAGE 2
#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h */

struct options {
    const char *config; /* NULL: not given; borrowed from argv, as is @socket */
    const char *socket;
    int log_level; /* of syslog(3); -1: the config's */
    bool user;
    bool check_config;
};

/* options_parse(): nothing ends the program, run the broker. */
#define OPTIONS_GO_ON (-1)

/**
 * options_parse() - understand the command line
 * @ret_options:  complete on OPTIONS_GO_ON
 *
 * Prints the help, the version, or the error line itself.
 *
 * Return: OPTIONS_GO_ON; or the exit status to end with: 0 after the help or the version,
 * EXIT_USAGE after an error
 */
int options_parse(struct options *ret_options, int argc, char **argv);

#endif

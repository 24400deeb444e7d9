/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_OPTIONS_H
#define FIPC_FIPCTL_OPTIONS_H

/* Reads the command line. */
#include "client/fipctl/invocation.h"

/* Instead of an exit status: the command can run. */
#define OPTIONS_GO_ON (-1)

/**
 * options_parse() - understand the command line
 * @ret_invocation:  complete on OPTIONS_GO_ON
 * @program:         borrowed, like @argv
 *
 * Prints the help, the version, or the error line itself. Reorders @argv.
 *
 * Return: OPTIONS_GO_ON; or the exit status to end with
 */
int options_parse(struct invocation *ret_invocation, const struct program *program, int argc,
                  char **argv);

/* Checks that a word can be the name of a service, and prints the error line if it cannot. Return:
 * OPTIONS_GO_ON; or the exit status to end with */
int options_check_name(const struct invocation *invocation, const char *name);

#endif

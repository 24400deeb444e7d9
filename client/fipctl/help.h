/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_HELP_H
#define FIPC_FIPCTL_HELP_H

struct command;
struct program;

/* Prints the help of @command on stdout; NULL: of the whole program. */
void help_print(const struct program *program, const struct command *command);
void help_print_version(void);

#endif

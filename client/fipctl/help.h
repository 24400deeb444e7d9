/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_HELP_H
#define FIPC_FIPCTL_HELP_H

struct command;

/* On stdout, of @command; NULL: of fipctl as a whole. */
void help_print(const struct command *command);
void help_print_version(void);

#endif

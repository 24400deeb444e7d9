/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_COMMAND_H
#define FIPC_FIPCTL_COMMAND_H

/* The commands of fipctl: each is a row in the table of command.c; options and help follow from it.
 */
#include "client/fipctl/invocation.h"

extern const struct program fipctl_program;

extern const struct option_spec no_options[];
extern const struct option_spec bench_options[];
extern const struct option_spec call_options[];
extern const struct option_spec ping_options[];
extern const struct option_spec serve_options[];

int bench_run(const struct invocation *invocation);
int call_run(const struct invocation *invocation);
int list_run(const struct invocation *invocation);
int ping_run(const struct invocation *invocation);
int serve_run(const struct invocation *invocation);
int slots_run(const struct invocation *invocation);
int stats_run(const struct invocation *invocation);
int wait_run(const struct invocation *invocation);

#endif

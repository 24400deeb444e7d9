/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_COMMAND_H
#define FIPC_FIPCTL_COMMAND_H

/* The commands of fipctl: one row each in the table of command.c, all else follows from it. */
#include "client/fipctl/options.h"

enum {
    EXIT_CALL_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NO_BROKER = 3,
};

struct command {
    const char *name;
    const char *arguments;             /* as shown in the usage line */
    const char *help;                  /* one line */
    const char *details;               /* more of it for --help; NULL: there is no more */
    const struct option_spec *options; /* its own, beside the common ones */
    int n_arguments_min, n_arguments_max;
    int (*run)(const struct invocation *invocation); /* Return: an exit status */
    bool has_json; /* not where all that is printed comes from elsewhere */
};

/* The end of the table is a row without a name. */
extern const struct command commands[];

const struct command *command_find(const char *name);

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

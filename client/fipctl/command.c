/* SPDX-License-Identifier: MIT */
#include "client/fipctl/command.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

const struct command commands[] = {
    {"bench", "", "Measure what calls cost here",
     "Round trips of small and large calls, of calls that come seldom, and of calls without a\n"
     "session. With --floors beside what a bare socket and bare shared memory cost here.",
     bench_options, 0, 0, bench_run, true},
    {"call", "SERVICE [DATA | -]", "Call a service and print its reply",
     "The reply goes to standard output byte for byte. '-' sends what standard input has; without\n"
     "DATA the request is empty. Put '--' before DATA that begins with '-'.",
     call_options, 1, 2, call_run, true},
    {"list", "", "List the services that can be called", NULL, no_options, 0, 0, list_run, true},
    {"ping", "", "Measure round trips to the broker",
     "Calls fipc.echo over one session and compares each reply with what was sent.", ping_options,
     0, 0, ping_run, true},
    {"serve", "NAME -- COMMAND [ARGUMENT]...", "Serve a name: run a command for each call",
     "The request is the command's standard input, its standard output the reply. A command that\n"
     "does not exit with 0 makes the call fail with an I/O error (EIO). Ends by SIGINT or SIGTERM.",
     serve_options, 2, INT_MAX, serve_run, false},
    {"slots", "", "List the clients of the broker",
     "One line for each slot that is taken: whose it is, how many names it serves, how many calls\n"
     "came from it, and how many of these are open, by state.",
     no_options, 0, 0, slots_run, true},
    {"stats", "", "Print the counters of the broker", NULL, no_options, 0, 0, stats_run, true},
    {"wait", "NAME", "Wait until somebody serves a name", NULL, no_options, 1, 1, wait_run, true},
    {0},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

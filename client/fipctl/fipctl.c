/* SPDX-License-Identifier: MIT */
#include "client/fipctl/command.h"
#include "client/fipctl/output.h"

#include <string.h>

const struct command commands[] = {
    {"bench", "", "Measure what calls cost here",
     "Round trips of small and large calls, of calls that come seldom, and of calls without a\n"
     "session. With --floors beside what a bare socket and bare shared memory cost here.",
     bench_options, 0, 0, bench_run},
    {"call", "SERVICE [DATA | -]", "Call a service and print its reply",
     "The reply goes to standard output byte for byte. '-' sends what standard input has; without\n"
     "DATA the request is empty. Put '--' before DATA that begins with '-'.",
     no_options, 1, 2, call_run},
    {"list", "", "List the services that can be called", NULL, no_options, 0, 0, list_run},
    {"ping", "", "Measure round trips to the broker",
     "Calls fipc.echo over one session and compares each reply with what was sent.", ping_options,
     0, 0, ping_run},
    {"slots", "", "List the clients of the broker",
     "One line for each slot that is taken, with its open calls by state.", no_options, 0, 0,
     slots_run},
    {"stats", "", "Print the counters of the broker", NULL, no_options, 0, 0, stats_run},
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

int main(int argc, char **argv)
{
    struct invocation invocation;
    int status;

    output_init();
    status = options_parse(&invocation, argc, argv);
    if (status == OPTIONS_GO_ON)
        status = invocation.command->run(&invocation);
    return output_finish(status);
}

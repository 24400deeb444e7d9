/* SPDX-License-Identifier: MIT */
#include "client/fipctl/command.h"

#include <limits.h>
#include <stddef.h>

static const struct option_spec common_options[] = {
    {"socket", 0, OPTION_TEXT, "PATH", "Talk to the broker at PATH instead of $FIPC_SOCKET",
     offsetof(struct settings, socket), 0, 0},
    {"user", 0, OPTION_FLAG, NULL, "Talk to your own broker, in $XDG_RUNTIME_DIR",
     offsetof(struct settings, user), 0, 0},
    {"json", 0, OPTION_FLAG, NULL, "Print one JSON document", offsetof(struct settings, json), 0,
     0},
    {"timeout", 0, OPTION_NUMBER, "MS",
     "Wait at most MS milliseconds for broker and reply (default 5000)",
     offsetof(struct settings, timeout_ms), 1, INT_MAX},
    {"help", 'h', OPTION_HELP, NULL, "Print this help", 0, 0, 0},
    {"version", 0, OPTION_VERSION, NULL, "Print the version", 0, 0, 0},
    {0},
};

const struct option_spec no_options[] = {{0}};

static const struct command commands[] = {
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

const struct program fipctl_program = {commands, common_options};

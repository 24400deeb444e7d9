/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_OPTIONS_H
#define FIPC_FIPCTL_OPTIONS_H

/* The command line: what may be said, and what was. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

struct command;

/* More than any broker takes; keeps a slip from filling the memory. */
#define PAYLOAD_BYTES_MAX UINT64_C(268435456)

#define CPU_ANY UINT64_MAX

/* Three fds each, below the 1024 that a process may have open by default. */
#define PARALLEL_MAX 256

/* What options set; an option's row in its table says where. */
struct settings {
    bool json;
    bool user;
    const char *socket;
    uint64_t timeout_ms;
    struct {
        uint64_t rounds;
        uint64_t duration_ms;
        uint64_t count;
        uint64_t cpu, server_cpu;
        const char *save;
        bool floors;
    } bench;
    struct {
        uint64_t count;
        uint64_t bytes;
        bool verbose;
    } ping;
    struct {
        bool wait;
    } call;
    struct {
        uint64_t parallel;
    } serve;
};

enum option_kind {
    OPTION_FLAG,   /* sets a bool */
    OPTION_TEXT,   /* sets a const char * */
    OPTION_NUMBER, /* sets a uint64_t */
    OPTION_HELP,
    OPTION_VERSION,
};

/* The end of a table is a row without a name. */
struct option_spec {
    const char *name;
    char letter; /* 0: there is only the long name */
    enum option_kind kind;
    const char *value; /* how the help calls the value; NULL: it takes none */
    const char *help;
    size_t offset;     /* of what it sets in struct settings */
    uint64_t min, max; /* of a number */
};

/* Those that may stand before and after every command. */
extern const struct option_spec common_options[];

/* One run of fipctl. */
struct invocation {
    uint64_t started_ns;
    const struct command *command;
    struct settings settings;
    char socket_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    char **arguments; /* of the command, borrowed from argv; NULL after the last one */
    int n_arguments;
};

/* options_parse(): nothing ends the program, run the command. */
#define OPTIONS_GO_ON (-1)

/**
 * options_parse() - understand the command line
 * @ret_invocation:  complete on OPTIONS_GO_ON
 *
 * Prints the help, the version, or the error line itself. Reorders @argv.
 *
 * Return: OPTIONS_GO_ON; or the exit status to end with
 */
int options_parse(struct invocation *ret_invocation, int argc, char **argv);

/* Whether a word can be the name of a service; if not, that is said. Return: OPTIONS_GO_ON; or the
 * exit status to end with */
int options_check_name(const struct invocation *invocation, const char *name);

#endif

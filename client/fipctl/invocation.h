/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_INVOCATION_H
#define FIPC_FIPCTL_INVOCATION_H

/* One run of fipctl: which command, what its options set, how it ends. Here are the types that the
 * other modules share; options.c fills them in. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

enum {
    EXIT_CALL_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NO_BROKER = 3,
    EXIT_BROKER_FULL = 4, /* alive, but without a slot for this user */
    EXIT_DENIED = 5,      /* this user may not connect */
};

/* More than any broker takes; keeps a slip from filling the memory. */
#define PAYLOAD_BYTES_MAX UINT64_C(268435456)

#define CPU_ANY UINT64_MAX

/* Three fds each, below the 1024 that a process may have open by default. */
#define PARALLEL_MAX 256

/* The values of all options; an option's row in its table says which field it sets. */
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
    const char *value; /* its name in the help; NULL: the option takes no value */
    const char *help;
    size_t offset;     /* of the field in struct settings */
    uint64_t min, max; /* of a number */
};

struct invocation;

struct command {
    const char *name;
    const char *arguments;             /* as shown in the usage line */
    const char *help;                  /* one line */
    const char *details;               /* more of it for --help; NULL: there is no more */
    const struct option_spec *options; /* its own, beside the common ones */
    int n_arguments_min, n_arguments_max;
    int (*run)(const struct invocation *invocation); /* Return: an exit status */
    bool has_json; /* false: the command prints nothing of its own */
};

/* All that fipctl understands. */
struct program {
    const struct command *commands;    /* the end of the table is a row without a name */
    const struct option_spec *options; /* may stand before and after every command; likewise */
};

/* One run of fipctl. */
struct invocation {
    uint64_t started_ns;
    const struct program *program;
    const struct command *command; /* NULL until the command line named it */
    struct settings settings;
    char socket_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    char **arguments; /* of the command, borrowed from argv; NULL after the last one */
    int n_arguments;
};

#endif

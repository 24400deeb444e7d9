/* SPDX-License-Identifier: MIT */

/*
 * One pass with getopt_long(3) in the mode that returns every word in its place: the first word
 * that is no option chooses the command, and from there on the options of that command are known
 * too. In this mode $POSIXLY_CORRECT changes nothing.
 */
#include "client/fipctl/options.h"

#include "client/fipctl/failure.h"
#include "client/fipctl/help.h"
#include "common/name.h"
#include "common/os/os.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/fipc/control.sock"
#define USER_SOCKET "/fipc/control.sock" /* in $XDG_RUNTIME_DIR */

#define SPECS_MAX 16 /* options that one command knows, the common ones among them */
#define LONG_ONLY                                                                                  \
    (UCHAR_MAX + 1) /* getopt_long() returns this for the first spec, if it has no letter */

static const struct settings default_settings = {
    .timeout_ms = 5000,
    .bench =
        {.rounds = 5, .duration_ms = 200, .count = 1000000, .cpu = CPU_ANY, .server_cpu = CPU_ANY},
    .ping = {.count = 10, .bytes = 64},
    .serve = {.parallel = 1},
};

/* The options that getopt_long() knows at the moment. */
struct grammar {
    const struct option_spec *specs[SPECS_MAX];
    struct option longs[SPECS_MAX + 1];
    char shorts[2 + 2 * SPECS_MAX + 1];
    int n_specs;
};

static void grammar_add(struct grammar *grammar, const struct option_spec *spec)
{
    char *end = grammar->shorts + strlen(grammar->shorts);

    for (; spec->name != NULL; spec++) {
        int i = grammar->n_specs++;

        assert(i < SPECS_MAX);
        grammar->specs[i] = spec;
        grammar->longs[i] = (struct option){
            .name = spec->name,
            .has_arg = spec->value != NULL ? required_argument : no_argument,
            .val = spec->letter != 0 ? spec->letter : LONG_ONLY + i,
        };
        if (spec->letter != 0)
            *end++ = spec->letter;
        if (spec->letter != 0 && spec->value != NULL)
            *end++ = ':';
    }
}

static void grammar_init(struct grammar *grammar, const struct invocation *invocation)
{
    *grammar = (struct grammar){.shorts = "-:"}; /* every word in its place; errors are ours */
    grammar_add(grammar, invocation->program->options);
    if (invocation->command != NULL)
        grammar_add(grammar, invocation->command->options);
}

/* @key: from getopt_long(). Return: NULL if no option has it */
static const struct option_spec *grammar_find(const struct grammar *grammar, int key)
{
    for (int i = 0; i < grammar->n_specs; i++) {
        if (grammar->longs[i].val == key)
            return grammar->specs[i];
    }
    return NULL;
}

static struct failure_word shown(const char *word) { return failure_word(word, strlen(word)); }

/* Prints the option that getopt_long() did not understand. @key: its ':' or '?' */
static int refuse_option(const struct invocation *invocation, const struct grammar *grammar,
                         int key, char **argv)
{
    const struct option_spec *spec = grammar_find(grammar, optopt);
    const char *word = argv[optind - 1]; /* the option itself, if it is a long one */

    if (spec != NULL && key == ':')
        return failure_of_usage(invocation, "--%s: a value is missing, %s", spec->name,
                                spec->value);
    if (spec != NULL)
        return failure_of_usage(invocation, "%s: takes no value", shown(word).text);
    if (optopt != 0)
        return failure_of_usage(invocation, "-%c: no such option", optopt);
    return failure_of_usage(invocation, "%s: no such option",
                            failure_word(word, strcspn(word, "=")).text);
}

/* Decimal digits and nothing else. Return: 0; -EINVAL; -ERANGE */
static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    unsigned long long number;

    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
        return -EINVAL;
    errno = 0;
    number = strtoull(text, NULL, 10);
    if (errno != 0 || number < min || number > max)
        return -ERANGE;
    *ret_number = number;
    return 0;
}

/* Return: OPTIONS_GO_ON, or the exit status to end with */
static int apply_option(struct invocation *invocation, const struct option_spec *spec)
{
    char *field = (char *)&invocation->settings + spec->offset;

    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *)(void *)field = true;
        return OPTIONS_GO_ON;
    case OPTION_TEXT:
        *(const char **)(void *)field = optarg;
        return OPTIONS_GO_ON;
    case OPTION_NUMBER:
        if (parse_number(optarg, spec->min, spec->max, (uint64_t *)(void *)field) < 0)
            return failure_of_usage(invocation, "--%s '%s': not a whole number from %llu to %llu",
                                    spec->name, shown(optarg).text, (unsigned long long)spec->min,
                                    (unsigned long long)spec->max);
        return OPTIONS_GO_ON;
    case OPTION_HELP:
        help_print(invocation->program, invocation->command);
        return EXIT_SUCCESS;
    case OPTION_VERSION:
        help_print_version();
        return EXIT_SUCCESS;
    }
    return OPTIONS_GO_ON;
}

/* Return: NULL if there is no such command */
static const struct command *find_command(const struct program *program, const char *name)
{
    for (const struct command *command = program->commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

/* A word that is no option: the command, then its arguments, which gather at the front of argv. */
static int take_word(struct invocation *invocation, char *word)
{
    if (invocation->command != NULL) {
        invocation->arguments[invocation->n_arguments++] = word;
        return OPTIONS_GO_ON;
    }
    invocation->command = find_command(invocation->program, word);
    if (invocation->command == NULL)
        return failure_of_usage(invocation, "%s: no such command", shown(word).text);
    return OPTIONS_GO_ON;
}

static int parse_words(struct invocation *invocation, int argc, char **argv)
{
    struct grammar grammar;
    int status = OPTIONS_GO_ON;

    opterr = 0;
    grammar_init(&grammar, invocation);
    while (status == OPTIONS_GO_ON) {
        bool has_command = invocation->command != NULL;
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): fipctl has one thread */
        int key = getopt_long(argc, argv, grammar.shorts, grammar.longs, NULL);

        if (key == -1)
            break;
        if (key == ':' || key == '?')
            status = refuse_option(invocation, &grammar, key, argv);
        else if (key == 1)
            status = take_word(invocation, optarg);
        else
            status = apply_option(invocation, grammar_find(&grammar, key));
        if (!has_command && invocation->command != NULL)
            grammar_init(&grammar, invocation);
    }
    while (status == OPTIONS_GO_ON && optind < argc) /* all words after "--" */
        status = take_word(invocation, argv[optind++]);
    if (invocation->n_arguments > 0) /* there is room: the command's name came before them */
        invocation->arguments[invocation->n_arguments] = NULL;
    return status;
}

static int check_arguments(const struct invocation *invocation)
{
    const struct command *command = invocation->command;

    if (command == NULL)
        return failure_of_usage(invocation, "COMMAND: none given");
    if (invocation->n_arguments < command->n_arguments_min)
        return failure_of_usage(invocation, "an argument is missing of %s", command->arguments);
    if (invocation->settings.json && !command->has_json)
        return failure_of_usage(invocation, "--json: it prints nothing of its own");
    if (invocation->n_arguments > command->n_arguments_max)
        return failure_of_usage(invocation, "%s: one argument too many",
                                shown(invocation->arguments[command->n_arguments_max]).text);
    return OPTIONS_GO_ON;
}

/* --socket beats --user beats $FIPC_SOCKET beats the default. */
static int choose_socket(struct invocation *invocation)
{
    const char *folder = "", *path = invocation->settings.socket;
    int length;

    if (path == NULL && invocation->settings.user) {
        folder = getenv("XDG_RUNTIME_DIR"); /* NOLINT(concurrency-mt-unsafe): one thread */
        if (folder == NULL || folder[0] != '/') {
            failure_print("--user: XDG_RUNTIME_DIR names no folder; log in, or use --socket PATH");
            return EXIT_USAGE;
        }
        path = USER_SOCKET;
    }
    if (path == NULL)
        path = getenv("FIPC_SOCKET"); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (path == NULL)
        path = DEFAULT_SOCKET;
    if (path[0] == '\0') {
        failure_print("socket: its path is empty; name it by --socket PATH or $FIPC_SOCKET");
        return EXIT_USAGE;
    }
    length =
        snprintf(invocation->socket_path, sizeof(invocation->socket_path), "%s%s", folder, path);
    if (length < 0 || (size_t)length >= sizeof(invocation->socket_path)) {
        failure_print("%s%s: longer than the %zu bytes that a socket's path may have; use a "
                      "shorter one",
                      shown(folder).text, shown(path).text, sizeof(invocation->socket_path) - 1);
        return EXIT_USAGE;
    }
    return OPTIONS_GO_ON;
}

int options_check_name(const struct invocation *invocation, const char *name)
{
    if (fipc_name_is_valid(name, strlen(name)))
        return OPTIONS_GO_ON;
    return failure_of_usage(invocation,
                            "'%s': no name of a service; that is of letters, digits, '-' and '_', "
                            "with single dots between them, and has at most %u bytes",
                            shown(name).text, FIPC_NAME_BYTES_MAX);
}

int options_parse(struct invocation *ret_invocation, const struct program *program, int argc,
                  char **argv)
{
    int status;

    /* take_word() stores each argument below the place from which it read it: argv[0] was no
     * argument */
    *ret_invocation = (struct invocation){
        .started_ns = fipc_now_ns(),
        .program = program,
        .settings = default_settings,
        .arguments = argv,
    };
    status = parse_words(ret_invocation, argc, argv);
    if (status == OPTIONS_GO_ON)
        status = check_arguments(ret_invocation);
    if (status == OPTIONS_GO_ON)
        status = choose_socket(ret_invocation);
    return status;
}

/* SPDX-License-Identifier: MIT */
#include "daemon/config/options.h"

#include "common/version.h"
#include "config/value.h"
#include "daemon/config/config.h"
#include "daemon/config/keys.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEFT_WIDTH 24 /* of options with their values */

enum option_key {
    OPTION_CONFIG = UCHAR_MAX + 1, /* no letter has it */
    OPTION_SOCKET,
    OPTION_USER,
    OPTION_CHECK_CONFIG,
    OPTION_LOG_LEVEL,
    OPTION_HELP,
    OPTION_USAGE,
    OPTION_VERSION,
};

/* A row without a name ends the table. */
static const struct option_spec {
    const char *name;
    char letter;       /* 0: there is only the long name */
    int key;           /* enum option_key */
    const char *value; /* its name in the help; NULL: the option takes no value */
    const char *help;
} specs[] = {
    {"config", 0, OPTION_CONFIG, "FILE", "Read FILE instead of " CONFIG_DEFAULT_PATH},
    {"socket", 0, OPTION_SOCKET, "PATH", "Listen on PATH instead of the configured socket"},
    {"user", 0, OPTION_USER, NULL,
     "Be a user's own broker: socket in $XDG_RUNTIME_DIR/fipc, config in ~/.config/fipc"},
    {"check-config", 0, OPTION_CHECK_CONFIG, NULL,
     "Check the configuration, print each error, and exit"},
    {"log-level", 0, OPTION_LOG_LEVEL, "LEVEL", "error, warning, info or debug"},
    {"help", '?', OPTION_HELP, NULL, "Print this help"},
    {"usage", 0, OPTION_USAGE, NULL, "Print the options in short"},
    {"version", 'V', OPTION_VERSION, NULL, "Print the version"},
    {0},
};

#define N_SPECS (sizeof(specs) / sizeof(specs[0]) - 1)

/* ---- output ---- */

static void print_help(void)
{
    (void)printf("Usage: fipcd [OPTION]...\n"
                 "The fipc message broker: programs on this host call one another through it.\n\n");
    for (const struct option_spec *spec = specs; spec->name != NULL; spec++) {
        int width = spec->letter != 0 ? printf("  -%c, --%s", spec->letter, spec->name)
                                      : printf("      --%s", spec->name);

        if (spec->value != NULL)
            width += printf(" %s", spec->value);
        (void)printf("%*s%s\n", LEFT_WIDTH + 2 - width, "", spec->help);
    }
    (void)printf("\nExit status: 0 success, 1 failure, %d wrong usage, %d wrong configuration.\n",
                 EXIT_USAGE, EXIT_CONFIG);
}

static void print_usage(void)
{
    (void)printf("Usage: fipcd");
    for (const struct option_spec *spec = specs; spec->name != NULL; spec++)
        (void)printf(" [--%s%s%s]", spec->name, spec->value != NULL ? " " : "",
                     spec->value != NULL ? spec->value : "");
    (void)printf("\n");
}

/* Return: the exit status */
static int wrong_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int wrong_usage(const char *format, ...)
{
    va_list values;

    (void)fprintf(stderr, "fipcd: ");
    va_start(values, format);
    (void)vfprintf(stderr, format, values);
    va_end(values);
    (void)fprintf(stderr, "; see 'fipcd --help'\n");
    return EXIT_USAGE;
}

/* Prints why getopt_long() did not take an option. @key: its ':' or '?' */
static int refuse_option(int key, char **argv)
{
    char *word = argv[optind - 1]; /* is the option, if that is a long one */
    char shown[CONFIG_TEXT_BYTES];

    if (key == ':')
        return wrong_usage("%s: a value is missing", word);
    if (optopt > UCHAR_MAX)
        return wrong_usage("%s: takes no value", config_shorten(word, shown));
    if (optopt != 0)
        return wrong_usage("-%c: no such option", optopt);
    word[strcspn(word, "=")] = '\0';
    return wrong_usage("%s: no such option", config_shorten(word, shown));
}

/* ---- input ---- */

static int parse_level(const char *name)
{
    const struct config_choice *level = config_table_at(&config_table, "log.level")->choices;

    while (level->name != NULL && strcmp(level->name, name) != 0)
        level++;
    return level->name != NULL ? level->value : -1;
}

/* Return: OPTIONS_GO_ON; or the exit status */
static int apply_option(struct options *options, int key)
{
    char shown[CONFIG_TEXT_BYTES];

    switch (key) {
    case OPTION_CONFIG:
        options->config = optarg;
        break;
    case OPTION_SOCKET:
        options->socket = optarg;
        break;
    case OPTION_USER:
        options->user = true;
        break;
    case OPTION_CHECK_CONFIG:
        options->check_config = true;
        break;
    case OPTION_LOG_LEVEL:
        options->log_level = parse_level(optarg);
        if (options->log_level < 0)
            return wrong_usage("--log-level '%s': not one of error, warning, info, debug",
                               config_shorten(optarg, shown));
        break;
    case OPTION_HELP:
        print_help();
        return EXIT_SUCCESS;
    case OPTION_USAGE:
        print_usage();
        return EXIT_SUCCESS;
    case OPTION_VERSION:
    case 'V':
        (void)printf("fipcd %s\n", FIPC_VERSION);
        return EXIT_SUCCESS;
    default:
        break;
    }
    return OPTIONS_GO_ON;
}

int options_parse(struct options *ret_options, int argc, char **argv)
{
    struct option longs[N_SPECS + 1] = {0};
    char shown[CONFIG_TEXT_BYTES];
    int status = OPTIONS_GO_ON, key;

    for (size_t i = 0; i < N_SPECS; i++)
        longs[i] = (struct option){
            .name = specs[i].name,
            .has_arg = specs[i].value != NULL ? required_argument : no_argument,
            .val = (int)specs[i].key,
        };
    *ret_options = (struct options){.log_level = -1};
    opterr = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): fipcd has one thread yet */
    while (status == OPTIONS_GO_ON && (key = getopt_long(argc, argv, ":V", longs, NULL)) != -1) {
        if (key == '?' && optopt == '?') /* getopt_long() cannot know this letter */
            key = OPTION_HELP;
        status =
            key == ':' || key == '?' ? refuse_option(key, argv) : apply_option(ret_options, key);
    }
    if (status == OPTIONS_GO_ON && optind < argc)
        status = wrong_usage("%s: no argument is expected", config_shorten(argv[optind], shown));
    return status;
}

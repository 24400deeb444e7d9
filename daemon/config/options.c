/* SPDX-License-Identifier: MIT */
#include "daemon/config/options.h"

#include "common/version.h"
#include "daemon/config/config.h"
#include "daemon/config/keys.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_CHECK_CONFIG = 0x100,
    KEY_LOG_LEVEL,
    KEY_SOCKET,
    KEY_USER,
    KEY_CONFIG,
};

static const struct argp_option table[] = {
    {"config", KEY_CONFIG, "FILE", 0, "Read FILE instead of " CONFIG_DEFAULT_PATH, 0},
    {"socket", KEY_SOCKET, "PATH", 0, "Listen on PATH instead of the configured socket", 0},
    {"user", KEY_USER, NULL, 0,
     "Be a user's own broker: socket in $XDG_RUNTIME_DIR/fipc, config in ~/.config/fipc", 0},
    {"check-config", KEY_CHECK_CONFIG, NULL, 0,
     "Check the configuration, print each error, and exit", 0},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warning, info or debug", 0},
    {0},
};

static int parse_level(const char *name)
{
    const struct config_choice *level = config_key_of_path("log.level")->choices;

    while (level->name != NULL && strcmp(level->name, name) != 0)
        level++;
    return level->name != NULL ? level->value : -1;
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case KEY_CONFIG:
        options->config = argument;
        return 0;
    case KEY_SOCKET:
        options->socket = argument;
        return 0;
    case KEY_USER:
        options->user = true;
        return 0;
    case KEY_CHECK_CONFIG:
        options->check_config = true;
        return 0;
    case KEY_LOG_LEVEL:
        options->log_level = parse_level(argument);
        if (options->log_level < 0)
            argp_error(state, "--log-level: '%s' is none of error, warning, info, debug", argument);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void options_parse(struct options *ret_options, int argc, char **argv)
{
    static const struct argp parser = {
        .options = table,
        .parser = parse_one,
        .doc = "The fipc message broker: programs on this host call one another through it.",
    };
    error_t r;

    argp_program_version = "fipcd " FIPC_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    *ret_options = (struct options){.log_level = -1};
    r = argp_parse(&parser, argc, argv, 0, NULL, ret_options);
    if (r != 0) {
        (void)fprintf(stderr, "fipcd: cannot start: %s\n", strerror(r));
        exit(EXIT_FAILURE);
    }
}

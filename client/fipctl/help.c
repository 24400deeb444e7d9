/* SPDX-License-Identifier: MIT */
#include "client/fipctl/help.h"

#include "client/fipctl/invocation.h"
#include "client/fipctl/output.h"
#include "common/version.h"

#include <string.h>

#define LEFT_WIDTH 22 /* of commands with their arguments, and of options with their values */

static bool is_refused(const struct option_spec *spec, const struct command *command)
{
    return !command->has_json && strcmp(spec->name, "json") == 0;
}

/* @command: NULL if it is not known yet */
static void print_options(const struct option_spec *spec, const struct command *command)
{
    for (; spec->name != NULL; spec++) {
        int width;

        if (command != NULL && is_refused(spec, command))
            continue;
        width = spec->letter != 0 ? output_print("  -%c, --%s", spec->letter, spec->name)
                                  : output_print("      --%s", spec->name);

        if (spec->value != NULL)
            width += output_print(" %s", spec->value);
        output_print("%*s%s\n", LEFT_WIDTH + 2 - width, "", spec->help);
    }
}

static void print_overview(const struct program *program)
{
    output_print("Usage: fipctl [OPTION]... COMMAND [ARGUMENT]...\n"
                 "Talks to fipcd, the message broker of this host.\n"
                 "\nCommands:\n");
    for (const struct command *command = program->commands; command->name != NULL; command++)
        output_print("  %-*s%s\n", LEFT_WIDTH, command->name, command->help);
    output_print("\nOptions, before or after the command:\n");
    print_options(program->options, NULL);
    output_print("\n'fipctl COMMAND --help' tells more of a command.\n"
                 "Exit status: 0 success, 1 the call failed, 2 wrong usage, 3 no broker answers,\n"
                 "4 it is alive but full, 5 you may not connect.\n");
}

static void print_command(const struct program *program, const struct command *command)
{
    output_print("Usage: fipctl %s [OPTION]...%s%s\n%s.\n", command->name,
                 command->arguments[0] != '\0' ? " " : "", command->arguments, command->help);
    if (command->details != NULL)
        output_print("%s\n", command->details);
    output_print("\nOptions:\n");
    print_options(command->options, command);
    print_options(program->options, command);
}

void help_print(const struct program *program, const struct command *command)
{
    if (command != NULL)
        print_command(program, command);
    else
        print_overview(program);
}

void help_print_version(void) { output_print("fipctl %s\n", FIPC_VERSION); }

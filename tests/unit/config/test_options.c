/* SPDX-License-Identifier: MIT */
/* The command line of fipcd: the options that it sets, the lines that a wrong one prints. */
#include "daemon/config/options.h"
#include "tests/suite.h"

#include <check.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#define WORDS_MAX 8

static struct options options;
static char out[4096], err[4096];

static int divert(int fd, int *ret_saved)
{
    int file = memfd_create("output", MFD_CLOEXEC);

    *ret_saved = dup(fd);
    ck_assert_int_ge(dup2(file, fd), 0);
    return file;
}

static void restore(int fd, int saved, int file, char text[4096])
{
    ssize_t size = pread(file, text, 4095, 0);

    ck_assert_int_ge(size, 0);
    text[size] = '\0';
    ck_assert_int_ge(dup2(saved, fd), 0);
    (void)close(saved);
    (void)close(file);
}

/* @line: words with single spaces between them. @out and @err receive the output. */
static int parse(const char *line)
{
    static char words[256];
    static char name[] = "fipcd";
    char *argv[WORDS_MAX + 1] = {name}, *rest = words;
    int argc = 1, saved_out, saved_err, out_file, err_file, status;

    (void)snprintf(words, sizeof(words), "%s", line);
    while (argc < WORDS_MAX && (argv[argc] = strsep(&rest, " ")) != NULL && argv[argc][0] != '\0')
        argc++;
    argv[argc] = NULL;
    optind = 0; /* glibc's getopt_long() begins anew */
    (void)fflush(stdout);
    out_file = divert(STDOUT_FILENO, &saved_out);
    err_file = divert(STDERR_FILENO, &saved_err);
    status = options_parse(&options, argc, argv);
    (void)fflush(stdout);
    restore(STDERR_FILENO, saved_err, err_file, err);
    restore(STDOUT_FILENO, saved_out, out_file, out);
    return status;
}

static void check_text(const char *text, const char *expected)
{
    if (expected == NULL)
        ck_assert_ptr_null(text);
    else
        ck_assert_str_eq(text, expected);
}

static const struct {
    const char *line;
    struct options options;
} lines[] = {
    {"", {.log_level = -1}},
    {"--config a.json", {.config = "a.json", .log_level = -1}},
    {"--config=a.json", {.config = "a.json", .log_level = -1}},
    {"--config=", {.config = "", .log_level = -1}},
    {"--config a --config b", {.config = "b", .log_level = -1}},
    {"--config --socket", {.config = "--socket", .log_level = -1}},
    {"--conf a", {.config = "a", .log_level = -1}}, /* as much as is unique */
    {"--socket /s", {.socket = "/s", .log_level = -1}},
    {"--user", {.user = true, .log_level = -1}},
    {"--check-config", {.check_config = true, .log_level = -1}},
    {"--log-level error", {.log_level = LOG_ERR}},
    {"--log-level warning", {.log_level = LOG_WARNING}},
    {"--log-level info", {.log_level = LOG_INFO}},
    {"--log-level debug", {.log_level = LOG_DEBUG}},
    {"--user --socket=/s --check-config --log-level=info --config c",
     {.config = "c", .socket = "/s", .log_level = LOG_INFO, .user = true, .check_config = true}},
    {"--user --", {.user = true, .log_level = -1}},
};

LOOP_TEST(line_sets_these_options, COUNT_OF(lines))
{
    const struct options *expected = &lines[_i].options;

    ck_assert_int_eq(parse(lines[_i].line), OPTIONS_GO_ON);
    check_text(options.config, expected->config);
    check_text(options.socket, expected->socket);
    ck_assert_int_eq(options.log_level, expected->log_level);
    ck_assert_int_eq(options.user, expected->user);
    ck_assert_int_eq(options.check_config, expected->check_config);
    ck_assert_str_eq(out, "");
    ck_assert_str_eq(err, "");
}

static const struct {
    const char *line;
    const char *text;
} wrong[] = {
    {"--bogus", "--bogus: no such option"},
    {"--bogus=3", "--bogus: no such option"},
    {"-q", "-q: no such option"},
    {"-c", "-c: no such option"},
    {"-:", "-:: no such option"},
    {"--config", "--config: a value is missing"},
    {"--user --socket", "--socket: a value is missing"},
    {"--log-level", "--log-level: a value is missing"},
    {"--user=yes", "--user=yes: takes no value"},
    {"--help=yes", "--help=yes: takes no value"},
    {"--log-level loud", "--log-level 'loud': not one of error, warning, info, debug"},
    {"--log-level=", "--log-level '': not one of error, warning, info, debug"},
    {"--log-level INFO", "--log-level 'INFO': not one of error, warning, info, debug"},
    {"start", "start: no argument is expected"},
    {"start --user", "start: no argument is expected"},
    {"-- --user", "--user: no argument is expected"},
    {"-", "-: no argument is expected"},
    {"start --bogus", "--bogus: no such option"},
};

LOOP_TEST(wrong_line_gets_one_line_and_status_two, COUNT_OF(wrong))
{
    char text[256];

    (void)snprintf(text, sizeof(text), "fipcd: %s; see 'fipcd --help'\n", wrong[_i].text);
    ck_assert_int_eq(parse(wrong[_i].line), EXIT_USAGE);
    ck_assert_str_eq(err, text);
    ck_assert_str_eq(out, "");
}

static const struct {
    const char *line;
    const char *parts[8]; /* of the output */
} shown[] = {
    {"--version", {"fipcd 0", "."}},
    {"-V", {"fipcd 0", "."}},
    {"--help",
     {"Usage: fipcd ", "--config FILE", "--socket PATH", "--user", "--check-config",
      "--log-level LEVEL", "-?, --help", "-V, --version"}},
    {"-?", {"Usage: fipcd ", "--usage", "Exit status: 0 success, 1 failure, 2 ", " 78 "}},
    {"--usage",
     {"[--config FILE]", "[--socket PATH]", "[--user]", "[--check-config]", "[--log-level LEVEL]",
      "[--help]", "[--usage]", "[--version]"}},
    {"--user --help --bogus", {"Usage: fipcd "}}, /* the first that ends the program */
};

LOOP_TEST(line_prints_this_and_status_is_zero, COUNT_OF(shown))
{
    ck_assert_int_eq(parse(shown[_i].line), EXIT_SUCCESS);
    for (int i = 0; i < 8 && shown[_i].parts[i] != NULL; i++)
        ck_assert_msg(strstr(out, shown[_i].parts[i]) != NULL, "%s: %s", shown[_i].parts[i], out);
    ck_assert_str_eq(err, "");
}

TEST(posixly_correct_changes_nothing)
{
    ck_assert_int_eq(setenv("POSIXLY_CORRECT", "1", 1), 0);
    ck_assert_int_eq(parse("--user --socket /s"), OPTIONS_GO_ON);
    ck_assert(options.user);
    ck_assert_int_eq(parse("start --user"), EXIT_USAGE);
}

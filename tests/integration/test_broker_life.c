/* SPDX-License-Identifier: MIT */
/* The command line of the broker, and its log. */
#include "tests/integration/life_fixture.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- the command line ---- */

static const char *const bad_usages[][3] = {
    {"--no-such-option"},
    {"argument"},
    {"--socket"},
    {"--config"},
    {"--log-level"},
    {"--log-level", ""},
    {"--log-level", "loud"},
    {"-x"},
};

GROUP(command_line, .timeout = 30, .fixtures = {{make_folder, remove_folder}});

LOOP_TEST(wrong_usage_is_status_two, COUNT_OF(bad_usages))
{
    ck_assert_int_eq(run(bad_usages[_i]), EXIT_USAGE);
    ck_assert_int_ge(test_broker_log_lines(&broker, "fipcd"), 1);
}

/* What a run writes to stdout, which must end with status 0. */
static const char *output_of(const char *option)
{
    static char output[8192];
    const char *const arguments[] = {option, NULL};
    int fd = open(in_folder("output"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int saved_stdout = dup(STDOUT_FILENO);
    ssize_t size;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(dup2(fd, STDOUT_FILENO), 0);
    test_broker_spawn(&broker, arguments);
    ck_assert_int_ge(dup2(saved_stdout, STDOUT_FILENO), 0);
    (void)close(saved_stdout);
    check_exit_status(test_broker_wait(&broker), 0);
    size = pread(fd, output, sizeof(output) - 1, 0);
    ck_assert_int_ge(size, 0);
    output[size] = '\0';
    (void)close(fd);
    ck_assert_int_eq(test_broker_log_lines(&broker, ""), 0);
    return output;
}

TEST(version_is_told)
{
    unsigned major, minor, patch;

    ck_assert_int_eq(sscanf(output_of("--version"), "fipcd %u.%u.%u\n", &major, &minor, &patch), 3);
}

TEST(help_names_every_option)
{
    static const char *const options[] = {
        "--config", "--socket", "--user", "--check-config", "--log-level", "--version", "--help",
    };
    const char *help = output_of("--help");

    for (int i = 0; i < COUNT_OF(options); i++)
        ck_assert_msg(strstr(help, options[i]) != NULL, "%s", options[i]);
}

TEST(bad_config_is_status_seventy_eight)
{
    const char *const arguments[] = {"--config",
                                     write_file("fipcd.json", "{\"slots\": {\"count\": 0}}"),
                                     "--socket", broker.socket, NULL};

    ck_assert_int_eq(run(arguments), EXIT_CONFIG);
    ck_assert_int_eq(test_broker_log_lines(&broker, "fipcd.json"), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "slots.count"), 1);
    ck_assert(!exists(broker.socket));
}

TEST(config_that_is_not_there_is_status_seventy_eight)
{
    const char *const arguments[] = {"--config", in_folder("missing.json"), "--socket",
                                     broker.socket, NULL};

    ck_assert_int_eq(run(arguments), EXIT_CONFIG);
    ck_assert_int_eq(test_broker_log_lines(&broker, "missing.json"), 1);
}

/* ---- its log ---- */

GROUP(log, .timeout = 30, .fixtures = {{make_folder, remove_folder}});

TEST(life_is_logged_in_few_lines)
{
    start();
    check_served();
    stop(SIGTERM);
    check_ended();

    ck_assert_int_eq(test_broker_log_lines(&broker, "listens on"), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, broker.socket), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "stopping"), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, "stopped"), 1);
    ck_assert_int_le(test_broker_log_lines(&broker, ""), 4);
}

TEST(level_of_the_command_line_beats_the_config)
{
    const char *const arguments[] = {"--config",
                                     write_file("fipcd.json", "{\"log\": {\"level\": \"debug\"}}"),
                                     "--log-level", "error", NULL};

    test_broker_start(&broker, arguments);
    check_served();
    stop(SIGTERM);
    check_ended();
    ck_assert_int_eq(test_broker_log_lines(&broker, ""), 0);
}

TEST(debugging_shows_every_state_of_a_message)
{
    static const char *const moves[] = {
        "free -> taken",       "taken -> routed",  "routed -> running",
        "running -> replying", "replying -> done", "done -> free",
    };

    start_with_config("{\"log\": {\"level\": \"debug\"}}");
    check_served();
    stop(SIGTERM);
    check_ended();
    for (int i = 0; i < COUNT_OF(moves); i++)
        ck_assert_int_eq(test_broker_log_lines(&broker, moves[i]), 1);
}

TEST(log_that_nobody_reads_any_more_does_no_harm)
{
    int reader;

    ck_assert_int_eq(mkfifo(broker.log, 0600), 0);
    reader = open(broker.log, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(reader, 0);
    start();
    (void)close(reader);

    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(raw_send_bytes(&client, "garbage", 7, NULL, 0), 0);
    ck_assert_int_eq(raw_wait_hang_up(&client), 0);
    raw_close(&client);
    check_served();
    stop(SIGTERM);
    check_ended();
}

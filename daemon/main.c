/* SPDX-License-Identifier: MIT */
#include "daemon/base/log.h"
#include "daemon/base/poller.h"
#include "daemon/base/process.h"
#include "daemon/base/systemd_sender.h"
#include "daemon/broker.h"
#include "daemon/config/config.h"
#include "daemon/config/keys.h"
#include "daemon/config/load.h"
#include "daemon/config/options.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_config_error(const char *line, void *userdata)
{
    (void)userdata;
    (void)fprintf(stderr, "%s\n", line);
}

static void log_config_error(const char *line, void *userdata)
{
    (void)userdata;
    log_event(LOG_ERR, LOG_EVENT_CONFIG, NULL, "%s", line);
}

/* Errors in a file were logged already. Return: the exit status */
static int config_failed(int error)
{
    switch (error) {
    case -EINVAL:
        return EXIT_CONFIG;
    case -ENXIO:
        (void)fputs("fipcd: --user: XDG_RUNTIME_DIR or HOME is not set; log in, or use --socket "
                    "and --config\n",
                    stderr);
        return EXIT_USAGE;
    default:
        (void)fprintf(stderr, "fipcd: cannot start: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
}

/* Which file is read. Return: 0, *ret_path is for the caller to free; -ENXIO; -ENOMEM */
static int config_path(const struct options *options, char **ret_path)
{
    if (options->config == NULL && options->user)
        return process_user_config(ret_path);
    *ret_path = strdup(options->config != NULL ? options->config : CONFIG_DEFAULT_PATH);
    return *ret_path != NULL ? 0 : -ENOMEM;
}

/* That a file which may be missing is missing is no error, but nor is it fine: it may lie
 * elsewhere.
 */
static void print_valid(const char *path, const struct config *config)
{
    if (access(path, F_OK) == 0)
        (void)printf("%s: OK\n", path);
    else
        (void)printf("%s: no such file, %s hold\n", path,
                     config->given != 0 ? "its drop-ins and the defaults" : "the defaults");
}

static int read_config(const struct options *options, struct config **ret_config,
                       config_error_fn *report)
{
    char *path;
    int r;

    r = config_path(options, &path);
    if (r < 0)
        return r;
    r = config_load(path, options->config != NULL, ret_config, report, NULL);
    if (r == 0 && options->check_config)
        print_valid(path, *ret_config);
    free(path);
    return r;
}

static int check_config(const struct options *options)
{
    struct config *config;
    int r;

    r = read_config(options, &config, print_config_error);
    if (r < 0)
        return config_failed(r);
    config_free(config);
    return EXIT_SUCCESS;
}

/* Mode and group in a file that nobody named are those of another broker's socket: the host's,
 * whose users are in a group that there may not be here. */
static void forget_access(struct config *config)
{
    const uint64_t access = config_key_bit("control.mode") | config_key_bit("control.group");

    if ((config->given & access) == 0)
        return;
    log_event(LOG_INFO, LOG_EVENT_CONFIG, NULL,
              "control.mode and control.group are not in force for a broker of one's own; name "
              "their file by --config");
    config->control.mode = (uint32_t)config_table_at(&config_table, "control.mode")->value.number;
    free(config->control.group);
    config->control.group = NULL;
    config->given &= ~access;
}

/* --socket beats --user beats the config. */
static int override_config(struct config *config, const struct options *options)
{
    char *path = NULL;
    int r = 0;

    if (options->log_level >= 0)
        config->log.level = options->log_level;
    if (options->config == NULL && (options->socket != NULL || options->user))
        forget_access(config);
    if (options->socket != NULL)
        r = (path = strdup(options->socket)) == NULL ? -ENOMEM : 0;
    else if (options->user)
        r = process_user_socket(&path);
    if (r < 0 || path == NULL)
        return r;
    free(config->control.socket);
    config->control.socket = path;
    config->given |= config_key_bit("control.socket");
    return 0;
}

/* For the callbacks of signals: the broker, and the options that it was started with. */
struct running {
    struct broker broker;
    const struct options *options;
};

static int load_config(const struct options *options, struct config **ret_config,
                       config_error_fn *report)
{
    struct config *config;
    int r;

    r = read_config(options, &config, report);
    if (r < 0)
        return r;
    r = override_config(config, options);
    if (r < 0) {
        config_free(config);
        return r;
    }
    *ret_config = config;
    return 0;
}

/* A broker of the whole host must be able to tell its users apart. */
static bool uids_are_told_apart(const struct options *options)
{
    if (process_sees_all_uids())
        return true;
    if (options->user || options->socket != NULL) {
        log_event(LOG_WARNING, LOG_EVENT_CONFIG, NULL,
                  "in this user namespace, users who are not mapped cannot be told apart");
        return true;
    }
    log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL,
              "in this user namespace, users who are not mapped cannot be told apart; run without "
              "PrivateUsers= and containers, or as a broker of your own by --user or --socket");
    return false;
}

static void stop_signal(int signal, void *userdata)
{
    struct running *running = userdata;

    (void)signal;
    broker_stop(&running->broker);
}

static void reload_signal(int signal, void *userdata)
{
    struct running *running = userdata;
    struct broker *broker = &running->broker;
    struct config *config;

    (void)signal;
    if (broker->core.stopping)
        return;
    status_reloading();
    if (load_config(running->options, &config, log_config_error) == 0)
        broker_reconfigure(broker, config);
    else
        log_event(LOG_ERR, LOG_EVENT_CONFIG, NULL,
                  "the config was not reloaded; the old one stays in force");
    status_ready(&broker->status);
}

static void watch_signals(struct running *running)
{
    struct poller *poller = running->broker.core.poller;

    poller_watch_signal(poller, SIGTERM, stop_signal, running);
    poller_watch_signal(poller, SIGINT, stop_signal, running);
    poller_watch_signal(poller, SIGHUP, reload_signal, running);
}

/* @how: SIG_BLOCK before it starts, so that a broker that gets SIGTERM meanwhile ends in order */
static void mask_signals(int how)
{
    sigset_t watched;

    (void)sigemptyset(&watched);
    (void)sigaddset(&watched, SIGTERM);
    (void)sigaddset(&watched, SIGINT);
    (void)sigaddset(&watched, SIGHUP);
    (void)sigprocmask(how, &watched, NULL);
}

static void ignore_signals(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
}

/* What we open must not take the place of stderr. */
static void open_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        (void)close(fd);
}

int main(int argc, char **argv)
{
    struct options options;
    static struct running running; /* a close(2) that is stuck at the end keeps its thread */
    struct config *config;
    bool to_journal;
    int r;

    open_standard_fds();
    r = options_parse(&options, argc, argv);
    if (r != OPTIONS_GO_ON)
        return r;
    if (options.check_config)
        return check_config(&options);
    (void)signal(SIGPIPE, SIG_IGN); /* stderr may be a pipe that nobody reads any more */

    systemd_sender_init(getenv("NOTIFY_SOCKET"), SYSTEMD_JOURNAL_SOCKET);
    (void)atexit(systemd_sender_finish);
    to_journal = log_init();
    if (!uids_are_told_apart(&options))
        return EXIT_FAILURE;
    r = load_config(&options, &config, to_journal ? log_config_error : print_config_error);
    if (r < 0)
        return config_failed(r);
    log_set_level(config->log.level);
    running.options = &options;
    mask_signals(SIG_BLOCK);
    if (broker_init(&running.broker, config) < 0)
        return EXIT_FAILURE;
    watch_signals(&running);
    mask_signals(SIG_UNBLOCK);
    broker_run(&running.broker);
    ignore_signals(); /* libev's own handlers would still use the loop */
    broker_deinit(&running.broker);
    return EXIT_SUCCESS;
}

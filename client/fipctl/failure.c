/* SPDX-License-Identifier: MIT */
#include "client/fipctl/failure.h"

#include "client/fipctl/invocation.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <fipc/client.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_line(const char *line) { (void)fprintf(stderr, "fipctl: %s\n", line); }

__attribute__((format(printf, 1, 0))) static void print_formatted(const char *format,
                                                                  va_list values)
{
    char *line;

    if (vasprintf(&line, format, values) < 0) {
        print_line("out of memory");
        return;
    }
    for (char *c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '\x7f')
            *c = '?';
    }
    print_line(line);
    free(line);
}

void failure_print(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    print_formatted(format, values);
    va_end(values);
}

struct failure_word failure_word(const char *word, size_t size)
{
    struct failure_word shown;

    if (size < sizeof(shown.text)) {
        memcpy(shown.text, word, size);
        shown.text[size] = '\0';
        return shown;
    }
    size = sizeof(shown.text) - sizeof("...");
    while (size > 0 && ((unsigned char)word[size] & 0xc0) == 0x80) /* amid a character */
        size--;
    (void)snprintf(shown.text, sizeof(shown.text), "%.*s...", (int)size, word);
    return shown;
}

int failure_of_usage(const struct invocation *invocation, const char *format, ...)
{
    const char *command = invocation->command != NULL ? invocation->command->name : "";
    const char *space = invocation->command != NULL ? " " : "";
    const char *colon = invocation->command != NULL ? ": " : "";
    char *text;
    va_list values;

    va_start(values, format);
    if (vasprintf(&text, format, values) < 0)
        text = NULL;
    va_end(values);
    failure_print("%s%s%s; see 'fipctl%s%s --help'", command, colon,
                  text != NULL ? text : "out of memory", space, command);
    free(text);
    return EXIT_USAGE;
}

/* The texts for errors of a call. A service may answer with any errno, so that most have two
 * meanings. For other errors the line has the text of the errno. */
static const struct {
    int error;
    const char *why, *remedy;
} reasons[] = {
    {EACCES, "the service does not allow it to you", "ask who runs it"},
    {EAGAIN, "there is no room for the request now, or the service has no time", "try again later"},
    {ECONNREFUSED, "the service cannot connect to what it needs, or the broker was away meanwhile",
     "see what the service says itself, or its journal"},
    {ECONNRESET,
     "the service or the broker was lost, it is not known whether the call was carried out",
     "see the journal of the service, or of the broker (journalctl -u fipcd)"},
    {EDQUOT, "you have all that one user may have at once, of the broker or of the service",
     "end some of your other clients, or have slots.per_uid raised"},
    {EINVAL, "it does not take this request", "look up what it expects"},
    {EMSGSIZE, "the request or the reply is larger than the broker or the service carries",
     "send less"},
    {EIO, "the service failed", "see what it says itself, or its journal"},
    {ENOENT, "no such service, or it has not got what was asked for",
     "'fipctl list' shows what is served"},
    {EPROTO, "the broker, or the service, broke a protocol",
     "see the journal of the service, and whether the broker is fipcd and as new as fipctl"},
};

static void print_timeout(const struct invocation *invocation, const char *service)
{
    uint64_t waited_ms = (fipc_now_ns() - invocation->started_ns) / FIPC_NS_PER_MS;
    const char *command = invocation->command->name;

    if (waited_ms >= invocation->settings.timeout_ms)
        failure_print("%s: %s: no reply within %llu ms; give it longer with --timeout MS", command,
                      service, (unsigned long long)invocation->settings.timeout_ms);
    else
        failure_print("%s: %s: timed out after %llu ms, since the broker gives no call longer, or "
                      "the service gave up on something; have timeouts.handler_ms raised, or see "
                      "the journal of the service",
                      command, service, (unsigned long long)waited_ms);
}

static void print_reason(const struct invocation *invocation, const char *service, int error)
{
    const char *command = invocation->command->name;
    const char *meaning = strerrordesc_np(-error);

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (error == -reasons[i].error) {
            failure_print("%s: %s: %s; %s", command, service, reasons[i].why, reasons[i].remedy);
            return;
        }
    }
    failure_print(
        "%s: %s: %s; see what the service says itself, or the broker's journal (journalctl "
        "-u fipcd)",
        command, service, meaning != NULL ? meaning : fipc_strerror(error));
}

int failure_of_call(const struct invocation *invocation, const char *service, int error)
{
    if (error == -ETIMEDOUT)
        print_timeout(invocation, service);
    else
        print_reason(invocation, service, error);
    return EXIT_CALL_FAILED;
}

int failure_of_wait(const struct invocation *invocation, const char *name)
{
    failure_print("%s: %s: nobody served it within %llu ms; start its service, or wait longer with "
                  "--timeout MS",
                  invocation->command->name, name,
                  (unsigned long long)invocation->settings.timeout_ms);
    return EXIT_CALL_FAILED;
}

/* The command that shows the state of this socket's broker. */
static const char *status_command(const struct invocation *invocation)
{
    return invocation->settings.user && invocation->settings.socket == NULL
               ? "systemctl --user status fipcd"
               : "systemctl status fipcd";
}

int failure_of_connect(const struct invocation *invocation, int error)
{
    const char *path = invocation->socket_path;

    switch (error) {
    case -ECONNREFUSED:
        failure_print("cannot reach the broker at %s: no answer within %llu ms; is fipcd running? "
                      "(%s)",
                      path, (unsigned long long)invocation->settings.timeout_ms,
                      status_command(invocation));
        return EXIT_NO_BROKER;
    case -EACCES:
        failure_print("cannot reach the broker at %s: permission denied; are you in the group of "
                      "the socket? (ls -l %s)",
                      path, path);
        return EXIT_DENIED;
    case -EAGAIN:
        failure_print("the broker at %s is alive but full: no slot got free within %llu ms; try "
                      "again later, or have slots.count or its LimitNOFILE= raised",
                      path, (unsigned long long)invocation->settings.timeout_ms);
        return EXIT_BROKER_FULL;
    case -EDQUOT:
        failure_print("cannot get a session from the broker at %s: you have all that one user may "
                      "have at once; end some of your other clients, or have slots.per_uid raised",
                      path);
        return EXIT_BROKER_FULL;
    case -ENAMETOOLONG:
        failure_print("cannot reach the broker at %s: with the working folder its path is longer "
                      "than 107 bytes; move its socket, or use a shorter path",
                      path);
        return EXIT_CALL_FAILED;
    case -EPROTONOSUPPORT:
        failure_print(
            "cannot talk to the broker at %s: %s; install fipctl and fipcd of one release", path,
            fipc_strerror(error));
        return EXIT_CALL_FAILED;
    case -EPROTO:
        failure_print("cannot understand the broker at %s: it broke the protocol; is it fipcd, and "
                      "as new as fipctl?",
                      path);
        return EXIT_CALL_FAILED;
    default:
        failure_print("cannot reach the broker at %s: %s; see its journal (%s)", path,
                      fipc_strerror(error), status_command(invocation));
        return EXIT_CALL_FAILED;
    }
}

int failure_of_reply(const struct invocation *invocation, const char *service, const char *why)
{
    failure_print("%s: %s: %s; is it fipcd that listens on %s, and as new as fipctl?",
                  invocation->command->name, service, why, invocation->socket_path);
    return EXIT_CALL_FAILED;
}

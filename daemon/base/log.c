/* SPDX-License-Identifier: MIT */
/* A line is made in one buffer and written by one write(2), so that lines of several processes
 * don't mix. Entries of the journal have no prefix: their fields say the same. */
#include "daemon/base/log.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/base/journal.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 1024
#define WINDOW_NS (10 * FIPC_NS_PER_S)
#define LINES_PER_WINDOW 10

/* How many lines of one kind were written since its window began. */
struct rate {
    uint64_t started_ns;
    unsigned written;
    unsigned suppressed;
};

static struct {
    int level;
    bool to_journal;
    unsigned n_lost; /* events that found no reader, since the last one that did */
    struct rate rates[LOG_EVENT_COUNT];
} state = {.level = LOG_INFO};

bool log_init(void)
{
    state.to_journal = journal_is_stderr();
    return state.to_journal;
}

void log_set_level(int level) { state.level = level; }

int log_level(void) { return state.level; }

static const char *level_name(int level)
{
    static const char *const names[] = {
        [LOG_ERR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
        [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
    };

    return level >= LOG_ERR && level <= LOG_DEBUG ? names[level] : "critical";
}

static bool peers_can_cause(enum log_event event)
{
    return event == LOG_EVENT_REFUSED || event == LOG_EVENT_CLOSED || event == LOG_EVENT_SHORT;
}

/* A pipe that is writable takes a line whole, see pipe(7). Return: 0; -EAGAIN nobody reads, and we
 * don't wait for that */
static int write_line(int level, const char *text)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    char line[LINE_BYTES + 64];
    int size = snprintf(line, sizeof(line), "fipcd: %s: %s\n", level_name(level), text);

    if ((size_t)size >= sizeof(line))
        size = sizeof(line) - 1;
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0 &&
                   write(STDERR_FILENO, line, (size_t)size) == size
               ? 0
               : -EAGAIN;
}

/* As an entry, or as a line where there is no journal. Return: 0; -EAGAIN */
static int write_once(int level, enum log_event event, const struct log_subject *subject,
                      const char *text)
{
    int r = state.to_journal ? journal_write(level, event, subject, text) : -ENOTCONN;

    return r == 0 || r == -EAGAIN ? r : write_line(level, text);
}

static void write_event(int level, enum log_event event, const struct log_subject *subject,
                        const char *text)
{
    char lost[64];

    if (state.n_lost > 0) {
        (void)snprintf(lost, sizeof(lost), "%u events were not logged: nobody read the log",
                       state.n_lost);
        if (write_once(LOG_WARNING, LOG_EVENT_SHORT, NULL, lost) == 0)
            state.n_lost = 0;
    }
    if (write_once(level, event, subject, text) < 0)
        state.n_lost++;
}

static const char *kind_name(enum log_event event)
{
    switch (event) {
    case LOG_EVENT_REFUSED:
        return "refusals";
    case LOG_EVENT_CLOSED:
        return "closings";
    default:
        return "shortages";
    }
}

/* Ends a window that is over, or any, and tells what was not logged in it. */
static void end_window(enum log_event event, uint64_t now_ns, bool is_over)
{
    struct rate *rate = &state.rates[event];
    unsigned n_suppressed = rate->suppressed;
    char text[64];

    if (!is_over && now_ns - rate->started_ns < WINDOW_NS)
        return;
    *rate = (struct rate){.started_ns = now_ns};
    if (n_suppressed == 0)
        return;
    (void)snprintf(text, sizeof(text), "%u more %s were not logged", n_suppressed,
                   kind_name(event));
    write_event(LOG_WARNING, event, NULL, text);
}

bool log_is_behind(void)
{
    for (size_t i = 0; i < LOG_EVENT_COUNT; i++) {
        if (state.rates[i].suppressed > 0)
            return true;
    }
    return false;
}

void log_catch_up(bool all)
{
    for (enum log_event event = 0; event < LOG_EVENT_COUNT; event++)
        end_window(event, fipc_now_ns(), all);
}

/* Whether one more line of this kind may be written now. */
static bool rate_allows(enum log_event event)
{
    struct rate *rate = &state.rates[event];

    end_window(event, fipc_now_ns(), false);
    if (rate->written >= LINES_PER_WINDOW) {
        rate->suppressed++;
        return false;
    }
    rate->written++;
    return true;
}

void log_event(int level, enum log_event event, const struct log_subject *subject,
               const char *format, ...)
{
    char text[LINE_BYTES];
    va_list arguments;
    int used = 0;

    if (level > state.level)
        return;
    if (level != LOG_DEBUG && peers_can_cause(event) && !rate_allows(event))
        return;

    if (subject != NULL && subject->slot >= 0)
        used =
            snprintf(text, sizeof(text), "slot %lld (uid %u, pid %d): ", (long long)subject->slot,
                     subject->uid, subject->pid);
    else if (subject != NULL)
        used =
            snprintf(text, sizeof(text), "client (uid %u, pid %d): ", subject->uid, subject->pid);
    va_start(arguments, format);
    (void)vsnprintf(text + used, sizeof(text) - (size_t)used, format, arguments);
    va_end(arguments);
    for (char *at = text; (at = strchr(at, '\n')) != NULL;)
        *at = ' ';
    write_event(level, event, subject, text);
}

const char *log_escape(char *buffer, size_t buffer_size, const void *bytes, size_t size)
{
    const unsigned char *in = bytes;
    size_t used = 0;

    for (size_t i = 0; i < size && used + 5 <= buffer_size; i++) {
        if (in[i] >= 0x20 && in[i] < 0x7f && in[i] != '\\')
            buffer[used++] = (char)in[i];
        else
            used += (size_t)snprintf(buffer + used, buffer_size - used, "\\x%02x", in[i]);
    }
    buffer[used] = '\0';
    return buffer;
}

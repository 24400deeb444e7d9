/* SPDX-License-Identifier: MIT */
/* A line is made in one buffer and written by one write(2), so that lines of several processes
 * don't mix. Entries of the journal have no prefix: their fields say the same. */
#include "daemon/base/log.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/base/systemd_sender.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Never changed, and never used for another kind: administrators search and alert by them. */
static const char *const message_ids[LOG_EVENT_COUNT] = {
    [LOG_EVENT_STARTED] = "43f20272fbc443cea94b216a4ca8f91e",
    [LOG_EVENT_START_FAILED] = "35feb3c5dc9f4a4297451b63c78bd8f0",
    [LOG_EVENT_RELOADED] = "1735e01993a54723933d2759758b9261",
    [LOG_EVENT_STOPPING] = "754924651a9d4910bb1be40690d38166",
    [LOG_EVENT_STOPPED] = "bead0c9b74034d10a14b2a1273411fad",
    [LOG_EVENT_CONFIG] = "5271b2c46a9448839afb4086c13f9fbd",
    [LOG_EVENT_REFUSED] = "204f1269b0aa4aa2b1c8a871855f704f",
    [LOG_EVENT_CLOSED] = "606b13f9b1354846a25da30d1fb63aa5",
    [LOG_EVENT_SHORT] = "03d1d40de9ad4f04a37bc749d092250f",
    [LOG_EVENT_COSTLY] = "e927c70f2e5c4a538b7367b03b35ae12",
    [LOG_EVENT_STATE] = "4a246e24fc83488eb56ba6ab6611b61c",
};

#define LINE_BYTES 1024
#define ENTRY_BYTES 2048 /* a line and its fields; below SYSTEMD_TEXT_BYTES_MAX */
#define LOST_PAUSE_NS FIPC_NS_PER_S
#define WINDOW_NS (10 * FIPC_NS_PER_S)
#define LINES_PER_WINDOW 10

/* As it is written down. */
struct event {
    int level;
    enum log_event kind;
    const struct log_subject *subject; /* NULL: the broker itself */
    const char *text;
    enum systemd_need need;
};

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
    uint64_t lost_due_ns;
    struct rate rates[LOG_EVENT_COUNT];
} state = {.level = LOG_INFO};

/* ---- entries of the journal ---- */

/* Whether stderr leads to the journal, so that entries take the place of lines. Source:
 * $JOURNAL_STREAM, systemd.exec(5). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char ours[64];

    if (stream == NULL || fstat(STDERR_FILENO, &status) < 0)
        return false;
    (void)snprintf(ours, sizeof(ours), "%llu:%llu", (unsigned long long)status.st_dev,
                   (unsigned long long)status.st_ino);
    return strcmp(stream, ours) == 0;
}

static void append(char text[ENTRY_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Cuts text that does not fit. */
static void append(char text[ENTRY_BYTES], const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text + used, ENTRY_BYTES - used, format, arguments);
    va_end(arguments);
}

/* Return: 0; -EAGAIN nobody reads the journal, the entry is lost; another negative errno: it cannot
 * be reached */
static int write_entry(const struct event *event, uint64_t now_ns)
{
    const struct log_subject *subject = event->subject;
    char entry[ENTRY_BYTES] = "";

    append(entry, "PRIORITY=%d\nMESSAGE_ID=%s\nSYSLOG_IDENTIFIER=fipcd\n", event->level,
           message_ids[event->kind]);
    if (subject != NULL)
        append(entry, "FIPC_PEER_UID=%u\nFIPC_PEER_PID=%d\n", subject->uid, subject->pid);
    if (subject != NULL && subject->slot >= 0)
        append(entry, "FIPC_SLOT=%lld\n", (long long)subject->slot);
    if (subject != NULL && (event->kind == LOG_EVENT_REFUSED || event->kind == LOG_EVENT_CLOSED))
        append(entry, "FIPC_REASON=%s\n", fipc_reason_name(subject->reason));
    append(entry, "MESSAGE=%s\n", event->text);
    return systemd_sender_journal(entry, strlen(entry), event->need, now_ns);
}

/* ---- lines and entries ---- */

bool log_init(void)
{
    state.to_journal = stderr_is_journal();
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
    return event == LOG_EVENT_REFUSED || event == LOG_EVENT_CLOSED || event == LOG_EVENT_SHORT ||
           event == LOG_EVENT_COSTLY;
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
static int write_once(const struct event *event, uint64_t now_ns)
{
    int r = state.to_journal ? write_entry(event, now_ns) : -ENOTCONN;

    return r == 0 || r == -EAGAIN ? r : write_line(event->level, event->text);
}

/* Not kept itself: as long as nobody reads, the number grows. */
static void write_lost(uint64_t now_ns)
{
    char text[64];
    struct event event = {LOG_WARNING, LOG_EVENT_SHORT, NULL, text, SYSTEMD_MAY_BE_LOST};

    if (state.n_lost == 0)
        return;
    (void)snprintf(text, sizeof(text),
                   state.to_journal ? "%u entries were lost: nobody read the journal"
                                    : "%u events were not logged: nobody read the log",
                   state.n_lost);
    if (write_once(&event, now_ns) == 0)
        state.n_lost = 0;
    state.lost_due_ns = now_ns + LOST_PAUSE_NS;
}

static void write_event(int level, enum log_event kind, const struct log_subject *subject,
                        const char *text, uint64_t now_ns)
{
    struct event event = {level, kind, subject, text,
                          level <= LOG_WARNING ? SYSTEMD_MUST_ARRIVE : SYSTEMD_MAY_BE_LOST};

    write_lost(now_ns);
    if (write_once(&event, now_ns) == 0)
        return;
    if (state.n_lost++ == 0)
        state.lost_due_ns = now_ns + LOST_PAUSE_NS;
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

/* Ends a window that is over, or any, and logs how many of its events were only counted. */
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
    write_event(LOG_WARNING, event, NULL, text, now_ns);
}

uint64_t log_due_ns(void)
{
    /* a line is not tried again by itself: its reader may never read */
    uint64_t due_ns = state.n_lost > 0 && state.to_journal ? state.lost_due_ns : FIPC_NEVER;

    for (size_t i = 0; i < LOG_EVENT_COUNT; i++) {
        const struct rate *rate = &state.rates[i];

        if (rate->suppressed > 0 && rate->started_ns + WINDOW_NS < due_ns)
            due_ns = rate->started_ns + WINDOW_NS;
    }
    return due_ns;
}

void log_catch_up(uint64_t now_ns, bool all)
{
    for (enum log_event event = 0; event < LOG_EVENT_COUNT; event++)
        end_window(event, now_ns, all);
    if (all || now_ns >= log_due_ns())
        write_lost(now_ns);
}

/* Whether one more line of this kind may be written now. */
static bool rate_allows(enum log_event event, uint64_t now_ns)
{
    struct rate *rate = &state.rates[event];

    end_window(event, now_ns, false);
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
    uint64_t now_ns;
    int used = 0;

    if (level > state.level)
        return;
    now_ns = fipc_now_ns();
    if (level != LOG_DEBUG && peers_can_cause(event) && !rate_allows(event, now_ns))
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
    write_event(level, event, subject, text, now_ns);
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

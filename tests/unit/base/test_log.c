/* SPDX-License-Identifier: MIT */
/* Lines on stderr and entries in the journal: levels, a peer's bytes, and the rate of events that
 * peers cause. */
#include "daemon/base/log.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/base/systemd_sender.h"
#include "tests/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINES_PER_WINDOW 10
#define WINDOW_S 10

/* ---- a clock that the test can move; everything else of this program sees it too ---- */

static time_t moved_s;

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now)
{
    int r = (int)syscall(SYS_clock_gettime, clock, now);

    if (r == 0)
        now->tv_sec += moved_s;
    return r;
}

/* ---- stderr is a file in memory ---- */

static int real_stderr = -1;

static void catch_stderr(void)
{
    int fd = memfd_create("stderr", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    real_stderr = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    (void)close(fd);
}

static void release_stderr(void)
{
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
}

/* All that was written so far. */
static const char *written(void)
{
    static char text[65536];
    ssize_t size = pread(STDERR_FILENO, text, sizeof(text) - 1, 0);

    ck_assert_int_ge(size, 0);
    text[size] = '\0';
    return text;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

static size_t lines_written(void) { return count_of(written(), "\n"); }

/* ---- lines ---- */

GROUP(lines, .fixtures = {{catch_stderr, release_stderr}});

TEST(line_says_who_speaks_how_bad_it_is_and_what_happened)
{
    log_event(LOG_WARNING, LOG_EVENT_STARTED, NULL, "%s number %d", "event", 1);
    ck_assert_str_eq(written(), "fipcd: warning: event number 1\n");
}

TEST(line_names_its_slot_and_peer)
{
    const struct log_subject subject = {.slot = 3, .uid = 1000, .pid = 42};

    log_event(LOG_ERR, LOG_EVENT_CLOSED, &subject, "closed");
    ck_assert_str_eq(written(), "fipcd: error: slot 3 (uid 1000, pid 42): closed\n");
}

TEST(line_names_a_peer_without_a_slot)
{
    const struct log_subject subject = {.slot = -1, .uid = 4294967294U, .pid = 1};

    log_event(LOG_INFO, LOG_EVENT_REFUSED, &subject, "refused");
    ck_assert_str_eq(written(), "fipcd: info: client (uid 4294967294, pid 1): refused\n");
}

TEST(line_that_is_too_long_is_cut_and_still_one_line)
{
    char text[5000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_event(LOG_ERR, LOG_EVENT_STARTED, NULL, "%s", text);

    ck_assert_uint_eq(lines_written(), 1);
    ck_assert_uint_gt(strlen(written()), 900);
    ck_assert_int_eq(written()[strlen(written()) - 1], '\n');
}

LOOP_TEST(what_is_less_important_than_the_level_is_not_written, 4)
{
    static const int levels[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

    log_set_level(levels[_i]);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        log_event(levels[i], LOG_EVENT_STARTED, NULL, "event");

    ck_assert_int_eq(log_level(), levels[_i]);
    ck_assert_uint_eq(lines_written(), (size_t)_i + 1);
}

/* ---- the rate limit ---- */

static void log_closed(int count)
{
    for (int i = 0; i < count; i++)
        log_event(LOG_WARNING, LOG_EVENT_CLOSED, NULL, "closed");
}

GROUP(rate_limit, .fixtures = {{catch_stderr, release_stderr}});

TEST(peers_cause_no_more_than_ten_lines_of_a_kind)
{
    log_closed(LINES_PER_WINDOW);
    ck_assert_uint_eq(lines_written(), LINES_PER_WINDOW);
    log_closed(1000);
    ck_assert_uint_eq(lines_written(), LINES_PER_WINDOW);
}

TEST(one_kind_does_not_silence_another)
{
    log_closed(1000);
    log_event(LOG_WARNING, LOG_EVENT_REFUSED, NULL, "refused");
    log_event(LOG_WARNING, LOG_EVENT_SHORT, NULL, "short");

    ck_assert_ptr_nonnull(strstr(written(), "refused"));
    ck_assert_ptr_nonnull(strstr(written(), "short"));
}

TEST(what_peers_cannot_cause_is_not_limited)
{
    for (int i = 0; i < 100; i++)
        log_event(LOG_INFO, LOG_EVENT_STARTED, NULL, "event");
    ck_assert_uint_eq(lines_written(), 100);
}

TEST(debugging_is_not_limited_and_takes_nobodys_place)
{
    log_set_level(LOG_DEBUG);
    for (int i = 0; i < 100; i++)
        log_event(LOG_DEBUG, LOG_EVENT_CLOSED, NULL, "gone");
    log_closed(LINES_PER_WINDOW);

    ck_assert_uint_eq(count_of(written(), "gone"), 100);
    ck_assert_uint_eq(count_of(written(), "closed"), LINES_PER_WINDOW);
}

TEST(what_the_level_hides_takes_nobodys_place)
{
    for (int i = 0; i < 100; i++)
        log_event(LOG_DEBUG, LOG_EVENT_CLOSED, NULL, "gone");
    log_closed(1);
    ck_assert_uint_eq(lines_written(), 1);
}

TEST(next_window_tells_how_much_was_left_out)
{
    log_closed(LINES_PER_WINDOW + 7);
    moved_s += WINDOW_S;
    log_closed(1);

    ck_assert_uint_eq(lines_written(), LINES_PER_WINDOW + 2);
    ck_assert_uint_eq(count_of(written(), "7 more closings were not logged"), 1);
}

TEST(next_window_says_nothing_where_nothing_was_left_out)
{
    log_closed(LINES_PER_WINDOW);
    moved_s += WINDOW_S;
    log_closed(1);
    ck_assert_uint_eq(lines_written(), LINES_PER_WINDOW + 1);
}

TEST(window_does_not_end_early)
{
    log_closed(LINES_PER_WINDOW + 1);
    moved_s += WINDOW_S - 1;
    log_closed(1);
    ck_assert_uint_eq(lines_written(), LINES_PER_WINDOW);
}

TEST(what_was_left_out_is_told_without_another_event)
{
    uint64_t due_ns;

    ck_assert_uint_eq(log_due_ns(), FIPC_NEVER);
    log_closed(LINES_PER_WINDOW + 7);
    due_ns = log_due_ns();
    ck_assert_uint_gt(due_ns, fipc_now_ns() + (WINDOW_S - 1) * FIPC_NS_PER_S);
    ck_assert_uint_le(due_ns, fipc_now_ns() + WINDOW_S * FIPC_NS_PER_S);
    log_catch_up(due_ns - 1, false);
    ck_assert_uint_eq(lines_written(), LINES_PER_WINDOW); /* the window is not over */
    log_catch_up(due_ns, false);
    ck_assert_uint_eq(count_of(written(), "7 more closings were not logged"), 1);
    ck_assert_uint_eq(log_due_ns(), FIPC_NEVER);
}

TEST(at_the_end_all_that_was_left_out_is_told)
{
    log_closed(LINES_PER_WINDOW + 7);
    log_catch_up(fipc_now_ns(), true);
    ck_assert_uint_eq(count_of(written(), "7 more closings were not logged"), 1);
}

/* ---- a pipe that nobody reads ---- */

TEST(full_pipe_makes_nobody_wait_and_the_loss_is_told)
{
    static char drained[1 << 20];
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    for (int i = 0; i < 10000; i++)
        log_event(LOG_INFO, LOG_EVENT_STARTED, NULL, "event number %d", i);
    ck_assert_int_gt(read(ends[0], drained, sizeof(drained)), 0);
    log_event(LOG_INFO, LOG_EVENT_STARTED, NULL, "the last");
    memset(drained, 0, sizeof(drained));
    ck_assert_int_gt(read(ends[0], drained, sizeof(drained) - 1), 0);
    ck_assert_uint_eq(count_of(drained, " events were not logged: nobody read the log"), 1);
    ck_assert_uint_eq(count_of(drained, "the last"), 1);
    ck_assert_uint_eq(log_due_ns(), FIPC_NEVER);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- entries of the journal ---- */

static struct sockaddr_un journal = {.sun_family = AF_UNIX};
static int journal_fd;

static void listen_as_journald(void)
{
    journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(journal_fd, (struct sockaddr *)&journal, sizeof(journal)), 0);
}

static void lead_stderr_to_journal(void)
{
    struct stat status;
    char stream[64];

    (void)snprintf(journal.sun_path, sizeof(journal.sun_path), "/tmp/fipc-journal-%d", getpid());
    listen_as_journald();
    catch_stderr();
    ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
                   (unsigned long long)status.st_ino);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
    systemd_sender_init(NULL, journal.sun_path);
    ck_assert(log_init());
}

static void stop_journald(void)
{
    (void)close(journal_fd);
    (void)unlink(journal.sun_path);
}

static void lead_stderr_back(void)
{
    stop_journald();
    release_stderr();
}

/* Return: the next entry; "" if there is none. */
static const char *next_entry(void)
{
    static char entry[16384];
    ssize_t size = recv(journal_fd, entry, sizeof(entry) - 1, 0);

    entry[size > 0 ? size : 0] = '\0';
    return entry;
}

GROUP(journaled, .fixtures = {{lead_stderr_to_journal, lead_stderr_back}});

LOOP_TEST(stderr_that_is_no_journal_gets_lines, 4)
{
    static const char *const streams[] = {"", "1:2", "8:8:8", "stderr"};

    ck_assert_int_eq(setenv("JOURNAL_STREAM", streams[_i], 1), 0);
    ck_assert(!log_init());
    log_event(LOG_ERR, LOG_EVENT_STARTED, NULL, "event");
    ck_assert_uint_eq(lines_written(), 1);
    ck_assert_str_eq(next_entry(), "");
}

#define SLOT_3                                                                                     \
    {                                                                                              \
        .slot = 3, .uid = 1000, .pid = 42, .reason = FIPC_REASON_STOPPING                          \
    }
#define NO_SLOT                                                                                    \
    {                                                                                              \
        .slot = -1, .uid = 4294967294U, .pid = 1, .reason = FIPC_REASON_STOPPING                   \
    }

static const struct {
    int level;
    enum log_event event;
    bool has_subject;
    struct log_subject subject;
    const char *entry; /* after PRIORITY=, MESSAGE_ID= and SYSLOG_IDENTIFIER= */
} entries[] = {
    {LOG_INFO, LOG_EVENT_STARTED, false, SLOT_3, "MESSAGE=two words\n"},
    {LOG_ERR, LOG_EVENT_STATE, true, SLOT_3,
     "FIPC_PEER_UID=1000\nFIPC_PEER_PID=42\nFIPC_SLOT=3\n"
     "MESSAGE=slot 3 (uid 1000, pid 42): two words\n"},
    {LOG_WARNING, LOG_EVENT_CLOSED, true, SLOT_3,
     "FIPC_PEER_UID=1000\nFIPC_PEER_PID=42\nFIPC_SLOT=3\nFIPC_REASON=the broker is stopping\n"
     "MESSAGE=slot 3 (uid 1000, pid 42): two words\n"},
    {LOG_WARNING, LOG_EVENT_REFUSED, true, NO_SLOT,
     "FIPC_PEER_UID=4294967294\nFIPC_PEER_PID=1\nFIPC_REASON=the broker is stopping\n"
     "MESSAGE=client (uid 4294967294, pid 1): two words\n"},
};

LOOP_TEST(event_becomes_this_entry, (sizeof(entries) / sizeof(entries[0])))
{
    char start[64], id[33] = "";
    const char *entry;
    int used = 0;

    log_event(entries[_i].level, entries[_i].event,
              entries[_i].has_subject ? &entries[_i].subject : NULL, "two\n%s", "words");
    entry = next_entry();
    (void)snprintf(start, sizeof(start), "PRIORITY=%d\nMESSAGE_ID=", entries[_i].level);
    ck_assert_msg(strncmp(entry, start, strlen(start)) == 0, "%s", entry);
    entry += strlen(start);
    ck_assert_int_eq(sscanf(entry, "%32[0-9a-f]\nSYSLOG_IDENTIFIER=fipcd\n%n", id, &used), 1);
    ck_assert_uint_eq(strlen(id), 32);
    ck_assert_str_eq(entry + used, entries[_i].entry);
    ck_assert_str_eq(next_entry(), "");
    ck_assert_uint_eq(lines_written(), 0);
}

TEST(message_that_is_too_long_leaves_the_entry_whole)
{
    char text[5000];
    const char *entry;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_event(LOG_ERR, LOG_EVENT_CLOSED, &(struct log_subject)SLOT_3, "%s", text);
    entry = next_entry();
    ck_assert_uint_gt(strlen(entry), 1000);
    ck_assert_str_eq(entry + strlen(entry) - 2, "x\n");
}

TEST(warnings_wait_for_a_journald_that_is_gone_and_the_rest_is_counted)
{
    uint64_t due_ns;

    stop_journald();
    for (int i = 0; i < 3; i++) {
        log_event(LOG_WARNING, LOG_EVENT_CONFIG, NULL, "warning %d", i);
        log_event(LOG_INFO, LOG_EVENT_STARTED, NULL, "info");
    }
    due_ns = log_due_ns();
    ck_assert_uint_le(due_ns, fipc_now_ns() + FIPC_NS_PER_S);
    log_catch_up(due_ns, false); /* still gone: not one more entry that is to be sent */
    ck_assert_uint_gt(log_due_ns(), due_ns);

    listen_as_journald();
    systemd_sender_retry(log_due_ns());
    log_catch_up(log_due_ns(), false);
    for (int i = 0; i < 3; i++) {
        char message[32];

        (void)snprintf(message, sizeof(message), "MESSAGE=warning %d\n", i);
        ck_assert_ptr_nonnull(strstr(next_entry(), message));
    }
    ck_assert_ptr_nonnull(
        strstr(next_entry(), "\nMESSAGE=3 entries were lost: nobody read the journal\n"));
    ck_assert_str_eq(next_entry(), "");
    ck_assert_uint_eq(log_due_ns(), FIPC_NEVER);
    ck_assert_uint_eq(lines_written(), 0);
}

/* ---- a peer's bytes ---- */

static const struct {
    const char *bytes;
    size_t size;
    const char *text;
} escapes[] = {
    {"", 0, ""},
    {"fipc.echo", 9, "fipc.echo"},
    {" !~", 3, " !~"},
    {"a\nb", 3, "a\\x0ab"},
    {"\x1b[31m", 5, "\\x1b[31m"},
    {"\0", 1, "\\x00"},
    {"\x7f\x80\xff", 3, "\\x7f\\x80\\xff"},
    {"\\x41", 4, "\\x5cx41"},
    {"\xc3\xbc", 2, "\\xc3\\xbc"},
};

GROUP(escape);

LOOP_TEST(escape_leaves_printable_ascii_and_nothing_else, COUNT_OF(escapes))
{
    char buffer[64];

    ck_assert_ptr_eq(log_escape(buffer, sizeof(buffer), escapes[_i].bytes, escapes[_i].size),
                     buffer);
    ck_assert_str_eq(buffer, escapes[_i].text);
}

RANGE_TEST(escape_never_writes_past_its_buffer, 1, 48)
{
    static const char bytes[] = "ab\ncd\xff\xff gh";
    char buffer[64];
    size_t size = (size_t)_i;
    const char *text;

    memset(buffer, '#', sizeof(buffer));
    text = log_escape(buffer, size, bytes, sizeof(bytes) - 1);

    ck_assert_uint_lt(strnlen(text, sizeof(buffer)), size);
    for (size_t i = size; i < sizeof(buffer); i++)
        ck_assert_int_eq(buffer[i], '#');
    for (size_t i = 0; text[i] != '\0'; i++)
        ck_assert(text[i] >= 0x20 && text[i] < 0x7f);
    /* no half escape at the end */
    ck_assert(strrchr(text, '\\') == NULL || strlen(strrchr(text, '\\')) >= 4);
}

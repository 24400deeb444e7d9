/* SPDX-License-Identifier: MIT */
#include "daemon/base/journal.h"

#include "daemon/base/systemd_sender.h"

#include <stdarg.h>
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
    [LOG_EVENT_STATE] = "4a246e24fc83488eb56ba6ab6611b61c",
};

bool journal_is_stderr(void)
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

static void append(char text[OUTBOX_TEXT_BYTES_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Cuts what does not fit. */
static void append(char text[OUTBOX_TEXT_BYTES_MAX], const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text + used, OUTBOX_TEXT_BYTES_MAX - used, format, arguments);
    va_end(arguments);
}

int journal_write(int level, enum log_event event, const struct log_subject *subject,
                  const char *message)
{
    char text[OUTBOX_TEXT_BYTES_MAX] = "";

    append(text, "PRIORITY=%d\nMESSAGE_ID=%s\nSYSLOG_IDENTIFIER=fipcd", level, message_ids[event]);
    if (subject != NULL)
        append(text, "\nFIPC_PEER_UID=%u\nFIPC_PEER_PID=%d", subject->uid, subject->pid);
    if (subject != NULL && subject->slot >= 0)
        append(text, "\nFIPC_SLOT=%lld", (long long)subject->slot);
    if (subject != NULL && (event == LOG_EVENT_REFUSED || event == LOG_EVENT_CLOSED))
        append(text, "\nFIPC_REASON=%s", fipc_reason_name(subject->reason));
    append(text, "\nMESSAGE=%s", message);
    return outbox_post(OUTBOX_JOURNAL, text);
}

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_LOG_H
#define FIPC_DAEMON_BASE_LOG_H

/*
 * One line on stderr for each event, with its level, or a structured entry in the journal if that
 * is where stderr leads. Events that peers can cause are limited in rate, for each kind of event.
 *
 * The fields of an entry: MESSAGE=, PRIORITY=, MESSAGE_ID= by the kind of event; of a subject
 * FIPC_PEER_UID=, FIPC_PEER_PID=, and FIPC_SLOT= if it has one; FIPC_REASON= of a client that was
 * refused or closed.
 */
#include "common/control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

enum log_event {
    LOG_EVENT_STARTED,
    LOG_EVENT_START_FAILED,
    LOG_EVENT_RELOADED,
    LOG_EVENT_STOPPING,
    LOG_EVENT_STOPPED,
    LOG_EVENT_CONFIG,  /* something in it is wrong, or not in force */
    LOG_EVENT_REFUSED, /* a client that got no slot */
    LOG_EVENT_CLOSED,  /* a slot that did not end by the client's own will */
    LOG_EVENT_SHORT,   /* memory or fds ran out */
    LOG_EVENT_COSTLY,  /* clients that are slow to wake, or to serve otherwise */
    LOG_EVENT_STATE,   /* a slot or a handler moved: debug only */
    LOG_EVENT_COUNT,
};

/* Whom an event is about. */
struct log_subject {
    int64_t slot; /* -1: none */
    uid_t uid;
    pid_t pid;
    enum fipc_reason reason; /* of the refused or closed client */
};

/* Finds out where stderr leads. Return: whether it is the journal. */
bool log_init(void);

/* @level: of syslog(3); less important events are not written. */
void log_set_level(int level);
int log_level(void);

/**
 * log_event() - write one line, or one entry
 * @subject:  NULL: the broker itself
 * @format:   printf-like; bytes that came from a peer go through log_escape() first
 */
void log_event(int level, enum log_event event, const struct log_subject *subject,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

/* When log_catch_up() is to be called: at the end of a window in which events were only counted, or
 * a second after entries were lost. Return: FIPC_NEVER if everything was logged */
uint64_t log_due_ns(void);

/* Says how many events were not logged: of the windows that are over, or of all. */
void log_catch_up(uint64_t now_ns, bool all);

/* Makes bytes of a peer harmless: printable ASCII stays, all else becomes \xNN; cut to fit. Return:
 * @buffer. */
const char *log_escape(char *buffer, size_t buffer_size, const void *bytes, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_SYSTEMD_SENDER_H
#define FIPC_DAEMON_BASE_SYSTEMD_SENDER_H

/* What systemd is told: the state of the service, and entries of the journal. Both are sockets
 * whose reader may be busy or stopped, so each has a thread of its own that sends, and the loop
 * never waits. */
#include <stddef.h>

#define OUTBOX_TEXT_BYTES_MAX 2048

enum outbox_to {
    OUTBOX_SERVICE_MANAGER, /* a text of sd_notify(3) */
    OUTBOX_JOURNAL,         /* fields of sd_journal_sendv(3), one in a line */
};

/**
 * outbox_post() - have a text sent, after all that were posted before to the same reader
 * @text:  "NAME=value" lines, fewer than OUTBOX_TEXT_BYTES_MAX bytes; copied
 *
 * The first call starts its thread. At the end of the process it has a second to send what is left.
 * Threads: the loop's only.
 *
 * Return: 0; -EAGAIN the outbox is full, which means that nobody reads; another negative errno: no
 * thread can be had
 */
int outbox_post(enum outbox_to to, const char *text);

#endif

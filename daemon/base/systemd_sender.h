/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_SYSTEMD_SENDER_H
#define FIPC_DAEMON_BASE_SYSTEMD_SENDER_H

/*
 * Sends datagrams to systemd: the state of the service to the service manager, entries to the
 * journal. Nothing blocks. A reader may be busy, stopped, or restarting: a text that must arrive is
 * kept, and the owner of the loop calls systemd_sender_retry() when it is due.
 *
 * One state for the process. Threads: the loop's only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYSTEMD_JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SYSTEMD_TEXT_BYTES_MAX ((size_t)8192)

/**
 * systemd_sender_init() - name the readers
 * @notify_socket:   $NOTIFY_SOCKET, sd_notify(3): an absolute path, or '@' and an abstract name.
 *                   NULL, or anything else: there is no service manager
 * @journal_socket:  an absolute path
 *
 * Opens a socket for each reader, for the life of the process. Forgets all kept texts.
 */
void systemd_sender_init(const char *notify_socket, const char *journal_socket);

bool systemd_sender_has_manager(void);

/* Whether a text that the reader does not take now is kept, and sent later. */
enum systemd_need {
    SYSTEMD_MAY_BE_LOST,
    SYSTEMD_MUST_ARRIVE,
};

/**
 * systemd_sender_notify() - tell the service manager
 * @text:  of sd_notify(3): "NAME=value" lines, at most SYSTEMD_TEXT_BYTES_MAX bytes; copied
 *
 * Texts that must arrive do so in order, and nothing overtakes them. Of more than 16 that wait the
 * oldest is given up: a later one describes the state by then.
 *
 * Return: 0 if it was sent or kept, or there is no service manager; -EAGAIN if it is lost; another
 * negative errno if it can never be sent
 */
int systemd_sender_notify(const char *text, enum systemd_need need, uint64_t now_ns);

/**
 * systemd_sender_journal() - write one entry
 * @entry:  in the native protocol: "NAME=value\n" for each field, at most SYSTEMD_TEXT_BYTES_MAX
 *          bytes; copied
 *
 * Entries are sent in order. At most 64 are kept.
 *
 * Return: 0 if it was sent or kept; -EAGAIN if it is lost; another negative errno if it can never
 * be sent
 */
int systemd_sender_journal(const char *entry, size_t size, enum systemd_need need, uint64_t now_ns);

/* When systemd_sender_retry() is to be called: 50 ms after a text for the service manager was kept,
 * 1 s after an entry was, and as often again. Return: FIPC_NEVER if nothing is kept */
uint64_t systemd_sender_due_ns(void);

/* Sends the kept texts of each reader that is due, as many as it takes. */
void systemd_sender_retry(uint64_t now_ns);

/* At the end of the process: blocks until all that was kept is sent, for at most a second. */
void systemd_sender_finish(void);

#endif

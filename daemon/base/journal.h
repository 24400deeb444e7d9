/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_JOURNAL_H
#define FIPC_DAEMON_BASE_JOURNAL_H

/* Events as structured entries of systemd's journal. */
#include "daemon/base/log.h"

#include <stdbool.h>

/* Whether stderr leads to the journal, so that entries are to take the place of lines. Source:
 * $JOURNAL_STREAM, systemd.exec(5). */
bool journal_is_stderr(void);

/**
 * journal_write() - write one entry
 * @subject:  whom it is about; NULL: the broker itself
 *
 * Its fields: MESSAGE=, PRIORITY=, MESSAGE_ID= by the kind of event; of a subject FIPC_PEER_UID=,
 * FIPC_PEER_PID=, and FIPC_SLOT= if it has one; of who was refused or closed FIPC_REASON=.
 *
 * Return: 0; -EAGAIN nobody reads the journal, the entry is lost; another negative errno: it cannot
 * be reached
 */
int journal_write(int level, enum log_event event, const struct log_subject *subject,
                  const char *message);

#endif

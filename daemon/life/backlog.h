/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_BACKLOG_H
#define FIPC_DAEMON_LIFE_BACKLOG_H

/**
 * backlog_granted() - how many connections may wait on a listening Unix socket
 *
 * listen(2) grants less than it was asked for where net.core.somaxconn is lower, and does not say
 * so. The kernel tells by unix_diag, see sock_diag(7): udiag_wqueue of UDIAG_SHOW_RQLEN.
 *
 * Return: that number; a negative errno: it cannot be known here
 */
int backlog_granted(int listening_fd);

#endif

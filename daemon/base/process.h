/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_PROCESS_H
#define FIPC_DAEMON_BASE_PROCESS_H

/* Questions about this process: its CPU time, its user namespace, the folders of its user. */
#include <stdbool.h>
#include <stdint.h>

/**
 * process_sees_all_uids() - find out whether every uid of the host has a number of its own here
 *
 * In a user namespace (PrivateUsers=, a rootless container) all peers whose uid is not mapped look
 * like 65534: their rights cannot be known. Source: user_namespaces(7).
 *
 * Return: true too if the map cannot be read
 */
bool process_sees_all_uids(void);

/* CPU time of this thread, in nanoseconds. */
uint64_t process_cpu_ns(void);

/* Where a user's own broker has its files, by the XDG Base Directory Specification: */

/* $XDG_RUNTIME_DIR/fipc/control.sock. Return: 0, free *ret_path with free(3); -ENXIO if the
 * variable is not set; -ENOMEM */
int process_user_socket(char **ret_path);

/* $XDG_CONFIG_HOME/fipc/fipcd.json, else ~/.config/fipc/fipcd.json. Return: 0, free *ret_path with
 * free(3); -ENXIO if neither variable is set; -ENOMEM */
int process_user_config(char **ret_path);

#endif

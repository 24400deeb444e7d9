/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_USER_FILES_H
#define FIPC_DAEMON_BASE_USER_FILES_H

/* Where a user's own broker has its files, by the XDG Base Directory Specification. */

/* $XDG_RUNTIME_DIR/fipc/control.sock. Return: 0, *ret_path is for the caller to free; -ENXIO the
 * variable is not set; -ENOMEM */
int user_socket_path(char **ret_path);

/* $XDG_CONFIG_HOME/fipc/fipcd.json, else ~/.config/fipc/fipcd.json. Return: 0, *ret_path is for the
 * caller to free; -ENXIO no such variable is set; -ENOMEM */
int user_config_path(char **ret_path);

#endif

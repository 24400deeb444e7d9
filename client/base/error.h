/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_BASE_ERROR_H
#define FIPC_CLIENT_BASE_ERROR_H

/* Texts of errors, for fipc_strerror(). */

/* A broker speaks another version of the protocol. This thread's fipc_strerror() names it from here
 * on. @version: ours, where the broker refused ours and did not say its own. Return:
 * -EPROTONOSUPPORT */
int fipc_error_of_version(unsigned version);

#endif

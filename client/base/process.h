/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_BASE_PROCESS_H
#define FIPC_CLIENT_BASE_PROCESS_H

/*
 * Which process this is, found without a system call: a child of fork(2) must not touch the memory
 * and the lane that its parent shares with the broker.
 */
#include <stdbool.h>
#include <stdint.h>

/* Never an epoch. */
#define FIPC_PROCESS_NONE 0

/* Each object that is made in this process remembers the epoch. Return: it; FIPC_PROCESS_NONE if
 * there is no memory */
uint64_t fipc_process_epoch(void);

/* Whether something with this epoch was made in this process, not in one that it was forked from.
 */
bool fipc_process_made(uint64_t epoch);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_BASE_LOOP_MEMORY_H
#define FIPC_DAEMON_BASE_LOOP_MEMORY_H

/* What libev allocates. */
#include <stddef.h>

/**
 * loop_memory_init() - set aside all that libev can ever need
 * @n_timers:  the most that can be active at once
 *
 * Address space only: pages cost memory once they are used. For one loop at a time. Return: 0;
 * -ENOMEM
 */
int loop_memory_init(size_t n_timers);

/* After the loop has ended. */
void loop_memory_deinit(void);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_PROCESS_MEMORY_H
#define FIPC_TESTS_PROCESS_MEMORY_H

#include <sys/types.h>

/* What of a process is in memory, in KiB: all of it, and two kinds of it. */
struct process_memory {
    unsigned long rss, anonymous, shared;
};

/* Return: 0; a negative errno: there is no such process, or the kernel does not tell */
int process_memory_of(pid_t pid, struct process_memory *ret_memory);

#endif

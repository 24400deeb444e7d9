/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_STUCK_FILE_H
#define FIPC_TESTS_STUCK_FILE_H

/*
 * A file of a FUSE file system that never answers the close(2) of it: a process that closes it
 * waits until the file system is gone, and no signal, not even SIGKILL, ends that.
 */
#include <stdbool.h>
#include <sys/types.h>

struct stuck_file {
    int fd;       /* -1: none. Never to be closed by a process that wants to live */
    pid_t server; /* the file system */
};

/* Needs root and /dev/fuse; gives this process mounts of its own. Return: whether there is one now
 */
bool stuck_file_open(struct stuck_file *file);

/* Ends the file system, which lets all go who wait for it, and closes the file. */
void stuck_file_close(struct stuck_file *file);

#endif

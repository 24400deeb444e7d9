/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_CHILD_H
#define FIPC_FIPCTL_CHILD_H

/* A program that fipctl runs, and the ends of the pipes to it: non-blocking, and ours alone. */
#include <sys/types.h>

struct child {
    pid_t pid;     /* until child_reap(): 0 from then on */
    int exit_fd;   /* a pidfd: readable once the program has ended */
    int stdin_fd;  /* -1: closed */
    int stdout_fd; /* -1: closed */
};

/**
 * child_spawn() - run a program
 * @ret_child:     on success: the caller gives it back by child_reap()
 * @command_line:  name or path of the program, its arguments, NULL
 *
 * The program has a process group of its own, our stderr, no other fd that we opened, and no signal
 * ignored or blocked. The kernel kills it if this process ends before it.
 *
 * Return: 0; a negative errno if it cannot run
 */
int child_spawn(struct child *ret_child, char **command_line);

/* Sends a signal to the program and all of its process group. */
void child_kill(const struct child *child, int signal);

void child_close_stdin(struct child *child);
void child_close_stdout(struct child *child);

/* Waits for the end of the program and releases everything. Return: its status, as of waitpid(2) */
int child_reap(struct child *child);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_RUN_H
#define FIPC_FIPCTL_RUN_H

/* One run of a command: its stdin is a request, its stdout the reply. Nothing here blocks. */
#include "client/fipctl/child.h"
#include "client/fipctl/payload.h"

#include <fipc/service.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

enum run_state {
    RUN_WAITING,  /* for its turn */
    RUN_WORKING,  /* the command takes the request and gives the reply */
    RUN_STOPPING, /* its reply is not wanted; the command got SIGTERM */
    RUN_KILLED,   /* that was not enough; the command got SIGKILL */
    RUN_ENDED,    /* the request is answered, and nothing of the run is left */
    N_RUN_STATES
};

/* What all runs have in common. */
struct job {
    const char *service;
    char **command_line; /* ends with NULL */
    size_t reply_max;
};

struct run {
    struct run *next; /* server.runs */
    const struct job *job;
    fipc_request *request; /* NULL: answered */
    enum run_state state;
    int error; /* for the caller, if the run was stopped */
    uint64_t kill_at_ns;
    struct child child;
    size_t n_written; /* of the request */
    struct payload reply;
};

/* The most fds that a run waits for: one takes the request, one brings the reply, one the exit. */
#define RUN_FDS_MAX 3

/**
 * run_new() - make a run, in RUN_WAITING
 * @job:      borrowed
 * @request:  consumed on success
 *
 * Return: NULL if there is no memory
 */
struct run *run_new(const struct job *job, fipc_request *request);

/* Only in RUN_WAITING and RUN_ENDED. */
void run_free(struct run *run);

/* From RUN_WAITING to RUN_WORKING; or RUN_ENDED, if the command cannot be run. */
void run_start(struct run *run);

/* Whether there is a child. */
bool run_is_alive(const struct run *run);

/* Finds the fds that a run waits for now. @ret_polled: for poll(2), RUN_FDS_MAX of them. Return:
 * their number */
nfds_t run_watch(const struct run *run, struct pollfd *ret_polled);

/* Goes on with a run whose @fd is ready. Ignores an fd for which the run does not wait any more. */
void run_go_on(struct run *run, int fd);

/* Stops a run whose reply is not wanted any more; @error is for the caller. A run that is stopping
 * or has ended stays as it is. */
void run_stop(struct run *run, int error, uint64_t now_ns);

/* Whether the caller is gone, or has given up. */
bool run_is_cancelled(const struct run *run);

/* Kills a command that did not stop in time. Return: the time of the next check, maybe FIPC_NEVER
 */
uint64_t run_check_time(struct run *run, uint64_t now_ns);

#endif
